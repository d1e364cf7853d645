//! What an entity wants committed: the unit that a batch takes whole or not at all.

use holdfast_domain::{Event, MovementId, Operation, Refusal, StockLevel, Timestamp, stock::StockChange};
use holdfast_store::{Lease, OrderWrite, ReservationWrite};

use crate::command::Reply;

/// A change that is decided and not yet durable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    /// The shards that it writes, as the entity believes to own them.
    pub(crate) leases: Vec<Lease>,
    /// Changes of counters, at most one for a product.
    pub(crate) stock: Vec<StockIntent>,
    /// Reservations to make or to advance.
    pub(crate) reservations: Vec<ReservationWrite>,
    /// The order to write.
    pub(crate) order: Option<OrderWrite>,
    /// What happened, as others will hear; stock tells its own events.
    pub(crate) events: Vec<Event>,
    /// The operation to remember, where the order does not.
    pub(crate) operation: Option<OperationIntent>,
}

/// An operation to be remembered.
#[derive(Clone, Debug)]
pub(crate) struct OperationIntent {
    /// The operation.
    pub(crate) operation: Operation,
    /// By what.
    pub(crate) remembered: Remembered,
    /// When it was decided.
    pub(crate) at: Timestamp,
}

/// A change of one product's counters. The lane adds the version.
#[derive(Clone, Debug)]
pub(crate) struct StockIntent {
    /// The committed counters that the product knew.
    pub(crate) base: StockLevel,
    /// The change; several in a row count as one step.
    pub(crate) changes: Vec<StockChange>,
    /// The only version at which the change may be made.
    pub(crate) only_at: Option<i64>,
    /// At or below this many available units, `stock.low` is told.
    pub(crate) low_stock_threshold: Option<u32>,
}

/// The outcome that an operation will be remembered by.
#[derive(Clone, Debug)]
pub(crate) enum Remembered {
    /// It is known beforehand.
    Reply(Box<Reply>),
    /// It is a refusal, known beforehand.
    Refusal(Refusal),
    /// It tells the counters after this movement, which only the batch knows.
    Adjusted(MovementId),
    /// It tells the counters, which only the batch knows.
    Stock,
}

/// Why an intent was not committed. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LaneError {
    /// The node or a shard's epoch has been superseded.
    #[error("fenced")]
    Fenced,
    /// What it was based on is no longer so: decide anew.
    #[error("based on a state that has changed")]
    Conflict,
    /// The stock's version is not the one that was asked for.
    #[error("the stock's version is {current}")]
    StockVersion {
        /// The version that stands.
        current: i64,
    },
    /// The operation's key, or the order's, has been used.
    #[error("the operation was done before")]
    Duplicate,
    /// Too much is waiting.
    #[error("too much is waiting")]
    Overloaded,
    /// The store refused for a reason that asking again will not change.
    #[error("the store refused the batch")]
    Rejected,
}
