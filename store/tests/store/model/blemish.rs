//! Faults of a batch's sender: those that both must refuse alike, and those that only an audit can find.

use holdfast_domain::{
    EventKind, Fingerprint, OrderStatus, Payment, PaymentId, PaymentProvider, Quantity,
    payment::PaymentStatus,
};
use holdfast_store::{Batch, OrderExpected};

use super::{
    dice::Dice,
    sketch::{KEYS, ORDERS},
    world::{Kind, PAST, SHARDS, id, key, order_id},
};

/// Spoils a batch in one way.
pub(super) fn blemish(batch: &mut Batch, dice: &mut Dice) {
    match dice.below(38) {
        0 => double(&mut batch.stock, dice),
        1 => double(&mut batch.reservations, dice),
        2 => double(&mut batch.orders, dice),
        3 => double(&mut batch.operations, dice),
        4 => double(&mut batch.movements, dice),
        5 => double(&mut batch.events, dice),
        6 => change(&mut batch.stock, dice, |write| write.expected_version += 1),
        7 => change(&mut batch.stock, dice, |write| write.level.version = 0),
        8 => change(&mut batch.stock, dice, |write| {
            write.level.reserved = write.level.on_hand + 1;
        }),
        9 => change(&mut batch.reservations, dice, |write| {
            write.reservation.progress.shipped += 9_999;
        }),
        10 => change(&mut batch.reservations, dice, |write| {
            write.before = match write.before {
                None => Some(write.reservation),
                Some(_) => None,
            };
        }),
        11 => change(&mut batch.reservations, dice, |write| {
            if let Some(before) = &mut write.before {
                before.progress.released += 1;
            }
        }),
        12 => change(&mut batch.orders, dice, |write| {
            write.record.order.total.amount = -1;
        }),
        13 => change(&mut batch.orders, dice, |write| {
            write.record.order.expires_at = None;
        }),
        14 => change(&mut batch.orders, dice, |write| write.record.order.lines.clear()),
        15 => change(&mut batch.orders, dice, |write| {
            let order = &mut write.record.order;
            order.payment = Some(Payment {
                id: PaymentId(id(Kind::Other, 0, SHARDS[0])),
                order_id: order.id,
                provider: PaymentProvider::Test,
                status: PaymentStatus::Captured,
                amount: order.total,
                captured: 1,
                refunded: 2,
                created_at: PAST,
            });
        }),
        16 => change(&mut batch.orders, dice, |write| {
            write.expected = match write.expected {
                OrderExpected::Absent => OrderExpected::Placing,
                OrderExpected::Placing => OrderExpected::Placed { version: 1 },
                OrderExpected::Placed { .. } => OrderExpected::Absent,
            };
        }),
        17 => change(&mut batch.orders, dice, |write| write.record.order.version = 0),
        18 => change(&mut batch.movements, dice, |entry| entry.change.order_id = None),
        19 => change(&mut batch.movements, dice, |entry| {
            entry.change.delta_reserved = 0;
        }),
        20 => change(&mut batch.movements, dice, |entry| entry.level.version -= 1),
        21 => change(&mut batch.events, dice, |write| write.event.sequence -= 1),
        22 => change(&mut batch.operations, dice, |record| {
            "{".clone_into(&mut record.outcome);
        }),
        23 => batch.lane = -1,
        24 => drop(batch.stock.pop()),
        25 => drop(batch.movements.pop()),
        26 => drop(batch.reservations.pop()),
        27 => drop(batch.events.pop()),
        28 => change(&mut batch.stock, dice, |write| write.level.on_hand += 1),
        29 => change(&mut batch.reservations, dice, |write| {
            write.reservation.quantity = Quantity::new(7).expect("a quantity");
        }),
        30 => change(&mut batch.orders, dice, |write| {
            write.record.order.total.amount += 1;
        }),
        31 => change(&mut batch.orders, dice, |write| {
            write.record.order.status = OrderStatus::Cancelled;
        }),
        32 => change(&mut batch.orders, dice, |write| {
            write.record.order.status = OrderStatus::Fulfilled;
        }),
        33 => change(&mut batch.orders, dice, |write| write.record.unsettled ^= true),
        34 => change(&mut batch.events, dice, |write| write.epoch += 9),
        35 => change(&mut batch.orders, dice, |write| {
            write.record.order.id = order_id(ORDERS, SHARDS[1]);
        }),
        36 => change(&mut batch.orders, dice, |write| {
            write.record.operation_key = key(KEYS);
            write.record.fingerprint = Fingerprint([9; 32]);
        }),
        _ => change(&mut batch.events, dice, |write| {
            write.event.kind = EventKind::OrderFulfilled;
        }),
    }
}

fn double<T: Clone>(rows: &mut Vec<T>, dice: &mut Dice) {
    if let Some(row) = dice.pick(rows).cloned() {
        rows.push(row);
    }
}

fn change<T>(rows: &mut [T], dice: &mut Dice, spoil: impl FnOnce(&mut T)) {
    let bound = u32::try_from(rows.len()).expect("is short");
    if bound > 0 {
        let n = usize::try_from(dice.below(bound)).expect("is an index");
        spoil(&mut rows[n]);
    }
}
