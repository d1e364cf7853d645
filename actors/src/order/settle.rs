//! Telling products what has become of their reservations.

use std::time::Duration;

use futures_util::future::join_all;
use holdfast_domain::{OrderLine, Quantity, UserId, stock::Progress};
use holdfast_store::{OrderRecord, OrderState};

use crate::{
    command::{ProductCommand, Request, Settle},
    fault_point::fault_point,
    ports::Desk,
};

/// How long the products may take, together, while somebody waits for the order's answer.
pub(super) const WHILE_ASKED: Duration = Duration::from_millis(500);
/// How long they may take when nobody does.
pub(super) const IN_PEACE: Duration = Duration::from_millis(1_500);

/// Tells every product of an order its target; the order is settled once all have answered, within `budget`.
///
/// A product that cannot be reached leaves the order unsettled, and the sweeper tries again. So does an
/// order that waits for its units: what is to become of them is open.
pub(super) async fn settle(desk: &Desk, record: &mut OrderRecord, budget: Duration) {
    if record.order.awaits_units() {
        return;
    }
    let told = record.order.lines.iter().filter_map(|line| {
        let target = target(record, line);
        if target == Progress::default() {
            return None;
        }
        let quantity = Quantity::new(line.quantity)?;
        let settle = Settle {
            product_id: line.product_id,
            order_id: record.order.id,
            seller_id: line.seller_id,
            quantity,
            target,
            actor_id: actor(record),
            at: record.order.updated_at,
        };
        let request = Request::Product(match record.round {
            0 => ProductCommand::Settle(settle),
            round => ProductCommand::SettleAnew(settle, round),
        });
        let settling = desk.route(request, budget);
        Some(async move {
            let answer = settling.await;
            if answer.is_ok() {
                fault_point!(desk, OrderSettledOne);
            }
            answer
        })
    });
    for result in join_all(told.collect::<Vec<_>>()).await {
        if let Err(error) = result {
            let order = record.order.id;
            tracing::warn!(%order, error = &error as &dyn std::error::Error, "a product did not settle yet");
            return;
        }
    }
    fault_point!(desk, OrderSettledAll);
    let settled = desk
        .ports
        .order_settled(desk.lease, record.order.id, record.order.version);
    match settled.await {
        Ok(is_current) => record.unsettled &= !is_current,
        Err(error) => {
            let order = record.order.id;
            tracing::warn!(%order, error = &error as &dyn std::error::Error, "an order stays unsettled");
        }
    }
}

/// Returns what is to become of a line's reservation.
fn target(record: &OrderRecord, line: &OrderLine) -> Progress {
    match record.state {
        OrderState::Placed => record.order.progress_of(line),
        OrderState::Refused(_) => Progress {
            shipped: 0,
            released: line.quantity,
        },
        OrderState::Placing { .. } => Progress::default(),
    }
}

fn actor(record: &OrderRecord) -> UserId {
    record.order.customer_id
}
