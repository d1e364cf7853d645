//! What a payment's provider reports of it, whenever that is.
//!
//! Money that has moved cannot be refused. A captured payment pays the order, asks for its units anew
//! if the order has expired meanwhile, or is refunded: the order's events tell of all three, and the
//! order's payment remains the one that pays it.
//!
//! A payment that was made in the shop may be reported as well. It is found by its name, if it was made
//! with one. If not, the first report of the same money by the same provider gives it its name: of
//! payments that are alike it does not matter which one is kept, as long as it is one.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Change, ChangeEvent, Order, OrderStatus, event, expire, tells};
use crate::{EventKind, Money, Payment, PaymentId, PaymentProvider, Timestamp, payment::PaymentStatus};

/// A payment as its provider reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentReport {
    /// The id that the payment gets, should the order not know it.
    pub id: PaymentId,
    /// Who reports.
    pub provider: PaymentProvider,
    /// The provider's own name for the payment.
    pub reference: String,
    /// What was paid, or was to be.
    pub amount: Money,
    /// What has become of it.
    pub outcome: Reported,
}

/// What has become of a payment that is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reported {
    /// The money has moved.
    Captured,
    /// The provider will not; with its reason, fit for the customer.
    Declined(String),
}

/// What an order's events tell of the names by which providers know its payments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownNames {
    /// Whether they tell already that the payment of the reported name was captured.
    pub is_known: bool,
    /// The last name by which they call the order's own payment.
    pub of_payment: Option<String>,
}

/// Takes note of a report; returns `None` if it changes nothing.
pub fn report(order: &Order, report: &PaymentReport, names: &KnownNames, at: Timestamp) -> Option<Change> {
    match &report.outcome {
        Reported::Captured if names.is_known => None,
        Reported::Captured if names.of_payment.is_none() && is_alike(order, report) => {
            Some(named(order, report, at))
        }
        Reported::Captured => Some(captured(order, report, at)),
        Reported::Declined(reason) => declined(order, report, names, reason, at),
    }
}

/// Tells why there will be no money, to an order that waits for it or was promised it by this very payment. To any
/// other it is of no interest: a payment that is tried twice may be declined once and well after it was accepted.
fn declined(
    order: &Order,
    report: &PaymentReport,
    names: &KnownNames,
    reason: &str,
    at: Timestamp,
) -> Option<Change> {
    let is_own = names.of_payment.as_deref() == Some(report.reference.as_str());
    let promised = order.payment.as_ref().filter(|payment| {
        is_own && payment.provider == report.provider && payment.status == PaymentStatus::Authorised
    });
    if order.status != OrderStatus::PendingPayment && promised.is_none() {
        return None;
    }
    let data = json!({
        "payment_id": promised.map_or(report.id, |payment| payment.id),
        "provider": report.provider,
        "reference": report.reference,
        "reason": reason,
    });
    let payment = promised.map(|payment| Payment {
        status: PaymentStatus::Voided,
        ..payment.clone()
    });
    let next = Order {
        payment: payment.or_else(|| order.payment.clone()),
        ..order.clone()
    };
    Some(next.changed(at, None, vec![event(EventKind::PaymentDeclined, data)]))
}

/// Tells whether the order's payment moved the money that is reported, or just as much of it.
fn is_alike(order: &Order, report: &PaymentReport) -> bool {
    order.payment.as_ref().is_some_and(|payment| {
        payment.provider == report.provider
            && payment.amount == report.amount
            && payment.captured > 0
            && payment.captured == report.amount.amount
    })
}

/// Notes by what name its provider knows the order's payment.
fn named(order: &Order, report: &PaymentReport, at: Timestamp) -> Change {
    let reference = Some(report.reference.as_str());
    let named = order.payment.as_ref();
    let events = named.map(|payment| tells(EventKind::OrderUpdated, payment, reference));
    order.clone().changed(at, None, events.into_iter().collect())
}

fn captured(order: &Order, report: &PaymentReport, at: Timestamp) -> Change {
    if report.amount != order.total {
        return returned(order, report, at);
    }
    let expired = expire(order, at).ok();
    let status = expired
        .as_ref()
        .map_or(order.status, |change| change.order.status);
    match (status, &order.payment) {
        (OrderStatus::PendingPayment, _) => confirmed(order, report, at),
        (OrderStatus::Expired, _) if !order.awaits_units() => {
            let before = expired.map_or_else(Vec::new, |change| change.events);
            late(order, report, before, at)
        }
        (_, Some(promised))
            if promised.status == PaymentStatus::Authorised && promised.provider == report.provider =>
        {
            fetched(order, promised, report, at)
        }
        _ if order.lacks_payment() => {
            let paid = payment(order, report, at);
            fetched(order, &paid, report, at)
        }
        _ => returned(order, report, at),
    }
}

/// Pays an order that waits for it.
fn confirmed(order: &Order, report: &PaymentReport, at: Timestamp) -> Change {
    let payment = payment(order, report, at);
    let events = vec![
        told(&payment, report),
        event(EventKind::OrderConfirmed, json!({ "payment": payment })),
    ];
    let next = Order {
        status: OrderStatus::Confirmed,
        payment: Some(payment),
        expires_at: None,
        ..order.clone()
    };
    next.changed(at, None, events)
}

/// Asks for the units of an expired order anew.
fn late(order: &Order, report: &PaymentReport, mut events: Vec<ChangeEvent>, at: Timestamp) -> Change {
    let payment = payment(order, report, at);
    events.push(told(&payment, report));
    let next = Order {
        status: OrderStatus::Expired,
        payment: Some(payment),
        ..order.clone()
    };
    Change {
        unsettled: true,
        renews: true,
        ..next.changed(at, None, events)
    }
}

/// Notes that the money which was promised has come.
fn fetched(order: &Order, promised: &Payment, report: &PaymentReport, at: Timestamp) -> Change {
    let payment = Payment {
        status: PaymentStatus::Captured,
        captured: report.amount.amount,
        ..promised.clone()
    };
    let events = vec![told(&payment, report)];
    let next = Order {
        payment: Some(payment),
        ..order.clone()
    };
    next.changed(at, None, events)
}

/// Gives back what does not pay the order, which stays as it is.
fn returned(order: &Order, report: &PaymentReport, at: Timestamp) -> Change {
    let mut payment = payment(order, report, at);
    let mut events = vec![told(&payment, report)];
    payment.refund();
    events.push(event(EventKind::PaymentRefunded, json!({ "payment": payment })));
    order.clone().changed(at, None, events)
}

fn payment(order: &Order, report: &PaymentReport, at: Timestamp) -> Payment {
    Payment {
        id: report.id,
        order_id: order.id,
        provider: report.provider,
        status: PaymentStatus::Captured,
        amount: report.amount,
        captured: report.amount.amount,
        refunded: 0,
        created_at: at,
    }
}

/// Tells of a capture, and by what name its provider knows it.
fn told(payment: &Payment, report: &PaymentReport) -> ChangeEvent {
    tells(EventKind::PaymentCaptured, payment, Some(&report.reference))
}
