//! Orders: keys, lines, what was reserved for them, and where they stand.

use std::collections::BTreeSet;

use holdfast_domain::{Order, OrderStatus, ProductId};

use crate::{OrderRecord, OrderState, model::tables::Tables};

/// Lists the orders that were placed.
pub(super) fn placed(tables: &Tables) -> impl Iterator<Item = &Order> {
    let records = tables.orders.values();
    let placed = records.filter(|record| record.state == OrderState::Placed);
    placed.map(|record| &record.order)
}

/// Stock, reservations and products have what they refer to.
pub(super) fn orphans(tables: &Tables) -> Vec<String> {
    let mut found = Vec::new();
    for id in tables.products.keys().filter(|id| !tables.stock.contains_key(id)) {
        found.push(format!("product {id} has no stock"));
    }
    let entries = tables.movements.values().flatten();
    for entry in entries.filter(|entry| !tables.stock.contains_key(&entry.level.product_id)) {
        found.push(format!("a movement is of product {}", entry.level.product_id));
    }
    for ((order_id, product_id), row) in &tables.reservations {
        if !tables.orders.contains_key(order_id) {
            found.push(format!("product {product_id} is reserved for order {order_id}"));
        }
        let product = tables.products.get(product_id);
        if product.is_none_or(|product| product.seller_id != row.seller_id) {
            found.push(format!(
                "product {product_id} of seller {} is reserved",
                row.seller_id
            ));
        }
    }
    found
}

/// An idempotency key of a customer makes at most one order.
pub(super) fn keys(tables: &Tables) -> Vec<String> {
    let shared = tables.order_keys.iter().filter(|(_, made)| made.len() > 1);
    shared
        .map(|((customer_id, key), made)| format!("customer {customer_id} made {made:?} with key {key}"))
        .collect()
}

/// A placed order has all its lines reserved and nothing else; a refused one that is settled, nothing.
pub(super) fn lines(tables: &Tables) -> Vec<String> {
    let mut found = Vec::new();
    for order in placed(tables) {
        let reserved_ids = tables.reservations_of(order.id).map(|row| row.product_id);
        let line_ids = order.lines.iter().map(|line| line.product_id);
        let products: BTreeSet<_> = reserved_ids.chain(line_ids).collect();
        for product_id in products {
            let line = order.lines.iter().find(|line| line.product_id == product_id);
            let row = tables.reservations.get(&(order.id, product_id));
            let ordered = line.map(|line| (line.seller_id, line.quantity));
            let reserved = row.map(|row| (row.seller_id, row.quantity.get()));
            if ordered != reserved {
                found.push(format!(
                    "order {} wants {ordered:?} of product {product_id} and has {reserved:?}",
                    order.id
                ));
            }
        }
    }
    let refused = |record: &&OrderRecord| matches!(record.state, OrderState::Refused(_)) && !record.unsettled;
    for record in tables.orders.values().filter(refused) {
        let id = record.order.id;
        if tables.reservations_of(id).any(|row| row.held() > 0) {
            found.push(format!("order {id} was refused and still holds units"));
        }
    }
    found
}

/// Reservations have been shipped and released as their orders say.
pub(super) fn progress(tables: &Tables) -> Vec<String> {
    let mut found = Vec::new();
    for order in placed(tables) {
        let OrderRecord { unsettled, round, .. } = tables.orders[&order.id];
        for line in &order.lines {
            let Some(row) = tables.reservations.get(&(order.id, line.product_id)) else {
                continue;
            };
            let (target, progress) = (order.progress_of(line), row.progress);
            if row.round > round
                || progress.shipped > target.shipped
                || row.round == round && progress.released > target.released
                || !unsettled && (row.round, progress) != (round, target)
            {
                found.push(format!(
                    "order {} is at {target:?} of round {round} with product {}, its reservation at \
                     {progress:?} of round {}",
                    order.id, line.product_id, row.round
                ));
            }
        }
    }
    found
}

/// An order's status agrees with its lines, its payment and its total.
pub(super) fn statuses(tables: &Tables) -> Vec<String> {
    let unsound = placed(tables).filter(|order| {
        let record = &tables.orders[&order.id];
        !is_status_sound(order) || !is_payment_sound(record)
    });
    unsound
        .map(|order| {
            format!(
                "order {} is {} and its rest says otherwise",
                order.id, order.status
            )
        })
        .collect()
}

fn is_status_sound(order: &Order) -> bool {
    use OrderStatus::{
        Cancelled, Confirmed, Expired, Fulfilled, PartiallyReturned, PendingPayment, Returned,
    };
    let are_lines_sound = order.lines.iter().all(|line| {
        i128::from(line.line_total.amount) == i128::from(line.unit_price.amount) * i128::from(line.quantity)
            && line.line_total.currency == order.total.currency
            && line.fulfilled <= line.quantity
    });
    let totals = order.lines.iter().map(|line| i128::from(line.line_total.amount));
    let ordered: u64 = order.lines.iter().map(|line| u64::from(line.quantity)).sum();
    let fulfilled: u64 = order.lines.iter().map(|line| u64::from(line.fulfilled)).sum();
    let status = order.status;
    let has_nothing_shipped = matches!(status, PendingPayment | Confirmed | Cancelled | Expired);
    let has_all_shipped = matches!(status, Fulfilled | PartiallyReturned | Returned);
    are_lines_sound
        && totals.sum::<i128>() == i128::from(order.total.amount)
        && (fulfilled == 0) == has_nothing_shipped
        && (fulfilled == ordered) == has_all_shipped
}

fn is_payment_sound(record: &OrderRecord) -> bool {
    use OrderStatus::{Cancelled, Expired, PendingPayment};
    let status = record.order.status;
    match &record.order.payment {
        None => matches!(status, PendingPayment | Cancelled) || status == Expired && record.round == 0,
        Some(payment) => match status {
            PendingPayment => false,
            Cancelled => payment.captured == payment.refunded,
            // Paid late: it has the units again, or the money goes back.
            Expired => record.round > 0 && (record.unsettled || !record.order.awaits_units()),
            _ => true,
        },
    }
}

/// An order shares the shard of its lowest product.
pub(super) fn shards(tables: &Tables) -> Vec<String> {
    let lowest = |order: &Order| order.lines.iter().map(|line| line.product_id).min();
    let astray = placed(tables).filter(|order| lowest(order).map(ProductId::shard) != Some(order.id.shard()));
    astray
        .map(|order| format!("order {} is not in the shard of its lowest product", order.id))
        .collect()
}
