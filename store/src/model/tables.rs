//! The tables, by their primary keys.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_domain::{
    Event, Movement, NodeId, OperationKey, OrderId, OrderStatus, Product, ProductId, Reservation, ShardId,
    StockLevel, Timestamp, UserId,
};
use uuid::Uuid;

use crate::{EventRecord, NodeRow, OperationRecord, OrderRecord, OrderState, Service};

/// Who owns a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ownership {
    pub(super) owner: Option<NodeId>,
    pub(super) epoch: i64,
}

/// A product's row of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stock {
    pub(super) initial: u32,
    pub(super) level: StockLevel,
}

/// A customer and their key.
pub(super) type CustomerKey = (UserId, String);
/// A caller, a route, and a key within that scope.
pub(super) type OperationScope = (Uuid, String, String);
/// The name of a kind of thing, and which of these it is.
pub(super) type Subject = (&'static str, Uuid);

/// An event's subject, sequence and kind.
pub(super) type EventKey = (Subject, i64, &'static str);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tables {
    pub(super) map_version: i64,
    /// Who said of whom, and when, that it cannot be reached: by suspect and observer.
    pub(super) votes: BTreeMap<(NodeId, NodeId), Timestamp>,
    /// With their heartbeats.
    pub(super) nodes: BTreeMap<NodeId, NodeRow>,
    pub(super) shards: BTreeMap<(Service, ShardId), Ownership>,
    /// The last batch of every lane.
    pub(super) lanes: BTreeMap<(NodeId, i16), Uuid>,
    pub(super) products: BTreeMap<ProductId, Product>,
    pub(super) stock: BTreeMap<ProductId, Stock>,
    /// By ascending version.
    pub(super) movements: BTreeMap<ProductId, Vec<Movement>>,
    pub(super) reservations: BTreeMap<(OrderId, ProductId), Reservation>,
    pub(super) orders: BTreeMap<OrderId, OrderRecord>,
    /// The orders that a key made: one, unless that guard is gone.
    pub(super) order_keys: BTreeMap<CustomerKey, BTreeSet<OrderId>>,
    /// By ascending sequence.
    pub(super) events: BTreeMap<Subject, Vec<EventRecord>>,
    /// The commit that wrote an event, counted from the first.
    pub(super) told_by: BTreeMap<EventKey, u64>,
    /// How many batches were committed.
    pub(super) commits: u64,
    /// The times that an operation took effect: one, unless that guard is gone.
    pub(super) operations: BTreeMap<OperationScope, Vec<OperationRecord>>,
    /// What the fence would have said to commits that it did not see. No table: without the fence,
    /// nothing else may tell of a write that no successor has followed yet.
    pub(super) superseded: Vec<String>,
}

impl Tables {
    pub(super) fn new() -> Self {
        let nobody = Ownership {
            owner: None,
            epoch: 0,
        };
        let all = |service| ShardId::all().map(move |shard| ((service, shard), nobody));
        Self {
            map_version: 1,
            votes: BTreeMap::new(),
            nodes: BTreeMap::new(),
            shards: Service::ALL.into_iter().flat_map(all).collect(),
            lanes: BTreeMap::new(),
            products: BTreeMap::new(),
            stock: BTreeMap::new(),
            movements: BTreeMap::new(),
            reservations: BTreeMap::new(),
            orders: BTreeMap::new(),
            order_keys: BTreeMap::new(),
            events: BTreeMap::new(),
            told_by: BTreeMap::new(),
            commits: 0,
            operations: BTreeMap::new(),
            superseded: Vec::new(),
        }
    }

    /// Lists an order's reservations, by product id.
    pub(super) fn reservations_of(&self, order_id: OrderId) -> impl Iterator<Item = &Reservation> {
        let first = (order_id, ProductId(Uuid::nil()));
        let last = (order_id, ProductId(Uuid::max()));
        self.reservations
            .range(first..=last)
            .map(|(_, reservation)| reservation)
    }

    pub(super) fn ledger_insert(&mut self, movement: Movement) {
        let ledger = self.movements.entry(movement.level.product_id).or_default();
        let at = ledger.partition_point(|entry| entry.level.version <= movement.level.version);
        ledger.insert(at, movement);
    }

    pub(super) fn event_insert(&mut self, record: EventRecord) {
        self.told_by.insert(event_key_of(&record.event), self.commits);
        let told = self.events.entry(subject_of(&record.event)).or_default();
        let at = told.partition_point(|earlier| earlier.event.sequence <= record.event.sequence);
        told.insert(at, record);
    }

    /// Writes an order's row. One that is not placed has no status: it would begin with the first.
    pub(super) fn order_put(&mut self, mut record: OrderRecord) {
        if record.state != OrderState::Placed {
            record.order.status = OrderStatus::PendingPayment;
        }
        let key = key_of(&record);
        self.order_keys.entry(key).or_default().insert(record.order.id);
        self.orders.insert(record.order.id, record);
    }
}

pub(super) fn subject_of(event: &Event) -> Subject {
    (event.kind.aggregate().as_str(), event.subject)
}

pub(super) fn event_key_of(event: &Event) -> EventKey {
    (subject_of(event), event.sequence, event.kind.as_str())
}

pub(super) fn key_of(record: &OrderRecord) -> CustomerKey {
    (record.order.customer_id, record.operation_key.as_str().to_owned())
}

pub(super) fn scope_of(record: &OperationRecord) -> OperationScope {
    let operation = &record.operation;
    scope(operation.principal, &operation.route, &operation.key)
}

pub(super) fn scope(principal: Uuid, route: &str, key: &OperationKey) -> OperationScope {
    (principal, route.to_owned(), key.as_str().to_owned())
}
