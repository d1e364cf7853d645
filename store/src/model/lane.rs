//! The lane's batch: as in Postgres, statement after statement, and written only if all succeed.
//!
//! Each statement has two sides: the rows that it would write are staged, and of those that it would
//! not, it names which stood in the way. A row that the batch itself has written stands in nobody's
//! way: if there are no others, the batch names a row twice, a fault of its sender.

mod keys;
mod ledger;
mod rows;

use std::collections::BTreeMap;

use holdfast_domain::{OrderId, ProductId, Reservation, StockLevel};

use super::{
    Model, constraint,
    fence::{Claim, Passed, expect_covered},
    rejected,
    tables::{CustomerKey, scope_of},
};
use crate::{Batch, Committed, EventRecord, OrderRecord, Service, StoreError};

/// Rows that a batch is going to write.
#[derive(Default)]
struct Staged {
    made_orders: BTreeMap<OrderId, OrderRecord>,
    made_keys: BTreeMap<CustomerKey, OrderId>,
    moved_orders: BTreeMap<OrderId, OrderRecord>,
    stock: BTreeMap<ProductId, StockLevel>,
    made_reservations: BTreeMap<(OrderId, ProductId), Reservation>,
    moved_reservations: BTreeMap<(OrderId, ProductId), Reservation>,
}

impl Model {
    /// Commits a batch, all or nothing; see [`Store::lane_commit`](crate::Store::lane_commit).
    pub fn lane_commit(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        if self.tables.nodes.contains_key(&batch.node_id) {
            constraint::lane(batch.lane)?;
        }
        let last = self.tables.lanes.get(&(batch.node_id, batch.lane));
        if last == Some(&batch.batch_id) {
            return Ok(Committed::Already);
        }
        let passed = self.enter(batch)?;
        let mut staged = Staged::default();

        let mut duplicates = self.expect_operations_new(&batch.operations)?;
        duplicates.extend(self.make_orders(&batch.orders, &mut staged)?);
        if !duplicates.is_empty() {
            return Err(StoreError::Duplicate(duplicates));
        }
        let mut stale = self.move_stock(&batch.stock, &mut staged)?;
        stale.extend(self.write_reservations(&batch.reservations, &mut staged)?);
        stale.extend(self.move_orders(&batch.orders, &mut staged)?);
        if !stale.is_empty() {
            return Err(StoreError::Version(stale));
        }
        self.expect_ledger_new(&batch.movements)?;
        self.expect_events_new(&batch.events)?;

        self.apply(batch, staged, passed);
        Ok(Committed::Now)
    }

    /// Lets a batch in whose node is not superseded, and whose leases are held and cover what it writes.
    fn enter(&self, batch: &Batch) -> Result<Passed, StoreError> {
        let leases = batch.leases.iter();
        let claims: Vec<Claim> = leases
            .map(|lease| (lease.service, lease.shard, lease.epoch))
            .collect();
        let passed = self.fence(batch.node_id, &claims)?;
        let stock = batch.stock.iter().map(|write| write.level.product_id);
        let movements = batch.movements.iter().map(|entry| entry.level.product_id);
        let reservations = batch
            .reservations
            .iter()
            .map(|write| write.reservation.product_id);
        let products = stock.chain(movements).chain(reservations);
        expect_covered(Service::Products, &claims, products.map(ProductId::shard))?;
        let orders = batch.orders.iter().map(|write| write.record.order.id.shard());
        expect_covered(Service::Orders, &claims, orders)?;
        Ok(passed)
    }

    fn apply(&mut self, batch: &Batch, staged: Staged, passed: Passed) {
        let tables = &mut self.tables;
        tables.commits += 1;
        if tables.nodes.contains_key(&batch.node_id) {
            tables.lanes.insert((batch.node_id, batch.lane), batch.batch_id);
        }
        for record in &batch.operations {
            let effects = tables.operations.entry(scope_of(record)).or_default();
            effects.push(record.clone());
        }
        let made_and_moved = staged
            .made_orders
            .into_values()
            .chain(staged.moved_orders.into_values());
        made_and_moved.for_each(|record| tables.order_put(record));
        for (product_id, level) in staged.stock {
            if let Some(row) = tables.stock.get_mut(&product_id) {
                row.level = level;
            }
        }
        tables.reservations.extend(staged.made_reservations);
        tables.reservations.extend(staged.moved_reservations);
        for movement in &batch.movements {
            tables.ledger_insert(movement.clone());
        }
        for write in &batch.events {
            tables.event_insert(EventRecord {
                event: write.event.clone(),
                node: passed.name.clone(),
                epoch: write.epoch,
            });
        }
        tables.superseded.extend(passed.superseded);
    }
}

/// Returns the rows that stood in the way of a statement that wrote fewer than it was asked to.
fn offenders<T>(found: Vec<T>) -> Result<Vec<T>, StoreError> {
    if found.is_empty() {
        return Err(rejected("the batch names a row twice"));
    }
    Ok(found)
}
