//! Rows that must stand as the writer believes: counters, reservations, orders.
//!
//! A statement sees what those before it have written and not what it writes itself; of two writes
//! that it could make to one row, it makes the first.

use std::collections::BTreeMap;

use holdfast_domain::{OrderId, ProductId, Reservation};

use super::{Staged, offenders};
use crate::{
    OrderExpected, OrderRecord, OrderState, OrderWrite, ReservationWrite, Stale, StockWrite, StoreError,
    model::{Model, constraint},
};

impl Model {
    /// Stages new counters, and names the products that stand at another version.
    pub(super) fn move_stock(
        &self,
        writes: &[StockWrite],
        staged: &mut Staged,
    ) -> Result<Vec<Stale>, StoreError> {
        let mut missed = 0;
        for StockWrite {
            expected_version,
            level,
        } in writes
        {
            let row = self.tables.stock.get(&level.product_id);
            let is_matched = match row {
                Some(row) => row.level.version == *expected_version || !self.guards.versions,
                None => false,
            };
            if is_matched {
                constraint::stock(level)?;
            }
            if !is_matched || !insert_first(&mut staged.stock, level.product_id, *level) {
                missed += 1;
            }
        }
        if missed == 0 || !self.guards.versions {
            return Ok(Vec::new());
        }
        let products = writes.iter().map(|write| write.level.product_id);
        let stale = products.filter(|id| !staged.stock.contains_key(id));
        offenders(
            stale
                .map(|product_id| Stale::Stock {
                    product_id,
                    version: self.tables.stock.get(&product_id).map(|row| row.level.version),
                })
                .collect(),
        )
    }

    /// Stages reservations made or progressed, and names those that stand otherwise.
    pub(super) fn write_reservations(
        &self,
        writes: &[ReservationWrite],
        staged: &mut Staged,
    ) -> Result<Vec<Stale>, StoreError> {
        let mut missed = 0;
        for write in writes.iter().filter(|write| write.before.is_none()) {
            constraint::reservation(&write.reservation)?;
            let key = key_of(&write.reservation);
            let exists = self.tables.reservations.contains_key(&key);
            if exists || !insert_first(&mut staged.made_reservations, key, write.reservation) {
                missed += 1;
            }
        }
        for ReservationWrite { reservation, before } in writes {
            let Some(before) = before else { continue };
            let key = key_of(reservation);
            let made = staged.made_reservations.get(&key);
            let standing = made.or_else(|| self.tables.reservations.get(&key));
            let is_as_before =
                |row: &Reservation| (row.round, row.progress) == (before.round, before.progress);
            let matched = standing.filter(|row| is_as_before(row) || !self.guards.versions);
            // Who sells it, and how much was promised, never change.
            let next = matched.map(|row| Reservation {
                round: reservation.round,
                progress: reservation.progress,
                ..*row
            });
            if let Some(next) = &next {
                constraint::reservation(next)?;
            }
            if !next.is_some_and(|next| insert_first(&mut staged.moved_reservations, key, next)) {
                missed += 1;
            }
        }
        if missed == 0 || !self.guards.versions {
            return Ok(Vec::new());
        }
        let written = |row: &Reservation| {
            let key = key_of(row);
            staged.made_reservations.contains_key(&key) || staged.moved_reservations.contains_key(&key)
        };
        let rows = writes.iter().map(|write| &write.reservation);
        let stale = rows.filter(|row| !written(row));
        offenders(
            stale
                .map(|row| Stale::Reservation {
                    product_id: row.product_id,
                    order_id: row.order_id,
                })
                .collect(),
        )
    }

    /// Stages moves of orders, and names the orders that stand otherwise.
    pub(super) fn move_orders(
        &self,
        writes: &[OrderWrite],
        staged: &mut Staged,
    ) -> Result<Vec<Stale>, StoreError> {
        let moves = writes
            .iter()
            .filter(|write| write.expected != OrderExpected::Absent);
        let mut missed = 0;
        for write in moves.clone() {
            let next = self.moved(write, staged);
            if let Some(next) = &next {
                constraint::order(next)?;
            }
            let order_id = write.record.order.id;
            if !next.is_some_and(|next| insert_first(&mut staged.moved_orders, order_id, next)) {
                missed += 1;
            }
        }
        if missed == 0 || !self.guards.order_compare_and_set {
            return Ok(Vec::new());
        }
        let written =
            |id: &OrderId| staged.moved_orders.contains_key(id) || staged.made_orders.contains_key(id);
        let stale = moves.map(|write| write.record.order.id).filter(|id| !written(id));
        offenders(
            stale
                .map(|order_id| Stale::Order {
                    order_id,
                    version: self
                        .tables
                        .orders
                        .get(&order_id)
                        .map(|record| record.order.version),
                })
                .collect(),
        )
    }

    /// Returns an order's row after a move, if it stands as the move expects.
    fn moved(&self, OrderWrite { record, expected }: &OrderWrite, staged: &Staged) -> Option<OrderRecord> {
        let id = record.order.id;
        let made = staged.made_orders.get(&id);
        let standing = made.or_else(|| self.tables.orders.get(&id))?;
        let is_expected = match expected {
            OrderExpected::Absent => false,
            OrderExpected::Placing => matches!(standing.state, OrderState::Placing { .. }),
            OrderExpected::Placed { version } => {
                standing.state == OrderState::Placed && standing.order.version == *version
            }
        };
        if !is_expected && self.guards.order_compare_and_set {
            return None;
        }
        // Whose it is and which request made it never change.
        let mut next = record.clone();
        next.order.customer_id = standing.order.customer_id;
        next.operation_key = standing.operation_key.clone();
        next.fingerprint = standing.fingerprint;
        Some(next)
    }
}

fn key_of(row: &Reservation) -> (OrderId, ProductId) {
    (row.order_id, row.product_id)
}

/// Inserts a row unless there is one, and returns whether it did.
fn insert_first<K: Ord, V>(rows: &mut BTreeMap<K, V>, key: K, row: V) -> bool {
    let is_first = !rows.contains_key(&key);
    if is_first {
        rows.insert(key, row);
    }
    is_first
}
