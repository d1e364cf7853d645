//! Giving up an order that was not paid in time.

use serde_json::json;

use super::{Change, Order, OrderStatus, event};
use crate::{EventKind, Refusal, Timestamp};

/// Expires an unpaid order whose time is over.
///
/// # Errors
/// [`Refusal::InvalidTransition`]: it does not wait for a payment, or has time left.
pub fn expire(order: &Order, at: Timestamp) -> Result<Change, Refusal> {
    let is_due = order.expires_at.is_some_and(|expires_at| at >= expires_at);
    if order.status != OrderStatus::PendingPayment || !is_due {
        return Err(order.illegal(OrderStatus::Expired));
    }
    let next = Order {
        status: OrderStatus::Expired,
        ..order.clone()
    };
    let change = next.changed(at, None, vec![event(EventKind::OrderExpired, json!({}))]);
    Ok(Change {
        unsettled: true,
        ..change
    })
}
