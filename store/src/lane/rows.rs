//! A batch as rows of the composite types that `lane_commit_expected` and `lane_commit_rows` take: field by field in the order of
//! `migrations/0024_lane_rows.sql`.

use holdfast_domain::{JsonObject, Movement};
use sqlx::{
    Postgres, Type,
    postgres::{PgHasArrayType, PgTypeInfo},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::batch::{OrderExpected, OrderWrite, ReservationWrite, StockWrite};
use crate::{EventWrite, OperationRecord, OrderState, StoreError, decode};

/// Names the type in Postgres that a row is one of. It is only ever written: `sqlx::Type`, derived, would
/// ask for rows that can be read and own all they hold.
macro_rules! composite {
    ($row:ty, $name:literal) => {
        impl Type<Postgres> for $row {
            fn type_info() -> PgTypeInfo {
                PgTypeInfo::with_name($name)
            }
        }

        impl PgHasArrayType for $row {
            fn array_type_info() -> PgTypeInfo {
                PgTypeInfo::array_of($name)
            }
        }
    };
}

composite!(StockRow, "lane_stock");
composite!(MovementRow<'_>, "lane_movement");
composite!(ReservationRow, "lane_reservation");
composite!(OrderRow<'_>, "lane_order");
composite!(EventRow<'_>, "lane_event");
composite!(OperationRow<'_>, "lane_operation");

#[derive(Debug, sqlx::Encode)]
pub(super) struct StockRow {
    product_id: Uuid,
    expected: i64,
    on_hand: i64,
    reserved: i64,
    version: i64,
}

impl From<&StockWrite> for StockRow {
    fn from(write: &StockWrite) -> Self {
        let StockWrite {
            expected_version,
            level,
        } = write;
        Self {
            product_id: level.product_id.0,
            expected: *expected_version,
            on_hand: level.on_hand.into(),
            reserved: level.reserved.into(),
            version: level.version,
        }
    }
}

#[derive(Debug, sqlx::Encode)]
pub(super) struct MovementRow<'a> {
    product_id: Uuid,
    version: i64,
    movement_id: Uuid,
    kind: &'static str,
    delta_on_hand: i64,
    delta_reserved: i64,
    on_hand: i64,
    reserved: i64,
    order_id: Option<Uuid>,
    reason: Option<&'a str>,
    note: Option<&'a str>,
    actor_id: Uuid,
    at: OffsetDateTime,
}

impl<'a> From<&'a Movement> for MovementRow<'a> {
    fn from(movement: &'a Movement) -> Self {
        let Movement { change, level } = movement;
        Self {
            product_id: level.product_id.0,
            version: level.version,
            movement_id: change.movement_id.0,
            kind: change.kind.as_str(),
            delta_on_hand: change.delta_on_hand,
            delta_reserved: change.delta_reserved,
            on_hand: level.on_hand.into(),
            reserved: level.reserved.into(),
            order_id: change.order_id.map(|id| id.0),
            reason: change.reason.as_deref(),
            note: change.note.as_deref(),
            actor_id: change.actor_id.0,
            at: decode::instant(change.at),
        }
    }
}

#[derive(Debug, sqlx::Encode)]
pub(super) struct ReservationRow {
    order_id: Uuid,
    product_id: Uuid,
    seller_id: Uuid,
    quantity: i64,
    round: i64,
    shipped: i64,
    released: i64,
    is_new: bool,
    round_before: i64,
    shipped_before: i64,
    released_before: i64,
}

impl From<&ReservationWrite> for ReservationRow {
    fn from(write: &ReservationWrite) -> Self {
        let ReservationWrite { reservation, before } = write;
        let before_or_same = before.unwrap_or(*reservation);
        Self {
            order_id: reservation.order_id.0,
            product_id: reservation.product_id.0,
            seller_id: reservation.seller_id.0,
            quantity: reservation.quantity.get().into(),
            round: reservation.round.into(),
            shipped: reservation.progress.shipped.into(),
            released: reservation.progress.released.into(),
            is_new: before.is_none(),
            round_before: before_or_same.round.into(),
            shipped_before: before_or_same.progress.shipped.into(),
            released_before: before_or_same.progress.released.into(),
        }
    }
}

#[derive(Debug, sqlx::Encode)]
pub(super) struct OrderRow<'a> {
    order_id: Uuid,
    expected: &'static str,
    expected_version: i64,
    customer_id: Uuid,
    operation_key: &'a str,
    fingerprint: &'a [u8],
    state: &'static str,
    lines: String,
    total_minor: i64,
    currency: &'static str,
    shipping_address: Option<&'a str>,
    note: Option<&'a str>,
    payment: Option<String>,
    refusal: Option<String>,
    expires_at: Option<OffsetDateTime>,
    place_deadline: Option<OffsetDateTime>,
    unsettled: bool,
    round: i64,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    version: i64,
}

impl<'a> TryFrom<&'a OrderWrite> for OrderRow<'a> {
    type Error = StoreError;

    fn try_from(write: &'a OrderWrite) -> Result<Self, StoreError> {
        let OrderWrite { record, expected } = write;
        let order = &record.order;
        let (expected, expected_version) = match expected {
            OrderExpected::Absent => ("absent", 0),
            OrderExpected::Placing => ("placing", 0),
            OrderExpected::Placed { version } => ("placed", *version),
        };
        let (place_deadline, refusal) = match &record.state {
            OrderState::Placing { deadline } => (Some(*deadline), None),
            OrderState::Refused(refusal) => (None, Some(refusal)),
            OrderState::Placed => (None, None),
        };
        Ok(Self {
            order_id: order.id.0,
            expected,
            expected_version,
            customer_id: order.customer_id.0,
            operation_key: record.operation_key.as_str(),
            fingerprint: &record.fingerprint.0,
            state: record.state.column(order),
            lines: decode::json(&order.lines)?,
            total_minor: order.total.amount,
            currency: order.total.currency.code(),
            shipping_address: order.shipping_address.as_ref().map(JsonObject::as_str),
            note: order.note.as_deref(),
            payment: order.payment.as_ref().map(decode::json).transpose()?,
            refusal: refusal.map(decode::json).transpose()?,
            expires_at: order.expires_at.map(decode::instant),
            place_deadline: place_deadline.map(decode::instant),
            unsettled: record.unsettled,
            round: record.round.into(),
            created_at: decode::instant(order.created_at),
            updated_at: decode::instant(order.updated_at),
            version: order.version,
        })
    }
}

#[derive(Debug, sqlx::Encode)]
pub(super) struct EventRow<'a> {
    aggregate: &'static str,
    subject: Uuid,
    sequence: i64,
    kind: &'static str,
    event_id: Uuid,
    at: OffsetDateTime,
    actor_id: Option<Uuid>,
    data: &'a str,
    epoch: i64,
    trace_id: Option<&'a str>,
}

impl<'a> From<&'a EventWrite> for EventRow<'a> {
    fn from(write: &'a EventWrite) -> Self {
        let EventWrite { event, epoch } = write;
        Self {
            aggregate: event.kind.aggregate().as_str(),
            subject: event.subject,
            sequence: event.sequence,
            kind: event.kind.as_str(),
            event_id: event.id.0,
            at: decode::instant(event.at),
            actor_id: event.actor_id,
            data: event.data.as_str(),
            epoch: *epoch,
            trace_id: event.trace_id.as_deref(),
        }
    }
}

#[derive(Debug, sqlx::Encode)]
pub(super) struct OperationRow<'a> {
    principal: Uuid,
    route: &'a str,
    key: &'a str,
    fingerprint: &'a [u8],
    outcome: &'a str,
    at: OffsetDateTime,
}

impl<'a> From<&'a OperationRecord> for OperationRow<'a> {
    fn from(record: &'a OperationRecord) -> Self {
        let OperationRecord {
            operation,
            outcome,
            at,
        } = record;
        Self {
            principal: operation.principal,
            route: &operation.route,
            key: operation.key.as_str(),
            fingerprint: &operation.fingerprint.0,
            outcome,
            at: decode::instant(*at),
        }
    }
}
