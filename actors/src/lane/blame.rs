//! Which intents of a batch stood in its way.

use holdfast_store::{Duplicate, Stale};

use super::intent::{Intent, LaneError};

/// Tells whether and how an intent was based on one of the rows that were not as expected.
///
/// Counters that are not as expected mean that their product's memory is wrong; an order or a
/// reservation that has moved on means only that somebody else was faster.
pub(super) fn conflict(intent: &Intent, stale: &[Stale]) -> Option<LaneError> {
    let mut blamed = None;
    for row in stale {
        match row {
            Stale::Stock { product_id, .. } => {
                if intent
                    .stock
                    .iter()
                    .any(|stock| stock.base.product_id == *product_id)
                {
                    return Some(LaneError::Conflict);
                }
            }
            Stale::Order { order_id, .. } => {
                if intent
                    .order
                    .as_ref()
                    .is_some_and(|write| write.record.order.id == *order_id)
                {
                    blamed = Some(LaneError::Moved);
                }
            }
            Stale::Reservation { product_id, order_id } => {
                let writes_it = intent.reservations.iter().any(|write| {
                    write.reservation.product_id == *product_id && write.reservation.order_id == *order_id
                });
                if writes_it {
                    blamed = Some(LaneError::Moved);
                }
            }
            Stale::Product { .. } | Stale::User { .. } | Stale::Session { .. } => {}
        }
    }
    blamed
}

/// Tells whether an intent uses one of the keys that were used before.
pub(super) fn duplicate(intent: &Intent, duplicates: &[Duplicate]) -> Option<LaneError> {
    let is_guilty = duplicates.iter().any(|duplicate| match duplicate {
        Duplicate::Order { order_id, .. } => intent
            .order
            .as_ref()
            .is_some_and(|write| write.record.order.id == *order_id),
        Duplicate::Operation {
            principal,
            route,
            key,
        } => intent.operation.as_ref().is_some_and(|found| {
            found.operation.principal == *principal
                && found.operation.route == *route
                && found.operation.key == *key
        }),
    });
    is_guilty.then_some(LaneError::Duplicate)
}
