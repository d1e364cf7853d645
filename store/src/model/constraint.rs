//! The constraints of the schema that the types do not ensure already.

use holdfast_domain::{
    Movement, MovementKind, Order, OrderStatus, Quantity, Reservation, StockLevel, order::LINES_MAX,
    stock::ON_HAND_MAX,
};
use serde::de::IgnoredAny;

use super::rejected;
use crate::{EventWrite, NewNode, OperationRecord, OrderRecord, OrderState, StoreError};

/// The largest `integer` of Postgres.
const INTEGER_MAX: u32 = i32::MAX.unsigned_abs();
/// The roles that a node may have.
const ROLES: [&str; 4] = ["edge", "sessions", "products", "orders"];

fn holds(is_held: bool, name: &str) -> Result<(), StoreError> {
    if is_held {
        Ok(())
    } else {
        Err(rejected(format!("violates constraint {name}")))
    }
}

pub(super) fn node(node: &NewNode) -> Result<(), StoreError> {
    holds(!node.name.is_empty(), "node_name_check")?;
    let known = |role: &String| ROLES.contains(&role.as_str());
    holds(node.roles.iter().all(known), "node_roles_check")
}

pub(super) fn lane(lane: i16) -> Result<(), StoreError> {
    holds(lane >= 0, "lane_lane_check")
}

pub(super) fn operation(record: &OperationRecord) -> Result<(), StoreError> {
    let is_json = serde_json::from_str::<IgnoredAny>(&record.outcome).is_ok();
    holds(is_json, "operation.outcome is json")
}

pub(super) fn stock(level: &StockLevel) -> Result<(), StoreError> {
    holds(level.version >= 1, "stock_version_check")?;
    holds(level.on_hand <= ON_HAND_MAX, "stock_on_hand_check")?;
    holds(level.reserved <= level.on_hand, "stock_is_not_oversold")
}

pub(super) fn movement(Movement { change, level }: &Movement) -> Result<(), StoreError> {
    holds(level.version >= 1, "stock_movement_version_check")?;
    holds(
        level.on_hand <= INTEGER_MAX,
        "stock_movement.on_hand is an integer",
    )?;
    holds(level.reserved <= level.on_hand, "movement_is_not_oversold")?;
    let (on_hand, reserved) = (change.delta_on_hand, change.delta_reserved);
    let is_of_its_kind = match change.kind {
        MovementKind::Initial => level.version == 1 && on_hand >= 0 && reserved == 0,
        MovementKind::Adjustment => level.version > 1 && reserved == 0,
        MovementKind::Reserve => level.version > 1 && on_hand == 0 && reserved > 0,
        MovementKind::Release => level.version > 1 && on_hand == 0 && reserved < 0,
        MovementKind::Ship => level.version > 1 && on_hand < 0 && reserved == on_hand,
    };
    holds(is_of_its_kind, "movement_is_of_its_kind")?;
    let is_of_order = matches!(
        change.kind,
        MovementKind::Reserve | MovementKind::Release | MovementKind::Ship
    );
    holds(
        change.order_id.is_some() == is_of_order,
        "movement_of_order_names_it",
    )
}

pub(super) fn reservation(row: &Reservation) -> Result<(), StoreError> {
    let quantity = row.quantity.get();
    holds(quantity <= Quantity::LINE_MAX, "reservation_quantity_check")?;
    let gone = u64::from(row.progress.shipped) + u64::from(row.progress.released);
    holds(gone <= u64::from(quantity), "reservation_is_not_overdrawn")
}

pub(super) fn order(record: &OrderRecord) -> Result<(), StoreError> {
    let Order {
        status,
        lines,
        total,
        payment,
        expires_at,
        version,
        ..
    } = &record.order;
    holds(*version >= 0, "orders_version_check")?;
    holds(total.amount >= 0, "orders_total_minor_check")?;
    if record.state == OrderState::Placed {
        let lines_fit = (1..=LINES_MAX).contains(&lines.len());
        holds(*version >= 1 && lines_fit, "placed_has_lines")?;
        holds(
            *status != OrderStatus::PendingPayment || expires_at.is_some(),
            "pending_payment_has_a_deadline",
        )?;
    }
    match payment {
        Some(payment) => holds(
            (0..=payment.captured).contains(&payment.refunded),
            "no_more_is_refunded_than_was_captured",
        ),
        None => Ok(()),
    }
}

pub(super) fn event(EventWrite { event, epoch }: &EventWrite) -> Result<(), StoreError> {
    holds(event.sequence >= 1, "event_sequence_check")?;
    holds(*epoch >= 0, "event_epoch_check")
}
