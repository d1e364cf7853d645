//! What a batch holds.

use holdfast_domain::{Movement, NodeId, Reservation, StockLevel};
use uuid::Uuid;

use crate::{EventWrite, Lease, OperationRecord, OrderRecord};

/// New counters of a product. One per product and batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockWrite {
    /// The version that must stand.
    pub expected_version: i64,
    /// The counters after all of the batch's movements; the version counts each of these.
    pub level: StockLevel,
}

/// A reservation that is made, or that has progressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservationWrite {
    /// The reservation after the write.
    pub reservation: Reservation,
    /// The reservation whose round and progress must stand; `None`: none must exist.
    pub before: Option<Reservation>,
}

/// What must stand where an order is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderExpected {
    /// Nothing: neither the order nor another with its customer's key.
    Absent,
    /// The order, being placed.
    Placing,
    /// The order, placed, at this version.
    Placed {
        /// The version.
        version: i64,
    },
}

/// An order that is made or moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderWrite {
    /// The order's row after the write. Its customer, key and fingerprint never change.
    pub record: OrderRecord,
    /// What must stand.
    pub expected: OrderExpected,
}

/// What a lane commits at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Names the batch, so that sending it again is seen.
    pub batch_id: Uuid,
    /// The writing incarnation.
    pub node_id: NodeId,
    /// Which of the node's lanes.
    pub lane: i16,
    /// The leases under which it writes; they cover every product and order in it.
    pub leases: Vec<Lease>,
    /// New counters, one per product.
    pub stock: Vec<StockWrite>,
    /// The ledger's entries that explain them.
    pub movements: Vec<Movement>,
    /// Reservations made or progressed.
    pub reservations: Vec<ReservationWrite>,
    /// Orders made or moved.
    pub orders: Vec<OrderWrite>,
    /// What happened.
    pub events: Vec<EventWrite>,
    /// Operations that it fulfils, apart from orders' own keys.
    pub operations: Vec<OperationRecord>,
}

/// When a batch was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// By this call.
    Now,
    /// By an earlier call, whose answer was lost.
    Already,
}
