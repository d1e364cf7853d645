//! Whether a history kept the promises.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use holdfast_domain::{EventKind, OrderStatus, PaymentProvider, Refusal, Shortage};
use holdfast_store::{OrderState, model::Model};

use super::{
    client::{Cast, operation_key, reference},
    database::Levels,
    history::{Answer, Entry},
    plan::What,
};
use crate::command::Reply;

/// Lists the promises that a history has broken.
pub(super) fn breaches(cast: &Cast, model: &Model, entries: &[Entry], levels: &Levels) -> Vec<String> {
    let mut breaches: Vec<String> = model.audit().iter().map(ToString::to_string).collect();
    breaches.extend(unfinished(model));
    for (number, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.is_skipped) {
        let what = &cast.plan.asks[number].what;
        let found = match &entry.ended {
            None => Some("was never answered".to_owned()),
            Some((_, Answer::Failed)) => Some("was answered by a failure of the shop".to_owned()),
            Some((_, answer)) => kept(cast, model, number, what, answer),
        };
        breaches.extend(found.map(|found| format!("ask {number} {what:?} {found}")));
    }
    breaches.extend(payments(cast, model, entries));
    breaches.extend(repeats(cast, entries));
    breaches.extend(sold_out(cast, entries, levels));
    breaches
}

/// Everything that was begun has come to its end.
fn unfinished(model: &Model) -> Vec<String> {
    let is_left = model.orders().filter_map(|record| match record.state {
        OrderState::Placing { .. } => Some(format!("order {} is placed for ever", record.order.id)),
        _ if record.unsettled => Some(format!("order {} is never settled", record.order.id)),
        OrderState::Placed if record.order.status == OrderStatus::PendingPayment => {
            Some(format!("order {} is neither paid nor expired", record.order.id))
        }
        _ => None,
    });
    is_left.collect()
}

/// What was acknowledged is there.
fn kept(cast: &Cast, model: &Model, number: usize, what: &What, answer: &Answer) -> Option<String> {
    let Answer::Done(reply) = answer else { return None };
    match (&**reply, what) {
        (Reply::Order(order), What::Place(_) | What::PlaceAgain(_)) => {
            let key = match what {
                What::PlaceAgain(earlier) => *earlier,
                _ => number,
            };
            let by_key = model.order_by_key(cast.customer, &operation_key(key));
            match by_key {
                Some(record) if record.order.id == order.id && record.state == OrderState::Placed => None,
                Some(record) => Some(format!("got order {}, but its key made {record:?}", order.id)),
                None => Some(format!("got order {}, which is lost", order.id)),
            }
        }
        (Reply::Order(order), What::Cancel(_)) => {
            let status = model.order_record(order.id).map(|record| record.order.status);
            let is_kept = matches!(status, Some(OrderStatus::Cancelled));
            (!is_kept).then(|| format!("called order {} off, which is {status:?}", order.id))
        }
        (Reply::Payment(payment), What::Pay(_)) => {
            let paid = model.orders().any(|record| {
                record
                    .order
                    .payment
                    .as_ref()
                    .is_some_and(|found| found.id == payment.id)
            });
            (!paid).then(|| format!("paid {}, which is lost", payment.id))
        }
        (Reply::Adjusted(adjusted), What::Adjust(product, _)) => {
            let ledger = model.movements(cast.products[*product]);
            let found = ledger
                .iter()
                .filter(|movement| movement.change.movement_id == adjusted.movement_id);
            let count = found.count();
            (count != 1).then(|| {
                format!(
                    "made movement {}, which is there {count} times",
                    adjusted.movement_id
                )
            })
        }
        // What it led to is told by the order's events.
        (Reply::Ended, What::Report(..)) => None,
        (other, _) => Some(format!("got {other:?}")),
    }
}

/// Each payment that was reported is known, and taken once; what the shop holds is what its order says.
fn payments(cast: &Cast, model: &Model, entries: &[Entry]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let What::Report(placed, payment) = cast.plan.asks[number].what else {
            continue;
        };
        let order = entries[placed]
            .ended
            .as_ref()
            .and_then(|(_, answer)| answer.order());
        let (Some((_, Answer::Done(_))), Some(order)) = (&entry.ended, order) else {
            continue;
        };
        if !model.payment_is_known(order, PaymentProvider::Test, &reference(placed, payment)) {
            breaches.push(format!(
                "ask {number} reported a payment of order {order}, which is lost"
            ));
        }
    }
    for record in model.orders() {
        let (mut held, mut known) = (0, BTreeSet::new());
        for told in model.order_events(record.order.id) {
            let data = told.event.data.to_map();
            match told.event.kind {
                EventKind::PaymentCaptured => {
                    held += data["payment"]["captured"].as_i64().unwrap_or_default();
                    let reference = data.get("reference").map(ToString::to_string);
                    if reference.is_some_and(|reference| !known.insert(reference)) {
                        breaches.push(format!("order {} took a payment twice", record.order.id));
                    }
                }
                EventKind::PaymentRefunded => {
                    held -= data["payment"]["refunded"].as_i64().unwrap_or_default();
                }
                _ => {}
            }
        }
        let payment = record.order.payment.as_ref();
        let told = payment.map_or(0, |payment| payment.captured - payment.refunded);
        if held != told {
            breaches.push(format!(
                "the shop holds {held} of order {}, which tells of {told}",
                record.order.id
            ));
        }
    }
    breaches
}

/// A repeat is answered as the first was.
fn repeats(cast: &Cast, entries: &[Entry]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let What::PlaceAgain(earlier) = cast.plan.asks[number].what else {
            continue;
        };
        let (Some((_, first)), Some((_, second))) = (&entries[earlier].ended, &entry.ended) else {
            continue;
        };
        let is_same = match (first, second) {
            (Answer::Refused(first), Answer::Refused(second)) => first == second,
            (first, second) => first.order() == second.order(),
        };
        if !is_same {
            breaches.push(format!(
                "asks {earlier} and {number} have one key and two answers: {} - {}",
                first.brief(),
                second.brief()
            ));
        }
    }
    breaches
}

/// Nobody was told "sold out" while the units were there all the time.
fn sold_out(cast: &Cast, entries: &[Entry], levels: &Levels) -> Vec<String> {
    let mut asked = BTreeMap::<usize, Duration>::new();
    for (number, entry) in entries.iter().enumerate() {
        if let Some(began) = entry.began {
            let key = key_of(cast, number);
            let first = asked.entry(key).or_insert(began);
            *first = (*first).min(began);
        }
    }
    let mut breaches = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let Some((ended, Answer::Refused(Refusal::InsufficientStock(short)))) = &entry.ended else {
            continue;
        };
        let began = asked.get(&key_of(cast, number)).copied().unwrap_or_default();
        for Shortage {
            product_id,
            requested,
            ..
        } in short
        {
            if !levels.was_below(*product_id, *requested, began, *ended) {
                breaches.push(format!(
                    "ask {number} was told that {product_id} has fewer than {requested} units, which it had"
                ));
            }
        }
    }
    breaches
}

/// Returns the ask whose key an ask uses.
fn key_of(cast: &Cast, number: usize) -> usize {
    match cast.plan.asks[number].what {
        What::PlaceAgain(earlier) => earlier,
        _ => number,
    }
}
