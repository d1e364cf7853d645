//! Changing how many units there are, and promising them to orders whose home is elsewhere.
//!
//! Everything here runs beside the product's actor and commits through the lane.

use std::sync::Arc;

use holdfast_domain::{
    MovementId, MovementKind, Product, Refusal, Reservation, Shortage, StockLevel,
    access::may_edit_product,
    stock::{ON_HAND_MAX, Progress, StockChange},
    text::{self, ADJUSTMENT_REASON_MAX_CHARS, NOTE_MAX_CHARS},
};
use holdfast_store::ReservationWrite;

use super::{HoldAnswer, Shelf, Wanted, want};
use crate::{
    command::{Adjusted, Adjustment, By, Reply, Reserve, StockTarget},
    entity::{Fault, Outcome, done, refused},
    fault_point::fault_point,
    lane::{self, Intent, LaneError, OperationIntent, Remembered, StockIntent},
    operations,
    ports::Desk,
};

/// Changes how many units there are; commutes with sales.
pub(crate) async fn adjust(
    desk: &Desk,
    shelf: &dyn Shelf,
    product: Option<Arc<Product>>,
    by: &By,
    adjustment: Adjustment,
) -> Outcome {
    if let Some(answer) = operations::find(desk, &by.operation).await? {
        return Ok(answer);
    }
    let Some(product) = product.filter(|product| may_edit_product(&by.caller, product)) else {
        return refused(Refusal::NotFound);
    };
    if let Err(refusal) = check(&adjustment) {
        return refused(refusal);
    }
    let taken = u32::try_from((-adjustment.delta).max(0)).unwrap_or(u32::MAX);
    let (base, held) = match want(shelf, Wanted { units: taken }).await.ok_or(Fault::Lost)? {
        HoldAnswer::Held { base, hold, .. } => (base, hold),
        HoldAnswer::Short { available, .. } => {
            let short = Shortage {
                product_id: product.id,
                requested: taken,
                available,
            };
            // It may be this very operation, sent before, that has taken them.
            if let Some(answer) = operations::find(desk, &by.operation).await? {
                return Ok(answer);
            }
            return operations::refuse(desk, &by.operation, Refusal::InsufficientStock(vec![short])).await;
        }
        HoldAnswer::NoSuchProduct => return refused(Refusal::NotFound),
        HoldAnswer::Overloaded => return Err(Fault::Overloaded),
    };
    let movement_id = adjustment.movement_id;
    let change = StockChange {
        movement_id,
        kind: MovementKind::Adjustment,
        delta_on_hand: adjustment.delta,
        delta_reserved: 0,
        order_id: None,
        reason: Some(adjustment.reason),
        note: adjustment.note,
        actor_id: by.caller.user_id,
        at: desk.now(),
    };
    if let Err(refusal @ Refusal::Invalid(_)) = base.apply(&change) {
        return refused(refusal);
    }
    let intent = Intent {
        leases: vec![desk.lease],
        stock: vec![step(base, &product, vec![change], None)],
        operation: Some(OperationIntent {
            operation: by.operation.clone(),
            remembered: Remembered::Adjusted(movement_id),
            at: desk.now(),
        }),
        ..Intent::default()
    };
    match desk.commit(intent, vec![held]).await {
        Ok(levels) => {
            let level = *levels.first().ok_or(Fault::Lost)?;
            done(Reply::Adjusted(Adjusted { movement_id, level }))
        }
        Err(fault) => repeated_or(desk, by, fault).await,
    }
}

/// States how many units there are, if nothing has moved since the caller looked.
pub(crate) async fn set(
    desk: &Desk,
    shelf: &dyn Shelf,
    found: Option<(Arc<Product>, StockLevel)>,
    by: &By,
    target: StockTarget,
) -> Outcome {
    if let Some(answer) = operations::find(desk, &by.operation).await? {
        return Ok(answer);
    }
    let Some((product, level)) = found.filter(|(product, _)| may_edit_product(&by.caller, product)) else {
        return refused(Refusal::NotFound);
    };
    if target.on_hand > ON_HAND_MAX {
        return refused(Refusal::invalid(
            "/on_hand",
            format!("must be at most {ON_HAND_MAX}"),
        ));
    }
    if level.version != target.expected_version {
        return match operations::find(desk, &by.operation).await? {
            Some(answer) => Ok(answer),
            None => refused(Refusal::VersionMismatch {
                current_version: level.version,
            }),
        };
    }
    let delta = i64::from(target.on_hand) - i64::from(level.on_hand);
    let taken = u32::try_from((-delta).max(0)).unwrap_or(u32::MAX);
    let held = match want(shelf, Wanted { units: taken }).await.ok_or(Fault::Lost)? {
        HoldAnswer::Held { hold, .. } => hold,
        HoldAnswer::Short { available, .. } => {
            let short = Shortage {
                product_id: product.id,
                requested: taken,
                available,
            };
            if let Some(answer) = operations::find(desk, &by.operation).await? {
                return Ok(answer);
            }
            return operations::refuse(desk, &by.operation, Refusal::InsufficientStock(vec![short])).await;
        }
        HoldAnswer::NoSuchProduct => return refused(Refusal::NotFound),
        HoldAnswer::Overloaded => return Err(Fault::Overloaded),
    };
    let change = StockChange {
        movement_id: target.movement_id,
        kind: MovementKind::Adjustment,
        delta_on_hand: delta,
        delta_reserved: 0,
        order_id: None,
        reason: Some("counted".to_owned()),
        note: None,
        actor_id: by.caller.user_id,
        at: desk.now(),
    };
    let intent = Intent {
        leases: vec![desk.lease],
        stock: vec![step(level, &product, vec![change], Some(target.expected_version))],
        operation: Some(OperationIntent {
            operation: by.operation.clone(),
            remembered: Remembered::Stock,
            at: desk.now(),
        }),
        ..Intent::default()
    };
    match desk.commit(intent, vec![held]).await {
        Ok(levels) => done(Reply::Stock(*levels.first().ok_or(Fault::Lost)?)),
        Err(fault) => repeated_or(desk, by, fault).await,
    }
}

