//! Bringing an order's reservation to where the order says it is: shipped, given back, or both.

use holdfast_domain::{
    MovementId, MovementKind, Refusal, Reservation,
    stock::{Progress, StockChange},
};
use holdfast_store::ReservationWrite;

use super::{HoldAnswer, Shelf, Wanted, stock::step, want};
use crate::{
    command::{Reply, Settle},
    entity::{Fault, Outcome, done, refused},
    fault_point::fault_point,
    lane::Intent,
    ports::Desk,
};

/// Advances the reservation to the target of a round. Doing it twice is doing it once.
///
/// If there is none yet, one is made that has given everything back already: a request to reserve
/// that is still on its way must find that it comes too late. So must one of a later round.
pub(crate) async fn handle(desk: &Desk, shelf: &dyn Shelf, settle: &Settle, round: u32) -> Outcome {
    fault_point!(desk, ProductSettling);
    let found = desk.ports.reservation(settle.product_id, settle.order_id).await?;
    let Some(before) = found else {
        return write(desk, barred(settle, round), None).await;
    };
    let (after, steps) = before.advance(round, settle.target);
    if after == before {
        return done(Reply::Ended);
    }
    if steps.is_empty() {
        return write(desk, after, Some(before)).await;
    }
    // Nothing is taken from what can be sold; the hold makes the product hear of its new counters.
    let (product, base, held) = match want(shelf, Wanted { units: 0 }).await.ok_or(Fault::Lost)? {
        HoldAnswer::Held { product, base, hold } => (product, base, hold),
        HoldAnswer::NoSuchProduct => return refused(Refusal::NotFound),
        HoldAnswer::Short { .. } | HoldAnswer::Overloaded => return Err(Fault::Overloaded),
    };
    let changes = steps.into_iter().map(|taken| {
        let units = i64::from(taken.units);
        StockChange {
            movement_id: MovementId::mint(desk.now(), desk.ports.entropy()),
            kind: taken.kind,
            delta_on_hand: if taken.kind == MovementKind::Ship {
                -units
            } else {
                0
            },
            delta_reserved: -units,
            order_id: Some(settle.order_id),
            reason: None,
            note: None,
            actor_id: settle.actor_id,
            at: desk.now(),
        }
    });
    let intent = Intent {
        leases: vec![desk.lease],
        stock: vec![step(base, &product, changes.collect(), None)],
        reservations: vec![ReservationWrite {
            reservation: after,
            before: Some(before),
        }],
        ..Intent::default()
    };
    let committed = desk.commit(intent, vec![held]).await;
    fault_point!(desk, ProductSettled);
    committed?;
    done(Reply::Ended)
}

/// Makes a reservation that was never promised, and has given everything back.
fn barred(settle: &Settle, round: u32) -> Reservation {
    let released = settle.quantity.get();
    Reservation {
        product_id: settle.product_id,
        order_id: settle.order_id,
        seller_id: settle.seller_id,
        quantity: settle.quantity,
        round,
        progress: Progress { shipped: 0, released },
    }
}

/// Writes a reservation whose change moves no units.
async fn write(desk: &Desk, reservation: Reservation, before: Option<Reservation>) -> Outcome {
    let intent = Intent {
        leases: vec![desk.lease],
        reservations: vec![ReservationWrite { reservation, before }],
        ..Intent::default()
    };
    let committed = desk.commit(intent, Vec::new()).await;
    fault_point!(desk, ProductSettled);
    committed?;
    done(Reply::Ended)
}
