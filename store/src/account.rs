//! Accounts, their credentials and sessions, and what the whole cluster must hear about them.
//!
//! Everything here is written under the lease of the account's shard in the service `sessions`.

mod access;
mod attempts;
mod bootstrap;
mod key;
mod session;
mod user;

pub use access::{AccessChange, AccessChanges, AccessCursor};
pub use key::SigningKey;
pub use user::{Credentials, NewAccount, PasswordChange};
