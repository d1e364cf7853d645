//! What an account can be asked.

use holdfast_domain::{Email, Operation, Role, SessionId, User, UserId, session::TokenHash};
use serde::{Deserialize, Serialize};

use super::By;

/// A request to an account.
#[derive(Clone, Serialize, Deserialize)]
pub enum AccountCommand {
    /// Makes the account.
    Register(Operation, NewUser),
    /// Checks a password and begins a session.
    Login(Login),
    /// Ends every session.
    LogoutAll(By),
    /// Edits the display name.
    Rename(By, String, i64),
    /// Exchanges the password and ends the other sessions.
    ChangePassword(By, PasswordChange),
    /// Changes what an admin may change.
    Change(By, UserId, UserChange),
}

impl AccountCommand {
    /// Returns the operation under which the request is remembered.
    pub fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Register(operation, _) => Some(operation),
            Self::LogoutAll(by)
            | Self::Rename(by, ..)
            | Self::ChangePassword(by, _)
            | Self::Change(by, ..) => Some(&by.operation),
            Self::Login(_) => None,
        }
    }
}

// Commands carry passwords; a log line must not.
impl std::fmt::Debug for AccountCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Register(..) => "Register",
            Self::Login(_) => "Login",
            Self::LogoutAll(_) => "LogoutAll",
            Self::Rename(..) => "Rename",
            Self::ChangePassword(..) => "ChangePassword",
            Self::Change(..) => "Change",
        })
    }
}

/// An account to be made.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewUser {
    /// Its id, in the shard of `email`.
    pub id: UserId,
    /// The address that will sign in.
    pub email: Email,
    /// The password, checked against the rules by the edge.
    pub password: String,
    /// The name shown to others; may be empty.
    pub display_name: String,
}

/// A login.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// The address.
    pub email: Email,
    /// The password to be checked.
    pub password: String,
    /// The id of the session that begins, in the account's shard; the edge makes it.
    pub session_id: SessionId,
    /// The hash of the session's first refresh token; the edge draws the token.
    pub refresh: TokenHash,
    /// The client's name for itself.
    pub user_agent: String,
    /// The client's address.
    pub ip: String,
}

/// A successful login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedIn {
    /// Who signed in.
    pub user: User,
    /// The session that began.
    pub session_id: SessionId,
}

/// An exchange of passwords.
#[derive(Clone, Serialize, Deserialize)]
pub struct PasswordChange {
    /// The password that stands.
    pub current: String,
    /// The one that shall.
    pub new: String,
}

/// What an admin may change; `None` leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserChange {
    /// A new role, in force on every node within a second.
    pub role: Option<Role>,
    /// Whether the account may not sign in; disabling ends its sessions.
    pub disabled: Option<bool>,
    /// The version that the change is based on; `None`: whatever stands.
    pub expected_version: Option<i64>,
}
