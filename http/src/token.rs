//! Tokens: what a client shows to say who it is.
//!
//! An access token is a JWT that any node verifies without asking; a refresh token is an opaque
//! secret that only the session's owner can exchange. *Invariant*: nothing but `EdDSA` under a known
//! `kid` is accepted, whatever a token's own header says, and no secret has a `Debug` form.

mod access;
mod keys;
mod refresh;
mod verified;

pub(crate) use access::AccessTokens;
#[cfg(test)]
pub(crate) use access::test_key;
pub use keys::KeyError;
pub(crate) use keys::{Jwk, KeySource};
pub(crate) use refresh::RefreshToken;
pub(crate) use verified::VerifiedTokens;
