//! Small histories for tests.

use std::time::Duration;

use uuid::Uuid;

use super::{Kind, Movement};
use crate::chaos::history::{Action, Attempt, Level, Operation, Outcome, Reply, Row, Shown};

pub(super) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// An operation of client 0 at node 0.
pub(super) fn operation(began: u64, ended: u64, action: Action, outcome: Outcome) -> Operation {
    Operation {
        client: 0,
        action,
        attempts: vec![Attempt {
            node: 0,
            began: ms(began),
            ended: ms(ended),
            reply: Reply::Status(200),
        }],
        began: ms(began),
        ended: ms(ended),
        outcome,
    }
}

/// The placing of an order of `units` of product 0, under a key that is the
/// order's number.
pub(super) fn placed(began: u64, ended: u64, order: u128, units: u32) -> Operation {
    let action = Action::Place {
        key: order.to_string(),
        lines: [(0, units)].into(),
    };
    let shown = Shown {
        order: Some(id(order)),
        version: Some((Row::Order(id(order)), 1)),
        level: None,
    };
    operation(began, ended, action, Outcome::Done(shown))
}

/// A placement that was refused because product 0 has too few units.
pub(super) fn sold_out(began: u64, ended: u64, key: &str, units: u32) -> Operation {
    let action = Action::Place {
        key: key.to_owned(),
        lines: [(0, units)].into(),
    };
    let refused = Outcome::Refused {
        status: 409,
        problem: "insufficient-stock".to_owned(),
        short: vec![0],
    };
    operation(began, ended, action, refused)
}

pub(super) fn level(on_hand: i64, reserved: i64, version: i64) -> Level {
    Level {
        on_hand,
        reserved,
        version,
    }
}

/// A read of product 0's stock.
pub(super) fn stock_read(began: u64, ended: u64, fresh: bool, level: Level) -> Operation {
    let shown = Shown {
        order: None,
        version: Some((Row::Stock(0), level.version)),
        level: Some(level),
    };
    operation(
        began,
        ended,
        Action::ReadStock { product: 0, fresh },
        Outcome::Done(shown),
    )
}

/// An adjustment of product 0's stock.
pub(super) fn adjusted(began: u64, ended: u64, level: Level) -> Operation {
    let mut operation = stock_read(began, ended, true, level);
    operation.action = Action::Adjust { product: 0 };
    operation
}

/// A ledger that begins with `initial` units, and then reserves and adds.
pub(super) fn ledger(initial: i64, entries: &[Entry]) -> Vec<Movement> {
    let mut current = level(initial, 0, 1);
    let mut ledger = vec![Movement {
        kind: Kind::Other,
        order: None,
        delta_on_hand: initial,
        delta_reserved: 0,
        level: current,
    }];
    for entry in entries {
        let (kind, order, delta_on_hand, delta_reserved) = match *entry {
            Entry::Reserve(order, units) => (Kind::Reserve, Some(id(order)), 0, units),
            Entry::Release(order, units) => (Kind::Other, Some(id(order)), 0, -units),
            Entry::Adjust(delta) => (Kind::Adjustment, None, delta, 0),
        };
        current = level(
            current.on_hand + delta_on_hand,
            current.reserved + delta_reserved,
            current.version + 1,
        );
        ledger.push(Movement {
            kind,
            order,
            delta_on_hand,
            delta_reserved,
            level: current,
        });
    }
    ledger
}

pub(super) enum Entry {
    Reserve(u128, i64),
    Release(u128, i64),
    Adjust(i64),
}
