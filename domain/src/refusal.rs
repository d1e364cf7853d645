//! What the shop answers when it will not do what was asked.
//!
//! A refusal is an outcome, not a fault: it travels in replies, is stored with an idempotency key,
//! and each kind has one public problem type. Faults of machines are other types in other crates.

use serde::{Deserialize, Serialize};

use crate::{Money, OrderStatus, ProductId, SessionId};

/// One field of a request that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field, as a JSON pointer (RFC 6901) into the request's body, or a parameter's name.
    pub field: String,
    /// What is wrong with it, for a person.
    pub message: String,
}

impl FieldError {
    /// Makes an error about `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// A product of which an order wants more than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The product that is short.
    pub product_id: ProductId,
    /// How many units the order wants.
    pub requested: u32,
    /// How many units could be sold when it was refused.
    pub available: u32,
}

/// Why a request was refused. Nothing was changed, but where a variant says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// There is no such thing, or it is somebody else's: callers cannot tell which.
    #[error("not found")]
    NotFound,
    /// The caller's role may not use this operation at all.
    #[error("this role may not do that")]
    Forbidden,
    /// The request breaks rules about its fields.
    #[error("{} of the fields are not acceptable", .0.len())]
    Invalid(Vec<FieldError>),
    /// Another account has this e-mail address.
    #[error("this e-mail address has an account")]
    EmailTaken,
    /// The e-mail address or the password is wrong, or the account is disabled.
    #[error("wrong e-mail address or password")]
    InvalidCredentials,
    /// Too many failed logins.
    #[error("locked for {retry_after_s} s after too many failed logins")]
    AccountLocked {
        /// Seconds until a login may be tried again.
        retry_after_s: u32,
    },
    /// The refresh token is unknown, expired, or its session has ended.
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
    /// A refresh token was presented again after its use: its session has been revoked.
    #[error("the refresh token was used before; its session {session_id} has been revoked")]
    RefreshTokenReused {
        /// The session that was revoked.
        session_id: SessionId,
    },
    /// The session has been revoked or its user disabled.
    #[error("the session has ended")]
    SessionEnded,
    /// The seller has another product with this SKU.
    #[error("this SKU is taken")]
    SkuTaken,
    /// The edit was based on a version that is no longer current.
    #[error("the current version is {current_version}")]
    VersionMismatch {
        /// The version that stands.
        current_version: i64,
    },
    /// At least one product has fewer units than wanted; nothing was reserved.
    #[error("{} products have fewer units than wanted", .0.len())]
    InsufficientStock(Vec<Shortage>),
    /// The order's total is not what the customer expected.
    #[error("the total is {actual:?}")]
    PriceChanged {
        /// What the order would cost now.
        actual: Money,
    },
    /// The order's state does not allow the move.
    #[error("an order that is {from} cannot be {requested}")]
    InvalidTransition {
        /// The state that stands.
        from: OrderStatus,
        /// The state that was asked for.
        requested: OrderStatus,
    },
    /// The payment provider declined; the order tells of the attempt.
    #[error("the payment was declined: {reason}")]
    PaymentDeclined {
        /// The provider's reason, fit for the customer.
        reason: String,
    },
    /// The idempotency key was used before with another request.
    #[error("the idempotency key belongs to another request")]
    IdempotencyKeyReuse,
    /// A request with this idempotency key is still running.
    #[error("a request with this idempotency key is still running")]
    RequestInProgress,
}

impl Refusal {
    /// Makes a refusal about a single field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    /// Tells whether an idempotency key remembers this refusal.
    ///
    /// Business refusals are final for a key; errors that the client mends and repeats are not.
    pub fn is_remembered(&self) -> bool {
        match self {
            Self::EmailTaken
            | Self::SkuTaken
            | Self::InsufficientStock(_)
            | Self::PriceChanged { .. }
            | Self::InvalidTransition { .. }
            | Self::PaymentDeclined { .. } => true,
            Self::NotFound
            | Self::Forbidden
            | Self::Invalid(_)
            | Self::InvalidCredentials
            | Self::AccountLocked { .. }
            | Self::InvalidRefreshToken
            | Self::RefreshTokenReused { .. }
            | Self::SessionEnded
            | Self::VersionMismatch { .. }
            | Self::IdempotencyKeyReuse
            | Self::RequestInProgress => false,
        }
    }
}
