//! What becomes of an order that was paid too late: it goes on, or the money goes back.

use serde_json::json;

use super::{Change, Order, OrderStatus, event};
use crate::{EventKind, Refusal, Timestamp};

/// Confirms an order that was paid too late, since all of its units could be reserved again.
///
/// # Errors
/// [`Refusal::InvalidTransition`]: it does not wait for its units, or no longer.
pub fn revive(order: &Order, at: Timestamp) -> Result<Change, Refusal> {
    if !order.awaits_units() {
        return Err(order.illegal(OrderStatus::Confirmed));
    }
    let next = Order {
        status: OrderStatus::Confirmed,
        expires_at: None,
        ..order.clone()
    };
    let confirmed = event(EventKind::OrderConfirmed, json!({ "payment": next.payment }));
    Ok(next.changed(at, None, vec![confirmed]))
}

/// Refunds the late payment of an order of which some units are no longer there; it stays expired.
///
/// # Errors
/// [`Refusal::InvalidTransition`]: it does not wait for its units, or no longer.
pub fn refund_late(order: &Order, at: Timestamp) -> Result<Change, Refusal> {
    let mut next = order.clone();
    let Some(payment) = next.payment.as_mut().filter(|_| order.awaits_units()) else {
        return Err(order.illegal(OrderStatus::Expired));
    };
    payment.refund();
    let refunded = event(EventKind::PaymentRefunded, json!({ "payment": payment }));
    let change = next.changed(at, None, vec![refunded]);
    Ok(Change {
        unsettled: true,
        ..change
    })
}
