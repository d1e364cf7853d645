//! Orders and operations: what is read of them, and the one write that is not the lane's.

use holdfast_domain::{
    EventKind, OperationKey, Order, OrderId, OrderStatus, PaymentId, PaymentProvider, ShardId, Timestamp,
    UserId, event::Aggregate,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Model,
    tables::{CustomerKey, scope},
};
use crate::{
    EventRecord, Lease, OrderRecord, OrderState, Service, StoreError, StoredOperation, UnfinishedOrder,
    UnfinishedWork,
};

impl Model {
    /// Reads an order's row, whatever its state.
    pub fn order_record(&self, order_id: OrderId) -> Option<OrderRecord> {
        self.tables.orders.get(&order_id).cloned()
    }

    /// Finds the order that a customer's key made.
    pub fn order_by_key(&self, customer_id: UserId, key: &OperationKey) -> Option<OrderRecord> {
        let key: CustomerKey = (customer_id, key.as_str().to_owned());
        let made = self.tables.order_keys.get(&key)?;
        self.order_record(*made.first()?)
    }

    /// Lists every order's row, by id.
    pub fn orders(&self) -> impl Iterator<Item = &OrderRecord> {
        self.tables.orders.values()
    }

    /// Lists an order's events, oldest first.
    pub fn order_events(&self, order_id: OrderId) -> &[EventRecord] {
        self.events_of(Aggregate::Order, order_id.0)
    }

    /// Lists all events, by aggregate and subject, oldest first.
    pub fn events(&self) -> impl Iterator<Item = &EventRecord> {
        self.tables.events.values().flatten()
    }

    /// Lists the events of an aggregate, oldest first.
    pub fn events_of(&self, aggregate: Aggregate, subject: Uuid) -> &[EventRecord] {
        let told = self.tables.events.get(&(aggregate.as_str(), subject));
        told.map_or(&[], Vec::as_slice)
    }

    /// Returns an order as it was when it was placed, from its first event.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: the event tells of no order.
    pub fn placed_snapshot(&self, order_id: OrderId) -> Result<Option<Order>, StoreError> {
        #[derive(Deserialize)]
        struct Placed {
            order: Order,
        }
        let mut told = self.order_events(order_id).iter();
        let Some(placed) = told.find(|record| record.event.kind == EventKind::OrderPlaced) else {
            return Ok(None);
        };
        let placed = serde_json::from_str(placed.event.data.as_str());
        placed
            .map(|placed: Placed| Some(placed.order))
            .map_err(StoreError::corrupt)
    }

    /// Tells whether an order's events tell that a payment was captured; see
    /// [`Store::payment_is_known`](crate::Store::payment_is_known).
    pub fn payment_is_known(&self, order_id: OrderId, provider: PaymentProvider, reference: &str) -> bool {
        let mut told = self.order_events(order_id).iter().map(|record| &record.event);
        told.any(|event| {
            let data = event.data.to_map();
            matches!(event.kind, EventKind::PaymentCaptured | EventKind::OrderUpdated)
                && data.get("payment").is_some_and(|payment| {
                    payment["provider"] == provider.as_str() && payment["status"] != "authorised"
                })
                && data.get("reference").is_some_and(|named| named == reference)
        })
    }

    /// Returns the last name by which an order's events call one of its payments; see
    /// [`Store::payment_name`](crate::Store::payment_name).
    pub fn payment_name(&self, order_id: OrderId, payment_id: PaymentId) -> Option<String> {
        let told = self
            .order_events(order_id)
            .iter()
            .rev()
            .map(|record| &record.event);
        let telling = told.filter(|event| {
            matches!(
                event.kind,
                EventKind::PaymentCaptured | EventKind::OrderConfirmed | EventKind::OrderUpdated
            )
        });
        let mut names = telling.filter_map(|event| {
            let data = event.data.to_map();
            let is_its = data.get("payment")?["id"] == payment_id.0.to_string();
            is_its.then(|| data.get("reference")?.as_str().map(str::to_owned))?
        });
        names.next()
    }

    /// Lists up to `limit` orders for each kind of work in these shards, by id; `now` is the Postgres
    /// clock. See [`Store::orders_unfinished`](crate::Store::orders_unfinished).
    pub fn orders_unfinished(&self, shards: &[ShardId], limit: u32, now: Timestamp) -> Vec<UnfinishedOrder> {
        let is_left = |work, record: &OrderRecord| match work {
            UnfinishedWork::Placing => {
                matches!(record.state, OrderState::Placing { deadline } if deadline <= now)
            }
            UnfinishedWork::Unsettled => record.unsettled,
            UnfinishedWork::Expiring => {
                record.state == OrderState::Placed
                    && record.order.status == OrderStatus::PendingPayment
                    && record.order.expires_at.is_some_and(|at| at <= now)
            }
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let works = [
            UnfinishedWork::Placing,
            UnfinishedWork::Unsettled,
            UnfinishedWork::Expiring,
        ];
        let of = |work| {
            self.tables
                .orders
                .iter()
                .filter(move |(id, record)| shards.contains(&id.shard()) && is_left(work, record))
                .map(move |(&order_id, _)| UnfinishedOrder { order_id, work })
                .take(limit)
        };
        works.into_iter().flat_map(of).collect()
    }

    /// Notes that an order's reservations have followed it; see
    /// [`Store::order_settled`](crate::Store::order_settled).
    pub fn order_settled(
        &mut self,
        lease: &Lease,
        order_id: OrderId,
        version: i64,
    ) -> Result<bool, StoreError> {
        let passed = self.fence(lease.node_id, &[(Service::Orders, order_id.shard(), lease.epoch)])?;
        let order = self.tables.orders.get_mut(&order_id);
        let Some(record) = order.filter(|record| record.order.version == version) else {
            return Ok(false);
        };
        record.unsettled = false;
        self.tables.superseded.extend(passed.superseded);
        Ok(true)
    }

    /// Finds what was recorded of an operation.
    pub fn operation(&self, principal: Uuid, route: &str, key: &OperationKey) -> Option<StoredOperation> {
        let record = self
            .tables
            .operations
            .get(&scope(principal, route, key))?
            .first()?;
        Some(StoredOperation {
            fingerprint: record.operation.fingerprint,
            outcome: record.outcome.clone(),
        })
    }
}
