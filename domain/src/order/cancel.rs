//! Calling an order off.

use serde_json::json;

use super::{Change, Order, OrderStatus, event};
use crate::{
    Caller, EventKind, FieldError, Refusal, Timestamp,
    access::{OrderView, order_view},
    payment::PaymentStatus,
    text::{self, NOTE_MAX_CHARS},
};

/// Cancels an order before its first shipment; its units return and a captured payment is refunded.
///
/// # Errors
/// [`Refusal::NotFound`]: the order is not the caller's to see.
/// [`Refusal::Forbidden`]: a seller of only some lines cannot cancel the others'.
/// [`Refusal::InvalidTransition`]: units have been shipped, or it has ended already.
pub fn cancel(order: &Order, by: &Caller, reason: Option<&str>, at: Timestamp) -> Result<Change, Refusal> {
    match order_view(by, order).ok_or(Refusal::NotFound)? {
        OrderView::Whole => {}
        OrderView::SellerLines(seller) => {
            if order.lines.iter().any(|line| line.seller_id != seller) {
                return Err(Refusal::Forbidden);
            }
        }
    }
    if let Some(reason) = reason {
        text::check("/reason", reason, 0, NOTE_MAX_CHARS)
            .map_err(|error: FieldError| Refusal::Invalid(vec![error]))?;
    }
    if !order.status.may_become(OrderStatus::Cancelled) || order.has_shipped() {
        return Err(order.illegal(OrderStatus::Cancelled));
    }
    let mut next = Order {
        status: OrderStatus::Cancelled,
        expires_at: None,
        ..order.clone()
    };
    let mut events = vec![event(EventKind::OrderCancelled, json!({ "reason": reason }))];
    if let Some(payment) = &mut next.payment {
        if payment.is_held() {
            payment.refund();
            events.push(event(EventKind::PaymentRefunded, json!({ "payment": payment })));
        } else {
            payment.status = PaymentStatus::Voided;
        }
    }
    let change = next.changed(at, Some(by.user_id), events);
    Ok(Change {
        unsettled: true,
        ..change
    })
}
