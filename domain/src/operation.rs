//! Operations: one request for a change, however often it is sent.
//!
//! Every mutation carries an operation, recorded in the same commit as its effect. A client names it
//! with `Idempotency-Key`; where it does not, the edge makes one, so that the edge itself may send the
//! request again when an answer was lost.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The name a client or an edge gave to an operation: 8 to 255 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationKey(String);

/// Text that cannot be an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 8 to 255 printable ASCII characters, bare or as a quoted string")]
pub struct BadOperationKey;

impl OperationKey {
    /// Parses the value of an `Idempotency-Key` header, bare or quoted (RFC 8941 string).
    pub fn parse(header: &str) -> Result<Self, BadOperationKey> {
        let bare = match header.strip_prefix('"') {
            Some(rest) => unquote(rest.strip_suffix('"').ok_or(BadOperationKey)?)?,
            None => header.to_owned(),
        };
        let printable = bare.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if printable && (8..=255).contains(&bare.len()) {
            Ok(Self(bare))
        } else {
            Err(BadOperationKey)
        }
    }

    /// Makes the key of a request to which its client gave none.
    pub fn made(id: Uuid) -> Self {
        Self(id.to_string())
    }

    /// Returns the key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Undoes the two escapes of an RFC 8941 string, `\"` and `\\`.
fn unquote(text: &str) -> Result<String, BadOperationKey> {
    let mut bare = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\')) => bare.push(escaped),
                _ => return Err(BadOperationKey),
            },
            '"' => return Err(BadOperationKey),
            other => bare.push(other),
        }
    }
    Ok(bare)
}

/// SHA-256 of a request's path and canonical body: tells a repeat from another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub [u8; 32]);

/// One request for a change. Its scope is caller, method and route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Who asked: a user's id, or for a request without one an id derived from what it is about.
    pub principal: Uuid,
    /// Method and route template, such as `POST /v1/orders/{id}/cancel`.
    pub route: String,
    /// The operation's name within that scope.
    pub key: OperationKey,
    /// What the request asked for.
    pub fingerprint: Fingerprint,
    /// Whether the client gave the key; then a repeat is told that it is one.
    pub named_by_client: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quoted_and_bare_keys_are_the_same_key() {
        assert_eq!(
            OperationKey::parse("\"abcdefgh\""),
            OperationKey::parse("abcdefgh")
        );
        assert_eq!(
            OperationKey::parse(r#""a\"b\\cdefgh""#).map(|key| key.to_string()),
            Ok(r#"a"b\cdefgh"#.into())
        );
    }

    #[test]
    fn short_long_and_unprintable_keys_are_refused() {
        let long = "x".repeat(256);
        for text in ["seven77", "", "\"abcdefgh", "tab\there12", "umläut-key", &long] {
            assert_eq!(OperationKey::parse(text), Err(BadOperationKey), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_any_header_is_total(text in ".*") {
            if let Ok(key) = OperationKey::parse(&text) {
                prop_assert!((8..=255).contains(&key.as_str().len()));
            }
        }
    }
}
