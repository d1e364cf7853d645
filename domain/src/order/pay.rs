//! Paying an order.

use serde_json::json;

use super::{Change, Order, OrderStatus, event, tells};
use crate::{
    EventKind, Payment, PaymentId, PaymentProvider, Refusal, Timestamp, UserId,
    payment::{PaymentDecision, PaymentStatus},
};

/// A payment attempt that has an outcome. Both outcomes change the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// What becomes of the order.
    pub change: Change,
    /// The payment, or [`Refusal::PaymentDeclined`].
    pub outcome: Result<Payment, Refusal>,
}

/// Pays an order by `method` of `provider`, which may know the payment by a name already.
///
/// An order whose promised money did not come may be paid once more; it stays where it stands.
///
/// # Errors
/// [`Refusal::InvalidTransition`]: the order does not wait for a payment, or no longer.
pub fn pay(
    order: &Order,
    id: PaymentId,
    (provider, method, reference): (PaymentProvider, &str, Option<&str>),
    by: UserId,
    at: Timestamp,
) -> Result<Paid, Refusal> {
    let is_pending = order.status == OrderStatus::PendingPayment;
    if !is_pending && !order.lacks_payment() {
        return Err(order.illegal(OrderStatus::Confirmed));
    }
    if order.expires_at.is_some_and(|expires_at| at >= expires_at) {
        return Err(Refusal::InvalidTransition {
            from: OrderStatus::Expired,
            requested: OrderStatus::Confirmed,
        });
    }
    let decision = provider
        .decide(method)
        .map_err(|error| Refusal::Invalid(vec![error]))?;
    let (status, captured) = match decision {
        PaymentDecision::Authorised => (PaymentStatus::Authorised, 0),
        PaymentDecision::Captured => (PaymentStatus::Captured, order.total.amount),
        PaymentDecision::Declined(reason) => {
            let declined = json!({ "payment_id": id, "provider": provider, "reason": reason });
            let events = vec![event(EventKind::PaymentDeclined, declined)];
            let change = order.clone().changed(at, Some(by), events);
            let outcome = Err(Refusal::PaymentDeclined {
                reason: reason.to_owned(),
            });
            return Ok(Paid { change, outcome });
        }
    };
    let payment = Payment {
        id,
        order_id: order.id,
        provider,
        status,
        amount: order.total,
        captured,
        refunded: 0,
        created_at: at,
    };
    let mut events = Vec::with_capacity(2);
    if captured > 0 {
        events.push(tells(EventKind::PaymentCaptured, &payment, reference));
    }
    if is_pending {
        events.push(tells(EventKind::OrderConfirmed, &payment, reference));
    } else if captured == 0 {
        events.push(tells(EventKind::OrderUpdated, &payment, reference));
    }
    let next = Order {
        status: if is_pending {
            OrderStatus::Confirmed
        } else {
            order.status
        },
        payment: Some(payment.clone()),
        expires_at: None,
        ..order.clone()
    };
    Ok(Paid {
        change: next.changed(at, Some(by), events),
        outcome: Ok(payment),
    })
}
