//! A batch as columns: what Postgres reads fastest. The n-th elements of a table's columns make a row.

use holdfast_domain::{JsonObject, Movement};
use time::OffsetDateTime;
use uuid::Uuid;

use super::batch::{OrderExpected, OrderWrite, ReservationWrite, StockWrite};
use crate::{EventWrite, OperationRecord, OrderState, StoreError, decode};

#[derive(Default)]
pub(super) struct StockColumns {
    pub(super) product: Vec<Uuid>,
    pub(super) expected: Vec<i64>,
    pub(super) on_hand: Vec<i64>,
    pub(super) reserved: Vec<i64>,
    pub(super) version: Vec<i64>,
}

impl StockColumns {
    pub(super) fn of(writes: &[StockWrite]) -> Self {
        let mut columns = Self::default();
        for StockWrite {
            expected_version,
            level,
        } in writes
        {
            columns.product.push(level.product_id.0);
            columns.expected.push(*expected_version);
            columns.on_hand.push(i64::from(level.on_hand));
            columns.reserved.push(i64::from(level.reserved));
            columns.version.push(level.version);
        }
        columns
    }
}

#[derive(Default)]
pub(super) struct MovementColumns<'a> {
    pub(super) product: Vec<Uuid>,
    pub(super) version: Vec<i64>,
    pub(super) id: Vec<Uuid>,
    pub(super) kind: Vec<&'static str>,
    pub(super) delta_on_hand: Vec<i64>,
    pub(super) delta_reserved: Vec<i64>,
    pub(super) on_hand: Vec<i64>,
    pub(super) reserved: Vec<i64>,
    pub(super) order: Vec<Option<Uuid>>,
    pub(super) reason: Vec<Option<&'a str>>,
    pub(super) note: Vec<Option<&'a str>>,
    pub(super) actor: Vec<Uuid>,
    pub(super) at: Vec<OffsetDateTime>,
}

impl<'a> MovementColumns<'a> {
    pub(super) fn of(movements: &'a [Movement]) -> Self {
        let mut columns = Self::default();
        for Movement { change, level } in movements {
            columns.product.push(level.product_id.0);
            columns.version.push(level.version);
            columns.id.push(change.movement_id.0);
            columns.kind.push(change.kind.as_str());
            columns.delta_on_hand.push(change.delta_on_hand);
            columns.delta_reserved.push(change.delta_reserved);
            columns.on_hand.push(i64::from(level.on_hand));
            columns.reserved.push(i64::from(level.reserved));
            columns.order.push(change.order_id.map(|id| id.0));
            columns.reason.push(change.reason.as_deref());
            columns.note.push(change.note.as_deref());
            columns.actor.push(change.actor_id.0);
            columns.at.push(decode::instant(change.at));
        }
        columns
    }
}

#[derive(Default)]
pub(super) struct ReservationColumns {
    pub(super) order: Vec<Uuid>,
    pub(super) product: Vec<Uuid>,
    pub(super) seller: Vec<Uuid>,
    pub(super) quantity: Vec<i64>,
    pub(super) round: Vec<i64>,
    pub(super) shipped: Vec<i64>,
    pub(super) released: Vec<i64>,
    pub(super) is_new: Vec<bool>,
    pub(super) round_before: Vec<i64>,
    pub(super) shipped_before: Vec<i64>,
    pub(super) released_before: Vec<i64>,
}

impl ReservationColumns {
    pub(super) fn of(writes: &[ReservationWrite]) -> Self {
        let mut columns = Self::default();
        for ReservationWrite { reservation, before } in writes {
            columns.order.push(reservation.order_id.0);
            columns.product.push(reservation.product_id.0);
            columns.seller.push(reservation.seller_id.0);
            columns.quantity.push(i64::from(reservation.quantity.get()));
            columns.round.push(i64::from(reservation.round));
            columns.shipped.push(i64::from(reservation.progress.shipped));
            columns.released.push(i64::from(reservation.progress.released));
            columns.is_new.push(before.is_none());
            let before = before.unwrap_or(*reservation);
            columns.round_before.push(i64::from(before.round));
            columns.shipped_before.push(i64::from(before.progress.shipped));
            columns.released_before.push(i64::from(before.progress.released));
        }
        columns
    }
}

