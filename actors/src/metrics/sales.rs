//! What the shop sells, counted once when it is durable: by the lane, after the commit.

use std::{sync::Arc, time::Instant};

use holdfast_domain::{
    EventKind, MovementKind, Refusal,
    event::{Aggregate, Event},
};
use holdfast_store::{Batch, OrderExpected, OrderState, OrderWrite};
use parking_lot::Mutex;
use prometheus::{IntCounterVec, Result};

use super::{Kind, Registrar, Sample, hot::HotProducts};

/// Products that are shown by themselves, the best-selling ones, at most.
pub(crate) const HOT_PRODUCTS: usize = 10;

/// What the shop sells.
#[derive(Clone)]
pub(crate) struct SalesMetrics {
    orders: IntCounterVec,
    payments: IntCounterVec,
    moves: IntCounterVec,
    units: IntCounterVec,
    hot: Arc<Mutex<HotProducts>>,
}

impl SalesMetrics {
    pub(super) fn new(registrar: Registrar<'_>) -> Result<Self> {
        let hot = Arc::new(Mutex::new(HotProducts::new(Instant::now())));
        let shown = Arc::clone(&hot);
        registrar.sampled(
            Kind::Gauge,
            "holdfast_hot_product_units",
            "Units of the best-selling products that orders reserved on this node in the last 5 to 10 minutes.",
            &["product"],
            move || {
                let best = shown.lock().best(HOT_PRODUCTS, Instant::now());
                best.into_iter()
                    .map(|(product, units)| Sample::labelled([&product.to_string()], approximately(units)))
                    .collect()
            },
        )?;
        let moves: Vec<&str> = EventKind::ALL
            .iter()
            .filter(|kind| kind.aggregate() == Aggregate::Order)
            .map(|kind| kind.as_str())
            .collect();
        Ok(Self {
            orders: registrar.counters(
                "holdfast_orders_total",
                "Orders by what became of them when they were placed. Each counts once, however often it was sent.",
                "result",
                &["placed", "insufficient_stock", "price_changed", "refused"],
            )?,
            payments: registrar.counters(
                "holdfast_payments_total",
                "Payments by what the provider said, and refunds.",
                "result",
                &["authorised", "captured", "declined", "refunded"],
            )?,
            moves: registrar.counters(
                "holdfast_order_events_total",
                "What happened to orders.",
                "type",
                &moves,
            )?,
            units: registrar.counters(
                "holdfast_stock_units_total",
                "Units by how stock moved. Sold units are those that orders reserved.",
                "movement",
                &["reserve", "release", "ship", "add", "remove"],
            )?,
            hot,
        })
    }

    /// Counts what a batch that is durable has done.
    pub(crate) fn committed(&self, batch: &Batch) {
        for result in batch.orders.iter().filter_map(result_of) {
            self.orders.with_label_values(&[result]).inc();
        }
        let mut before: Option<&Event> = None;
        for event in batch.events.iter().map(|written| &written.event) {
            if event.kind.aggregate() == Aggregate::Order {
                self.moves.with_label_values(&[event.kind.as_str()]).inc();
            }
            if let Some(result) = payment_of(event, before) {
                self.payments.with_label_values(&[result]).inc();
            }
            before = Some(event);
        }
        self.moved(batch);
    }

    fn moved(&self, batch: &Batch) {
        let now = Instant::now();
        for movement in &batch.movements {
            let change = &movement.change;
            let (name, units) = match change.kind {
                MovementKind::Reserve => ("reserve", change.delta_reserved),
                MovementKind::Release => ("release", change.delta_reserved),
                MovementKind::Ship => ("ship", change.delta_on_hand),
                _ if change.delta_on_hand < 0 => ("remove", change.delta_on_hand),
                _ => ("add", change.delta_on_hand),
            };
            let units = units.unsigned_abs();
            self.units.with_label_values(&[name]).inc_by(units);
            if change.kind == MovementKind::Reserve {
                self.hot.lock().sold(movement.level.product_id, units, now);
            }
        }
    }
}

/// Tells what became of an order that this write decides; nothing if it was decided before.
fn result_of(write: &OrderWrite) -> Option<&'static str> {
    if matches!(write.expected, OrderExpected::Placed { .. }) {
        return None;
    }
    match &write.record.state {
        OrderState::Placing { .. } => None,
        OrderState::Placed => Some("placed"),
        OrderState::Refused(Refusal::InsufficientStock(_)) => Some("insufficient_stock"),
        OrderState::Refused(Refusal::PriceChanged { .. }) => Some("price_changed"),
        OrderState::Refused(_) => Some("refused"),
    }
}

/// Tells what an event says of a payment; `before` is the one before it in its batch.
fn payment_of(event: &Event, before: Option<&Event>) -> Option<&'static str> {
    match event.kind {
        EventKind::PaymentCaptured => Some("captured"),
        EventKind::PaymentDeclined => Some("declined"),
        EventKind::PaymentRefunded => Some("refunded"),
        // A captured payment says so just before its order is confirmed, by whoever paid it. One that came
        // too late has said so before, and the shop itself confirms.
        EventKind::OrderConfirmed => {
            let is_captured = before.is_some_and(|before| {
                before.kind == EventKind::PaymentCaptured && before.subject == event.subject
            });
            (!is_captured && event.actor_id.is_some()).then_some("authorised")
        }
        _ => None,
    }
}

/// Counts are shown as floats; those above 2^53 lose their last digits.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floats alone")]
pub(super) fn approximately(count: u64) -> f64 {
    count as f64
}
