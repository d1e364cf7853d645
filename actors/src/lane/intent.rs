//! What an entity wants committed: the unit that a batch takes whole or not at all.

use holdfast_domain::{
    Event, MovementId, Operation, OperationKey, OrderId, ProductId, Refusal, StockLevel, Timestamp, UserId,
    stock::StockChange,
};
use holdfast_store::{Lease, OrderWrite, ReservationWrite};
use uuid::Uuid;

use crate::{command::Reply, trace::TraceParent};

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
    /// What it is done for; the lane notes it when the intent is submitted, and on its events.
    pub(crate) trace: Option<TraceParent>,
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

/// A row that a batch may write once. Of two intents that write one, the second must see what became
/// of the first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Row {
    Order(OrderId),
    OrderKey(UserId, OperationKey),
    Reservation(ProductId, OrderId),
    Operation(Uuid, String, OperationKey),
}

impl Intent {
    /// Lists the rows that the intent writes, apart from counters, which add up.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.reservations.len() + 2);
        if let Some(OrderWrite { record, .. }) = &self.order {
            rows.push(Row::Order(record.order.id));
            rows.push(Row::OrderKey(
                record.order.customer_id,
                record.operation_key.clone(),
            ));
        }
        for ReservationWrite { reservation, .. } in &self.reservations {
            rows.push(Row::Reservation(reservation.product_id, reservation.order_id));
        }
        if let Some(OperationIntent { operation, .. }) = &self.operation {
            rows.push(Row::Operation(
                operation.principal,
                operation.route.clone(),
                operation.key.clone(),
            ));
        }
        rows
    }

    /// Returns the counters as the products knew them, which is all that can be told before the commit.
    #[cfg(feature = "fault-points")]
    pub(crate) fn hoped_for(&self) -> Vec<StockLevel> {
        self.stock.iter().map(|stock| stock.base).collect()
    }

    /// Tells whether the intent changes a product's counters.
    pub(super) fn changes_stock_of(&self, product: ProductId) -> bool {
        self.stock.iter().any(|stock| stock.base.product_id == product)
    }

    /// Estimates the bytes that the intent adds to a batch.
    pub(super) fn weight(&self) -> usize {
        let order = self.order.as_ref().map_or(0, |write| {
            let order = &write.record.order;
            let address = order
                .shipping_address
                .as_ref()
                .map_or(0, |address| address.as_str().len());
            let lines: usize = order.lines.iter().map(|line| LINE_BYTES + line.name.len()).sum();
            lines + address + order.note.as_ref().map_or(0, String::len)
        });
        let events: usize = self.events.iter().map(|event| event.data.as_str().len()).sum();
        ROW_BYTES * (1 + self.stock.len() + self.reservations.len()) + order + events
    }
}

/// What a row takes besides its text, about.
const ROW_BYTES: usize = 200;
/// What an order line takes besides its product's name, about.
const LINE_BYTES: usize = 300;

/// Why an intent was not committed. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LaneError {
    /// The node or a shard's epoch has been superseded.
    #[error("fenced")]
    Fenced,
    /// Counters are not what their product believed: its memory is wrong.
    #[error("based on counters that are not so")]
    Conflict,
    /// The order or the reservation has moved on, by somebody else's hand: look again.
    #[error("somebody else was faster")]
    Moved,
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
