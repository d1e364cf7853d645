//! Why the store did not do what it was asked, and what that says about the write.

use holdfast_domain::{OperationKey, OrderId, ProductId, SessionId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

mod classify;

pub(crate) use classify::is_unexpected;

/// A row that is not as a write expected it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Stale {
    /// A product's counters.
    Stock {
        /// The product.
        product_id: ProductId,
        /// The version that stands; `None`: no such product.
        version: Option<i64>,
    },
    /// A product's catalogue part.
    Product {
        /// The product.
        product_id: ProductId,
        /// The version that stands; `None`: no such product.
        version: Option<i64>,
    },
    /// A reservation that exists already, is missing, or has moved on.
    Reservation {
        /// The product.
        product_id: ProductId,
        /// The order.
        order_id: OrderId,
    },
    /// An order.
    Order {
        /// The order.
        order_id: OrderId,
        /// The version that stands; `None`: no such order.
        version: Option<i64>,
    },
    /// An account.
    User {
        /// The account.
        user_id: UserId,
        /// The version that stands; `None`: no such account.
        version: Option<i64>,
    },
    /// A session whose current token is another one, or that has ended.
    Session {
        /// The session.
        session_id: SessionId,
    },
}

/// Something in a batch whose key was used before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Duplicate {
    /// An order whose operation key belongs to an order that exists.
    Order {
        /// The order that was to be made.
        order_id: OrderId,
        /// The order that the key made; the same one if it had been written before.
        existing: OrderId,
    },
    /// An operation that was recorded before.
    Operation {
        /// Who asked.
        principal: Uuid,
        /// Method and route template.
        route: String,
        /// The operation's name within that scope.
        key: OperationKey,
    },
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// This incarnation has been superseded, or does not hold a shard at the epoch it believes in.
    /// Nothing was written, and nothing will be under that lease.
    #[error("fenced: {reason}")]
    Fenced {
        /// What the fence found, for the log.
        reason: String,
    },
    /// Rows are not as the write expected them. Nothing was written.
    #[error("{} rows are not as the write expected them", .0.len())]
    Version(Vec<Stale>),
    /// Keys of the batch were used before. Nothing was written.
    #[error("{} keys were used before", .0.len())]
    Duplicate(Vec<Duplicate>),
    /// The operation was recorded before: its outcome can be read. Nothing was written.
    #[error("the operation was recorded before")]
    OperationExists,
    /// Another account has this e-mail address. Nothing was written.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The seller has another product with this SKU. Nothing was written.
    #[error("the sku is taken")]
    SkuTaken,
    /// What the write is about does not exist. Nothing was written.
    #[error("there is no such row")]
    NotFound,
    /// The key of a page belongs to a list with another order.
    #[error("the page's key belongs to another sort order")]
    PageKeyMismatch,
    /// Postgres could not be reached, or gave up in time. Nothing was written.
    #[error("postgres is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The connection was lost after the statement was sent: it may or may not have been committed.
    #[error("the connection to postgres was lost; the outcome is unknown")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// Postgres refused the statement: a constraint or a type stood against it. Nothing was written.
    #[error("postgres refused the statement")]
    Rejected(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("a migration failed")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// What was read is not what this release writes.
    #[error("stored data cannot be decoded: {0}")]
    Corrupt(String),
}
