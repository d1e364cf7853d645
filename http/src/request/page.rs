//! Pages of a list: `limit` and `cursor`.
//!
//! A cursor is the sort key of the last item that was seen, so that a list is stable under inserts.
//! It is opaque to clients, versioned for us, and good for the list that made it only.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Query;
use crate::problem::{Problem, ProblemKind};

/// The form of cursors that this release writes and reads.
const CURSOR_VERSION: u8 = 1;
/// Longer texts are not cursors of ours.
const CURSOR_MAX_BYTES: usize = 1024;
const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 200;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor<K> {
    v: u8,
    q: String,
    k: K,
}

/// Which part of a list is asked for.
#[derive(Debug)]
pub(crate) struct ListRequest<K> {
    /// How many items, at most.
    pub(crate) limit: u32,
    /// The key of the last item that the client has seen.
    pub(crate) after: Option<K>,
    scope: String,
}

impl<K: Serialize + DeserializeOwned> ListRequest<K> {
    /// Takes `limit` and `cursor` from a query.
    ///
    /// # Errors
    /// [`ProblemKind::InvalidCursor`]: this list made no such cursor.
    pub(crate) fn take(query: &mut Query) -> Result<Self, Problem> {
        let scope = query.scope().to_owned();
        let after = match query.take("cursor") {
            Some(text) => Some(decode(&text, &scope).ok_or_else(invalid_cursor)?),
            None => None,
        };
        let limit = match query.take("limit") {
            None => LIMIT_DEFAULT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                .unwrap_or_else(|| {
                    query.refuse("limit", format!("must be a whole number from 1 to {LIMIT_MAX}"));
                    LIMIT_DEFAULT
                }),
        };
        Ok(Self { limit, after, scope })
    }

    /// Writes the cursor of the page that begins after `key`.
    pub(crate) fn cursor_after(&self, key: K) -> Result<String, Problem> {
        let cursor = Cursor {
            v: CURSOR_VERSION,
            q: self.scope.clone(),
            k: key,
        };
        let json = serde_json::to_vec(&cursor).map_err(|error| {
            tracing::error!(%error, "a cursor could not be written");
            Problem::internal()
        })?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(json))
    }
}

fn decode<K: DeserializeOwned>(text: &str, scope: &str) -> Option<K> {
    if text.len() > CURSOR_MAX_BYTES {
        return None;
    }
    let json = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let cursor: Cursor<K> = serde_json::from_slice(&json).ok()?;
    (cursor.v == CURSOR_VERSION && cursor.q == scope).then_some(cursor.k)
}

/// Makes the problem of a cursor that the list did not make.
pub(crate) fn invalid_cursor() -> Problem {
    Problem::new(
        ProblemKind::InvalidCursor,
        "send the next_cursor of the page before, with the same filters, or none",
    )
}

/// Makes the problem of an event's id that no stream of this shop sent.
pub(crate) fn invalid_position() -> Problem {
    Problem::new(
        ProblemKind::InvalidCursor,
        "send the id of an event of this stream as Last-Event-ID, or none",
    )
}

#[cfg(test)]
mod tests {
    use super::{super::query::tests::query_of, *};

    fn request(pairs: &[(&str, &str)]) -> Result<ListRequest<i64>, Problem> {
        let mut query = query_of(pairs);
        let list = ListRequest::take(&mut query)?;
        query.finish()?;
        Ok(list)
    }

    #[test]
    fn the_next_page_goes_on_where_the_last_one_ended() {
        let first = request(&[]).expect("a first page");
        assert_eq!((first.limit, first.after), (50, None));
        let cursor = first.cursor_after(7).expect("a cursor");
        let second = request(&[("cursor", &cursor), ("limit", "200")]).expect("a second page");
        assert_eq!((second.limit, second.after), (200, Some(7)));
    }

    #[test]
    fn a_cursor_is_of_no_use_for_another_list() {
        let cursor = request(&[]).expect("a page").cursor_after(7).expect("a cursor");
        let error = query_of(&[("cursor", &cursor), ("status", "active")]);
        let mut query = error;
        let error = ListRequest::<i64>::take(&mut query).expect_err("a refusal");
        assert_eq!(error.kind(), ProblemKind::InvalidCursor);
    }

    #[test]
    fn text_that_is_no_cursor_is_refused() {
        let later = BASE64_URL_SAFE_NO_PAD.encode(r#"{"v":2,"q":"","k":7}"#);
        for text in ["", "x", "e30", "!!!", &later, &"A".repeat(2_000)] {
            let error = request(&[("cursor", text)]).expect_err("a refusal");
            assert_eq!(error.kind(), ProblemKind::InvalidCursor, "{text:?}");
        }
    }

    #[test]
    fn a_page_has_1_to_200_items() {
        for limit in ["0", "201", "-1", "x", "", "1.5"] {
            let error = request(&[("limit", limit)]).expect_err("a refusal");
            assert_eq!(error.kind(), ProblemKind::Validation, "{limit:?}");
        }
    }
}
