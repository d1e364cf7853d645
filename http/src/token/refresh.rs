//! Refresh tokens: `hfr_`, the session's id and 32 random bytes, in base64url.
//!
//! The id finds the session's owner without a lookup; the owner knows the token by its hash alone.

use std::fmt;

use aws_lc_rs::{error::Unspecified, rand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use holdfast_domain::{Refusal, SessionId, session::TokenHash};
use uuid::Uuid;

use crate::digest::sha256;

const PREFIX: &str = "hfr_";
const ID_BYTES: usize = 16;
const TOKEN_BYTES: usize = ID_BYTES + 32;

/// A session's refresh token.
pub(crate) struct RefreshToken {
    text: String,
    session_id: SessionId,
}

impl RefreshToken {
    /// Draws a new token for a session.
    pub(crate) fn draw(session_id: SessionId) -> Result<Self, Unspecified> {
        let mut bytes = [0; TOKEN_BYTES];
        let (id, secret) = bytes.split_at_mut(ID_BYTES);
        id.copy_from_slice(session_id.0.as_bytes());
        rand::fill(secret)?;
        let text = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
        Ok(Self { text, session_id })
    }

    /// Parses a token that a client presents.
    ///
    /// # Errors
    /// [`Refusal::InvalidRefreshToken`]: this is no token of ours.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let encoded = text.strip_prefix(PREFIX).ok_or(Refusal::InvalidRefreshToken)?;
        let mut bytes = [0; TOKEN_BYTES];
        match BASE64_URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes) {
            Ok(TOKEN_BYTES) => {}
            Ok(_) | Err(_) => return Err(Refusal::InvalidRefreshToken),
        }
        let id = Uuid::from_slice(&bytes[..ID_BYTES]).map_err(|_| Refusal::InvalidRefreshToken)?;
        Ok(Self {
            text: text.to_owned(),
            session_id: SessionId(id),
        })
    }

    /// Returns the token's text: a secret of its bearer.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// Returns the session that the token names.
    pub(crate) fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Returns the hash by which the session's owner knows the token.
    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash(sha256(&[self.text.as_bytes()]))
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken of {}", self.session_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_drawn_parses_to_its_session_and_hash() {
        let session_id = SessionId(Uuid::now_v7());
        let drawn = RefreshToken::draw(session_id).expect("randomness");
        let hash = drawn.hash();
        let parsed = RefreshToken::parse(&drawn.into_text()).expect("a token");
        assert_eq!((parsed.session_id(), parsed.hash()), (session_id, hash));
    }

    #[test]
    fn text_that_was_never_a_token_is_refused() {
        let short = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode([0; 47]));
        let long = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode([0; 49]));
        for text in ["", "hfr_", "hfr_!!!!", "abc", &short, &long] {
            assert!(RefreshToken::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_log_line_does_not_show_the_secret() {
        let token = RefreshToken::draw(SessionId(Uuid::now_v7())).expect("randomness");
        let shown = format!("{token:?}");
        assert!(!shown.contains(&token.into_text()[30..]));
    }
}