#[derive(Default)]
pub(super) struct OrderColumns<'a> {
    pub(super) id: Vec<Uuid>,
    pub(super) expected: Vec<&'static str>,
    pub(super) expected_version: Vec<i64>,
    pub(super) customer: Vec<Uuid>,
    pub(super) key: Vec<&'a str>,
    pub(super) fingerprint: Vec<&'a [u8]>,
    pub(super) state: Vec<&'static str>,
    pub(super) lines: Vec<String>,
    pub(super) total_minor: Vec<i64>,
    pub(super) currency: Vec<&'static str>,
    pub(super) shipping_address: Vec<Option<&'a str>>,
    pub(super) note: Vec<Option<&'a str>>,
    pub(super) payment: Vec<Option<String>>,
    pub(super) refusal: Vec<Option<String>>,
    pub(super) expires_at: Vec<Option<OffsetDateTime>>,
    pub(super) place_deadline: Vec<Option<OffsetDateTime>>,
    pub(super) unsettled: Vec<bool>,
    pub(super) round: Vec<i64>,
    pub(super) created_at: Vec<OffsetDateTime>,
    pub(super) updated_at: Vec<OffsetDateTime>,
    pub(super) version: Vec<i64>,
}

impl<'a> OrderColumns<'a> {
    pub(super) fn of(writes: &'a [OrderWrite]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for OrderWrite { record, expected } in writes {
            let order = &record.order;
            let (expected, expected_version) = match expected {
                OrderExpected::Absent => ("absent", 0),
                OrderExpected::Placing => ("placing", 0),
                OrderExpected::Placed { version } => ("placed", *version),
            };
            let (deadline, refusal) = match &record.state {
                OrderState::Placing { deadline } => (Some(*deadline), None),
                OrderState::Refused(refusal) => (None, Some(refusal)),
                OrderState::Placed => (None, None),
            };
            columns.id.push(order.id.0);
            columns.expected.push(expected);
            columns.expected_version.push(expected_version);
            columns.customer.push(order.customer_id.0);
            columns.key.push(record.operation_key.as_str());
            columns.fingerprint.push(&record.fingerprint.0);
            columns.state.push(record.state.column(order));
            columns.lines.push(decode::json(&order.lines)?);
            columns.total_minor.push(order.total.amount);
            columns.currency.push(order.total.currency.code());
            let address = order.shipping_address.as_ref();
            columns.shipping_address.push(address.map(JsonObject::as_str));
            columns.note.push(order.note.as_deref());
            let payment = order.payment.as_ref();
            columns.payment.push(payment.map(decode::json).transpose()?);
            columns.refusal.push(refusal.map(decode::json).transpose()?);
            columns.expires_at.push(order.expires_at.map(decode::instant));
            columns.place_deadline.push(deadline.map(decode::instant));
            columns.unsettled.push(record.unsettled);
            columns.round.push(i64::from(record.round));
            columns.created_at.push(decode::instant(order.created_at));
            columns.updated_at.push(decode::instant(order.updated_at));
            columns.version.push(order.version);
        }
        Ok(columns)
    }
}

#[derive(Default)]
pub(super) struct EventColumns<'a> {
    pub(super) aggregate: Vec<&'static str>,
    pub(super) subject: Vec<Uuid>,
    pub(super) sequence: Vec<i64>,
    pub(super) kind: Vec<&'static str>,
    pub(super) id: Vec<Uuid>,
    pub(super) at: Vec<OffsetDateTime>,
    pub(super) actor: Vec<Option<Uuid>>,
    pub(super) data: Vec<&'a str>,
    pub(super) epoch: Vec<i64>,
    pub(super) trace: Vec<Option<&'a str>>,
}

impl<'a> EventColumns<'a> {
    pub(super) fn of(writes: &'a [EventWrite]) -> Self {
        let mut columns = Self::default();
        for EventWrite { event, epoch } in writes {
            columns.aggregate.push(event.kind.aggregate().as_str());
            columns.subject.push(event.subject);
            columns.sequence.push(event.sequence);
            columns.kind.push(event.kind.as_str());
            columns.id.push(event.id.0);
            columns.at.push(decode::instant(event.at));
            columns.actor.push(event.actor_id);
            columns.data.push(event.data.as_str());
            columns.epoch.push(*epoch);
            columns.trace.push(event.trace_id.as_deref());
        }
        columns
    }
}

#[derive(Default)]
pub(super) struct OperationColumns<'a> {
    pub(super) principal: Vec<Uuid>,
    pub(super) route: Vec<&'a str>,
    pub(super) key: Vec<&'a str>,
    pub(super) fingerprint: Vec<&'a [u8]>,
    pub(super) outcome: Vec<&'a str>,
    pub(super) at: Vec<OffsetDateTime>,
}

impl<'a> OperationColumns<'a> {
    pub(super) fn of(records: &'a [OperationRecord]) -> Self {
        let mut columns = Self::default();
        for OperationRecord {
            operation,
            outcome,
            at,
        } in records
        {
            columns.principal.push(operation.principal);
            columns.route.push(&operation.route);
            columns.key.push(operation.key.as_str());
            columns.fingerprint.push(&operation.fingerprint.0);
            columns.outcome.push(outcome);
            columns.at.push(decode::instant(*at));
        }
        columns
    }
}
