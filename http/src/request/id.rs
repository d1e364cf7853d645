//! The id by which a client, a log line and a problem speak of one request.

use std::fmt;

use uuid::Uuid;
use warp::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries the id, both ways.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ids would make log lines a client's to fill.
const MAX_BYTES: usize = 128;

/// A request's id: the client's own if it sent a sane one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the client's id if it is 1 to 128 harmless characters, else makes one of `fresh`.
    pub(crate) fn from_headers(headers: &HeaderMap, fresh: Uuid) -> Self {
        match headers.get(HEADER) {
            Some(value) if is_sane(value.as_bytes()) => Self(value.clone()),
            _ => Self::made(fresh),
        }
    }

    fn made(fresh: Uuid) -> Self {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = fresh.hyphenated().encode_lower(&mut text);
        // Hexadecimal digits and hyphens are a header value.
        Self(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-")))
    }

    /// Returns the id's text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("-")
    }

    /// Puts the id into a response's headers.
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        headers.insert(HEADER, self.0);
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_sane(bytes: &[u8]) -> bool {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    (1..=MAX_BYTES).contains(&bytes.len()) && bytes.iter().all(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(value: &str) -> RequestId {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(value).expect("a header value"));
        RequestId::from_headers(&headers, Uuid::now_v7())
    }

    #[test]
    fn a_sane_id_is_the_clients_own() {
        for id in ["x", "018f-abc.DEF_1", "a:b/c+d=@", &"x".repeat(128)] {
            assert_eq!(taken(id).as_str(), id);
        }
    }

    #[test]
    fn an_id_that_could_forge_a_log_line_is_replaced() {
        for id in ["", "a b", "a\"b", "a{b}", &"x".repeat(129)] {
            assert_eq!(taken(id).as_str().len(), 36, "{id:?}");
        }
    }
}