/// Promises units to an order whose home is elsewhere, or anew in a later round; durable before the
/// answer.
///
/// Asking twice reserves once: the reservation's key is the order and the product, and it goes through
/// each round once.
pub(crate) async fn reserve(desk: &Desk, shelf: &dyn Shelf, reserve: &Reserve, round: u32) -> Outcome {
    fault_point!(desk, ProductReserving);
    // The first round begins with nothing; that it has begun already shows when it is written.
    let before = if round == 0 {
        None
    } else {
        let (product, order) = (reserve.product_id, reserve.order_id);
        desk.ports.reservation(product, order).await?
    };
    let renewed = match before.map(|before| before.renew(round)) {
        Some(None) => {
            let answer = reserved_before(desk, reserve, round).await?;
            fault_point!(desk, ProductReserved);
            return answer.unwrap_or(Err(Fault::Lost));
        }
        Some(Some(renewed)) => Some(renewed),
        None => None,
    };
    let units = renewed.map_or(reserve.quantity.get(), |(_, taken)| taken);
    let (product, base, held) = match want(shelf, Wanted { units }).await.ok_or(Fault::Lost)? {
        HoldAnswer::Held { product, base, hold } => (product, base, hold),
        HoldAnswer::Short { available, .. } => {
            // It may be this very order that has taken them.
            return match reserved_before(desk, reserve, round).await? {
                Some(outcome) => outcome,
                None => refused(shortage(reserve, available)),
            };
        }
        HoldAnswer::NoSuchProduct => return refused(Refusal::NotFound),
        HoldAnswer::Overloaded => return Err(Fault::Overloaded),
    };
    let reservation = renewed.map_or_else(
        || Reservation {
            product_id: product.id,
            order_id: reserve.order_id,
            seller_id: product.seller_id,
            quantity: reserve.quantity,
            round,
            progress: Progress::default(),
        },
        |(renewed, _)| renewed,
    );
    let change = StockChange {
        movement_id: MovementId::mint(desk.now(), desk.ports.entropy()),
        kind: MovementKind::Reserve,
        delta_on_hand: 0,
        delta_reserved: i64::from(units),
        order_id: Some(reserve.order_id),
        reason: None,
        note: None,
        actor_id: reserve.customer_id,
        at: desk.now(),
    };
    let (mut stock, mut holds) = (Vec::new(), Vec::new());
    if units > 0 {
        stock.push(step(base, &product, vec![change], None));
        holds.push(held);
    }
    let intent = Intent {
        leases: vec![desk.lease],
        stock,
        reservations: vec![ReservationWrite { reservation, before }],
        ..Intent::default()
    };
    let committed = desk.commit(intent, holds).await;
    fault_point!(desk, ProductReserved);
    match committed {
        Ok(_) => done(Reply::Ended),
        Err(fault) => match reserved_before(desk, reserve, round).await? {
            Some(outcome) => outcome,
            None => Err(fault.into()),
        },
    }
}

/// Answers for a round that has begun before; what was given back in it cannot be reserved again.
async fn reserved_before(desk: &Desk, reserve: &Reserve, round: u32) -> Result<Option<Outcome>, Fault> {
    let found = desk
        .ports
        .reservation(reserve.product_id, reserve.order_id)
        .await?;
    Ok(found
        .filter(|reservation| reservation.round >= round)
        .map(|reservation| {
            if (reservation.round, reservation.progress) == (round, Progress::default()) {
                done(Reply::Ended)
            } else {
                refused(shortage(reserve, 0))
            }
        }))
}

fn shortage(reserve: &Reserve, available: u32) -> Refusal {
    let requested = reserve.quantity.get();
    Refusal::InsufficientStock(vec![Shortage {
        product_id: reserve.product_id,
        requested,
        available,
    }])
}

fn check(adjustment: &Adjustment) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    let reason = text::check("/reason", &adjustment.reason, 1, ADJUSTMENT_REASON_MAX_CHARS);
    errors.extend(reason.err());
    if let Some(note) = &adjustment.note {
        errors.extend(text::check("/note", note, 0, NOTE_MAX_CHARS).err());
    }
    if adjustment.delta == 0 || adjustment.delta.unsigned_abs() > u64::from(ON_HAND_MAX) {
        errors.push(holdfast_domain::FieldError::new(
            "/delta",
            format!("must be 1 to {ON_HAND_MAX}, or less than 0"),
        ));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Invalid(errors))
    }
}

/// Makes the stock part of an intent.
pub(super) fn step(
    base: StockLevel,
    product: &Product,
    changes: Vec<StockChange>,
    only_at: Option<i64>,
) -> StockIntent {
    StockIntent {
        base,
        changes,
        only_at,
        low_stock_threshold: product.low_stock_threshold,
    }
}

async fn repeated_or(desk: &Desk, by: &By, fault: lane::Fault) -> Outcome {
    match fault {
        lane::Fault::Lane(LaneError::Duplicate) => operations::find(desk, &by.operation)
            .await?
            .ok_or(Fault::Conflict),
        // The version may have been moved by this very operation, sent before.
        lane::Fault::Lane(LaneError::StockVersion { current }) => {
            match operations::find(desk, &by.operation).await? {
                Some(answer) => Ok(answer),
                None => refused(Refusal::VersionMismatch {
                    current_version: current,
                }),
            }
        }
        other => Err(other.into()),
    }
}
