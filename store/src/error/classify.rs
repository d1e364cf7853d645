//! Sorts what sqlx reports into what it says about the write.

use serde::de::DeserializeOwned;
use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

use super::StoreError;

/// The fence refused.
const FENCED: &str = "HF001";
/// Rows are not as expected; DETAIL lists them as JSON.
const VERSION: &str = "HF002";
/// Keys were used before; DETAIL lists them as JSON.
const DUPLICATE: &str = "HF003";
/// The operation was recorded before.
const OPERATION_EXISTS: &str = "HF004";
/// What the write is about does not exist.
const NOT_FOUND: &str = "HF005";
/// Rows are not as expected, and nobody looked which.
const UNEXPECTED: &str = "HF006";
/// A row with such a key is there.
const UNIQUE_VIOLATION: &str = "23505";

/// Tells whether a write met something that it did not expect, and should look at more closely.
pub(crate) fn is_unexpected(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == UNEXPECTED || code == UNIQUE_VIOLATION)
}

impl StoreError {
    /// Tells whether it is certain that nothing was written.
    ///
    /// Where it is not, only repeating the very same write, or reading what stands, tells.
    pub fn is_certainly_aborted(&self) -> bool {
        match self {
            Self::OutcomeUnknown(_) | Self::Corrupt(_) => false,
            Self::Fenced { .. }
            | Self::Version(_)
            | Self::Duplicate(_)
            | Self::OperationExists
            | Self::EmailTaken
            | Self::SkuTaken
            | Self::NotFound
            | Self::PageKeyMismatch
            | Self::Unavailable(_)
            | Self::Rejected(_)
            | Self::Migration(_) => true,
        }
    }

    /// Tells whether Postgres was out of reach, so that the same request may succeed later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::OutcomeUnknown(_))
    }

    pub(crate) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }
}

/// Sorts an error of a statement that may have been sent.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refusal) => match refusal.try_downcast_ref::<PgDatabaseError>() {
                Some(refusal) => from_postgres(refusal).unwrap_or(Kind::Rejected).of(error),
                None => Self::Rejected(error),
            },
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::BeginFailed
            | sqlx::Error::Configuration(_) => Self::Unavailable(error),
            sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => Self::Rejected(error),
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::RowNotFound => Self::corrupt(error),
            _ => Self::OutcomeUnknown(error),
        }
    }
}

/// What an answer from Postgres is, before the error itself is taken apart.
enum Kind {
    Typed(StoreError),
    Rejected,
    Unavailable,
    OutcomeUnknown,
}

impl Kind {
    fn of(self, error: sqlx::Error) -> StoreError {
        match self {
            Self::Typed(typed) => typed,
            Self::Rejected => StoreError::Rejected(error),
            Self::Unavailable => StoreError::Unavailable(error),
            Self::OutcomeUnknown => StoreError::OutcomeUnknown(error),
        }
    }
}

fn from_postgres(refusal: &PgDatabaseError) -> Option<Kind> {
    let kind = match refusal.code() {
        FENCED => Kind::Typed(StoreError::Fenced {
            reason: refusal.message().to_owned(),
        }),
        VERSION => Kind::Typed(detail(refusal).map_or_else(|error| error, StoreError::Version)),
        DUPLICATE => Kind::Typed(detail(refusal).map_or_else(|error| error, StoreError::Duplicate)),
        OPERATION_EXISTS => Kind::Typed(StoreError::OperationExists),
        NOT_FOUND => Kind::Typed(StoreError::NotFound),
        UNIQUE_VIOLATION => match refusal.constraint()? {
            "app_user_email_key" => Kind::Typed(StoreError::EmailTaken),
            "product_seller_sku" => Kind::Typed(StoreError::SkuTaken),
            _ => Kind::Rejected,
        },
        // The server ends the session, perhaps between the commit and its confirmation.
        "57P01" | "57P02" | "57P05" => Kind::OutcomeUnknown,
        // Cancelled by a timeout, a deadlock or a lock: raised inside the transaction, which aborts.
        "57014" | "57P03" | "40001" | "40P01" | "55P03" => Kind::Unavailable,
        code if code.starts_with("08") => Kind::OutcomeUnknown,
        // Out of memory, disk or connections; or a standby that takes no writes.
        code if code.starts_with("53") || code == "25006" => Kind::Unavailable,
        _ => Kind::Rejected,
    };
    Some(kind)
}

fn detail<T: DeserializeOwned>(refusal: &PgDatabaseError) -> Result<T, StoreError> {
    serde_json::from_str(refusal.detail().unwrap_or_default()).map_err(StoreError::corrupt)
}
