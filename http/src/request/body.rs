//! Reading a request's body: bounded in bytes and in time, and of a type that the call reads.

use std::{convert::Infallible, str::FromStr, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use warp::{
    Filter, Rejection,
    http::{HeaderValue, header},
    reject,
};

use crate::problem::{Problem, ProblemKind};

/// What bodies a call reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// A JSON document.
    Json,
    /// A JSON merge patch, which may also call itself JSON.
    MergePatch,
}

impl Body {
    fn accepts(self, essence: &str) -> bool {
        match self {
            Self::Json => essence == "application/json",
            Self::MergePatch => essence == "application/json" || essence == "application/merge-patch+json",
        }
    }

    fn unsupported(self) -> Problem {
        let (name, accepted) = match self {
            Self::Json => (header::ACCEPT, "application/json"),
            Self::MergePatch => {
                let name = header::HeaderName::from_static("accept-patch");
                (name, "application/merge-patch+json, application/json")
            }
        };
        Problem::new(
            ProblemKind::UnsupportedMediaType,
            format!("the body must be {accepted} in UTF-8"),
        )
        .header(name, HeaderValue::from_static(accepted))
    }
}

/// A body's declared type; `None` if it is not UTF-8.
struct ContentType(Option<String>);

impl FromStr for ContentType {
    type Err = Infallible;

    fn from_str(value: &str) -> Result<Self, Infallible> {
        let mut parts = value.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        });
        Ok(Self(is_utf8.then_some(essence)))
    }
}

/// Extracts the body's bytes; at most `limit` of them, within `timeout`.
///
/// A client that says it will send another type or too much is told so before it has.
pub(crate) fn bounded_body(
    accepted: Body,
    limit: usize,
    timeout: Duration,
) -> impl Filter<Extract = (Bytes,), Error = Rejection> + Clone {
    warp::header::optional::<ContentType>("content-type")
        .and(warp::header::optional::<u64>("content-length"))
        .and_then(move |content_type: Option<ContentType>, length: Option<u64>| {
            let is_wrong = |ContentType(essence): &ContentType| {
                essence
                    .as_deref()
                    .is_none_or(|essence| !accepted.accepts(essence))
            };
            let is_too_large = |length| usize::try_from(length).is_ok_and(|length| length > limit);
            std::future::ready(if content_type.as_ref().is_some_and(is_wrong) {
                Err(reject::custom(accepted.unsupported()))
            } else if length.is_some_and(is_too_large) {
                Err(reject::custom(too_large(limit)))
            } else {
                Ok(content_type.is_some())
            })
        })
        .and(warp::body::stream())
        .and_then(move |is_typed: bool, stream| async move {
            let body = match tokio::time::timeout(timeout, collect(stream, limit)).await {
                Ok(body) => body.map_err(reject::custom)?,
                Err(_elapsed) => return Err(reject::custom(too_slow())),
            };
            if is_typed || body.is_empty() {
                Ok(body)
            } else {
                Err(reject::custom(accepted.unsupported()))
            }
        })
}

async fn collect<S, B>(stream: S, limit: usize) -> Result<Bytes, Problem>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut stream = std::pin::pin!(stream);
    let mut body = Bytes::new();
    while let Some(chunk) = stream.next().await {
        let mut chunk = chunk.map_err(|_| Problem::malformed("the body broke off"))?;
        let size = chunk.remaining();
        if body.len().saturating_add(size) > limit {
            return Err(too_large(limit));
        }
        let chunk = chunk.copy_to_bytes(size);
        // Nearly every body is a single chunk, which is taken as it is.
        body = if body.is_empty() {
            chunk
        } else {
            joined(body, &chunk)
        };
    }
    Ok(body)
}

fn joined(body: Bytes, chunk: &[u8]) -> Bytes {
    let mut joined = BytesMut::from(body);
    joined.extend_from_slice(chunk);
    joined.freeze()
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        ProblemKind::BodyTooLarge,
        format!("the body must be at most {limit} bytes"),
    )
}

fn too_slow() -> Problem {
    Problem::new(ProblemKind::RequestTimeout, "the body did not arrive in time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_may_have_parameters_but_must_be_utf_8() {
        let essence = |value: &str| {
            value
                .parse::<ContentType>()
                .map_or(None, |content_type| content_type.0)
        };
        assert_eq!(essence("application/json").as_deref(), Some("application/json"));
        assert_eq!(
            essence("Application/JSON; charset=\"UTF-8\"; v=1").as_deref(),
            Some("application/json")
        );
        assert_eq!(essence("application/json;charset=latin1"), None);
    }

    #[test]
    fn only_an_edit_reads_merge_patches() {
        assert!(Body::MergePatch.accepts("application/merge-patch+json"));
        assert!(!Body::Json.accepts("application/merge-patch+json"));
        assert!(!Body::Json.accepts("text/plain"));
    }

    #[tokio::test]
    async fn chunks_are_joined_up_to_the_limit() {
        let chunks = |n: usize| futures_util::stream::iter((0..n).map(|_| Ok(Bytes::from_static(b"abcd"))));
        assert_eq!(
            collect(chunks(3), 12).await.expect("within the limit"),
            "abcdabcdabcd"
        );
        let error = collect(chunks(4), 12).await.expect_err("beyond the limit");
        assert_eq!(error.kind(), ProblemKind::BodyTooLarge);
    }
}
