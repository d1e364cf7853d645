//! An account on the wire.

use holdfast_domain::{Role, Timestamp, User, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::schema;

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserBody {
    /// The account's id.
    #[schema(value_type = Uuid)]
    id: UserId,
    /// The address that signs in.
    #[schema(format = Email, example = "ada@example.com")]
    email: String,
    /// The name shown to others; may be empty.
    #[schema(example = "Ada")]
    display_name: String,
    /// What the account may do.
    #[schema(value_type = schema::RoleName)]
    role: Role,
    /// Whether the address has been shown to be the user's.
    email_verified: bool,
    /// Whether the account may not sign in.
    disabled: bool,
    /// When the account was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Counts edits, from 1; the `ETag`'s number.
    #[schema(example = 1)]
    version: i64,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email.to_string(),
            display_name: user.display_name,
            role: user.role,
            email_verified: user.email_verified,
            disabled: user.disabled,
            created_at: user.created_at,
            version: user.version,
        }
    }
}
