//! Why a call through the cluster did not do what was asked.

use std::time::Duration;

use holdfast_domain::Refusal;
use holdfast_store::StoreError;

/// Why a call through the cluster did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The shop will not.
    #[error("refused: {refusal}")]
    Refused {
        /// Why.
        #[source]
        refusal: Refusal,
        /// Whether an earlier request with the same key was refused so.
        replayed: bool,
    },
    /// No owner could be reached, or the database cannot be: the outcome may be unknown, and asking
    /// again with the same operation is safe.
    #[error("unavailable, ask again in {} ms: {reason}", .retry_after.as_millis())]
    Unavailable {
        /// When asking again may help.
        retry_after: Duration,
        /// What was in the way, for the log; not for clients.
        reason: &'static str,
    },
    /// The database answered what the program cannot accept.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// An answer of the wrong kind came back.
    #[error("an owner answered with the wrong kind of reply")]
    WrongReply,
}

impl Error {
    /// Makes the error of a cluster that cannot serve right now.
    pub(crate) const fn unavailable(reason: &'static str) -> Self {
        Self::Unavailable {
            retry_after: Duration::from_secs(1),
            reason,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            refusal,
            replayed: false,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        if error.is_unavailable() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the database cannot be reached"
            );
            Self::unavailable("the database cannot be reached")
        } else {
            Self::Store(error)
        }
    }
}
