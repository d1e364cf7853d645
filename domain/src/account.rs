//! Accounts: e-mail addresses, password rules, and the count of failed logins.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{FieldError, Role, Timestamp, UserId, text};

mod lockout;
mod password;

pub use lockout::{LOCKOUT_FAILURES, LOCKOUT_WINDOW, LoginAttempts};
pub use password::{PASSWORD_MAX_CHARS, PASSWORD_MIN_CHARS, check_password};

/// The longest display name, in characters.
pub const DISPLAY_NAME_MAX_CHARS: usize = 100;

/// A normalised e-mail address: trimmed and in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Parses an address.
    ///
    /// Checks its shape only; whether it exists is for a message sent to it to find out.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let refuse = |message: &str| Err(FieldError::new("/email", message));
        let text = text.trim().to_lowercase();
        if text.len() > 254 {
            return refuse("must be at most 254 bytes long");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refuse("must not contain spaces or control characters");
        }
        let Some((local, domain)) = text.rsplit_once('@') else {
            return refuse("must contain an @");
        };
        let labels_ok = domain
            .split('.')
            .all(|label| !label.is_empty() && label.len() <= 63);
        if local.is_empty() || local.len() > 64 || local.contains('@') || !labels_ok {
            return refuse("must look like name@example.com");
        }
        Ok(Self(text))
    }

    /// Returns the normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account, without its credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The account's id; its shard is that of the e-mail address.
    pub id: UserId,
    /// The address that signs in.
    pub email: Email,
    /// The name shown to others; may be empty.
    pub display_name: String,
    /// What the account may do.
    pub role: Role,
    /// Whether the address has been shown to be the user's.
    pub email_verified: bool,
    /// Whether the account may not sign in.
    pub disabled: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// Counts edits, from 1.
    pub version: i64,
}

/// Checks a display name's length.
pub fn check_display_name(name: &str) -> Result<(), FieldError> {
    text::check("/display_name", name, 0, DISPLAY_NAME_MAX_CHARS)
}

/// How long access tokens live at most; changes of access are remembered for this long and a bit.
pub const ACCESS_TOKEN_TTL_MAX: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_differ_in_case_are_one() {
        assert_eq!(Email::parse(" Ada@Example.COM "), Email::parse("ada@example.com"));
    }

    #[test]
    fn text_that_is_no_address_is_refused() {
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "ada@exa..mple",
            "a@b@c",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
    }
}
