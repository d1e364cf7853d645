//! The queue, driven without a database.

use holdfast_domain::{
    Fingerprint, Money, MovementId, MovementKind, NodeId, Operation, OperationKey, Order, OrderId,
    OrderStatus, ProductId, StockLevel, Timestamp, UserId, stock::StockChange,
};
use holdfast_store::{Batch, Duplicate, OrderExpected, OrderRecord, OrderState, OrderWrite, Stale};
use proptest::prelude::*;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    Barriers, BatchEnd, Intent, LaneError, LaneIdentity, LaneLimits, LaneQueue, OperationIntent, Remembered,
    StockIntent,
};
use crate::trace::TraceParent;

const AT: Timestamp = Timestamp::from_unix_micros(1_700_000_000_000_000);

fn queue(batch_intents: usize, waiting_intents: usize) -> LaneQueue<u32> {
    let identity = LaneIdentity {
        node_id: NodeId::mint(AT, [1; 10]),
        lane: 0,
    };
    LaneQueue::new(
        identity,
        LaneLimits {
            batch_intents,
            batch_bytes: 1 << 20,
            waiting_intents,
            waiting_bytes: 1 << 20,
            heads: 1_000,
        },
    )
}

fn level(product: u8, on_hand: u32) -> StockLevel {
    StockLevel {
        product_id: ProductId::mint(AT, [product; 10]),
        on_hand,
        reserved: 0,
        version: 1,
    }
}

fn reserve(base: StockLevel, units: i64) -> Intent {
    let change = StockChange {
        movement_id: MovementId::mint(AT, [2; 10]),
        kind: MovementKind::Reserve,
        delta_on_hand: 0,
        delta_reserved: units,
        order_id: None,
        reason: None,
        note: None,
        actor_id: UserId::mint(AT, [3; 10]),
        at: AT,
    };
    let stock = StockIntent {
        base,
        changes: vec![change],
        only_at: None,
        low_stock_threshold: None,
    };
    Intent {
        stock: vec![stock],
        ..Intent::default()
    }
}

/// The same customer's order under the same key, whichever order it is to become.
fn order(n: u8, intent: Intent) -> Intent {
    let order = Order {
        id: OrderId::mint(AT, [n; 10]),
        status: OrderStatus::PendingPayment,
        lines: Vec::new(),
        total: Money::new(0, "EUR".parse().expect("known")),
        customer_id: UserId::mint(AT, [3; 10]),
        shipping_address: None,
        note: None,
        payment: None,
        expires_at: None,
        created_at: AT,
        updated_at: AT,
        version: 1,
    };
    let record = OrderRecord {
        order,
        state: OrderState::Placed,
        operation_key: OperationKey::made(Uuid::nil()),
        fingerprint: Fingerprint([0; 32]),
        unsettled: false,
        round: 0,
    };
    let order = Some(OrderWrite {
        record,
        expected: OrderExpected::Absent,
    });
    Intent { order, ..intent }
}

fn used_key(n: u8) -> Duplicate {
    let order_id = OrderId::mint(AT, [n; 10]);
    Duplicate::Order {
        order_id,
        existing: OrderId::mint(AT, [99; 10]),
    }
}

fn submit(queue: &mut LaneQueue<u32>, intent: Intent, ticket: u32) {
    assert_eq!(queue.submit(intent, ticket), Ok(()));
}

fn next(queue: &mut LaneQueue<u32>) -> Batch {
    queue
        .next_batch(Uuid::from_u128(7))
        .expect("something waits and nothing is in flight")
}

#[test]
fn what_queues_while_a_batch_is_in_flight_becomes_the_next() {
    let mut queue = queue(256, 256);
    submit(&mut queue, reserve(level(1, 10), 1), 1);
    assert_eq!(next(&mut queue).movements.len(), 1);
    submit(&mut queue, reserve(level(1, 10), 1), 2);
    submit(&mut queue, reserve(level(1, 10), 1), 3);
    assert!(queue.next_batch(Uuid::nil()).is_none(), "one commit is in flight");
    assert_eq!(queue.ended(&BatchEnd::Committed).len(), 1);
    assert_eq!(next(&mut queue).movements.len(), 2);
}

#[test]
fn a_product_is_written_once_in_a_batch_and_its_versions_are_dense() {
    let mut queue = queue(256, 256);
    for ticket in 0..3 {
        submit(&mut queue, reserve(level(1, 10), 2), ticket);
    }
    let batch = next(&mut queue);
    assert_eq!(batch.stock.len(), 1);
    assert_eq!(batch.stock[0].expected_version, 1);
    assert_eq!(
        batch.stock[0].level,
        StockLevel {
            reserved: 6,
            version: 4,
            ..level(1, 10)
        }
    );
    let versions: Vec<_> = batch
        .movements
        .iter()
        .map(|movement| movement.level.version)
        .collect();
    assert_eq!(versions, [2, 3, 4]);
}

#[test]
fn every_event_of_an_intent_names_its_trace() {
    let mut queue = queue(8, 8);
    let traced = |n: u8, units| Intent {
        trace: Some(TraceParent {
            trace: [n; 16],
            span: [n; 8],
            flags: 1,
        }),
        ..reserve(level(n, 5), units)
    };
    // Selling out is news; selling is not.
    submit(&mut queue, traced(1, 5), 1);
    submit(&mut queue, traced(2, 1), 2);
    submit(&mut queue, traced(3, 5), 3);
    let batch = next(&mut queue);
    let traces: Vec<_> = batch
        .events
        .iter()
        .map(|write| write.event.trace_id.clone())
        .collect();
    assert_eq!(traces, [Some("01".repeat(16)), Some("03".repeat(16))]);
    let spans: Vec<_> = queue.traces().iter().map(|trace| trace.span).collect();
    assert_eq!(spans, [[1; 8], [2; 8], [3; 8]]);
}

#[test]
fn a_conflict_hits_its_own_intents_and_the_others_go_again() {
    let mut queue = queue(256, 256);
    submit(&mut queue, reserve(level(1, 10), 1), 1);
    submit(&mut queue, reserve(level(2, 10), 1), 2);
    next(&mut queue);
    let stale = Stale::Stock {
        product_id: level(1, 10).product_id,
        version: Some(9),
    };
    let told = queue.ended(&BatchEnd::Conflicts(vec![stale]));
    assert_eq!(told, vec![(1, Err(LaneError::Conflict))]);
    let retried = next(&mut queue);
    assert_eq!(retried.stock.len(), 1);
    assert_eq!(retried.stock[0].level.product_id, level(2, 10).product_id);
}

#[test]
fn a_conflict_about_nobody_ends_the_batch_instead_of_repeating_it() {
    let mut queue = queue(256, 256);
    submit(&mut queue, reserve(level(1, 10), 1), 1);
    next(&mut queue);
    let stale = Stale::Stock {
        product_id: level(9, 0).product_id,
        version: None,
    };
    assert_eq!(
        queue.ended(&BatchEnd::Conflicts(vec![stale])),
        vec![(1, Err(LaneError::Conflict))]
    );
    assert!(queue.next_batch(Uuid::nil()).is_none());
}

#[test]
fn a_statement_of_stock_that_lost_a_race_is_told_when_the_winner_is_durable() {
    let mut queue = queue(256, 256);
    submit(&mut queue, reserve(level(1, 10), 1), 1);
    let mut late = reserve(level(1, 10), 1);
    late.stock[0].only_at = Some(1);
    submit(&mut queue, late, 2);
    assert_eq!(
        next(&mut queue).movements.len(),
        1,
        "the late one is not in the batch"
    );
    let told = queue.ended(&BatchEnd::Committed);
    assert!(told.contains(&(2, Err(LaneError::StockVersion { current: 2 }))));
    assert_eq!(told.len(), 2);
}

#[test]
fn of_two_intents_under_one_operation_the_second_waits_for_the_first() {
    let mut queue = queue(256, 256);
    for ticket in 0..2 {
        let operation = Operation {
            principal: Uuid::nil(),
            route: "POST /v1/products".into(),
            key: OperationKey::made(Uuid::nil()),
            fingerprint: Fingerprint([0; 32]),
            named_by_client: true,
        };
        let remembered = Remembered::Stock;
        let operation = Some(OperationIntent {
            operation,
            remembered,
            at: AT,
        });
        submit(
            &mut queue,
            Intent {
                operation,
                ..reserve(level(1, 10), 1)
            },
            ticket,
        );
    }
    assert_eq!(next(&mut queue).operations.len(), 1);
    assert_eq!(queue.ended(&BatchEnd::Committed).len(), 1);
    assert_eq!(next(&mut queue).operations.len(), 1);
}

#[test]
fn a_statement_of_stock_that_lost_to_a_batch_that_failed_is_tried_again() {
    let mut queue = queue(256, 256);
    submit(&mut queue, order(1, reserve(level(1, 10), 1)), 1);
    let mut late = reserve(level(1, 10), 1);
    late.stock[0].only_at = Some(1);
    submit(&mut queue, late, 2);
    next(&mut queue);
    let told = queue.ended(&BatchEnd::Duplicates(vec![used_key(1)]));
    assert_eq!(
        told,
        vec![(1, Err(LaneError::Duplicate))],
        "the version never moved"
    );
    assert_eq!(next(&mut queue).movements.len(), 1);
}

#[test]
fn repeats_of_a_used_key_fail_one_batch_and_not_one_each() {
    let mut queue = queue(256, 256);
    submit(&mut queue, reserve(level(2, 10), 1), 0);
    for ticket in 1..10 {
        submit(
            &mut queue,
            order(u8::try_from(ticket).expect("small"), reserve(level(1, 10), 1)),
            ticket,
        );
    }
    assert_eq!(next(&mut queue).orders.len(), 1);
    let told = queue.ended(&BatchEnd::Duplicates(vec![used_key(1)]));
    assert_eq!(told.len(), 9, "all of them are told by one batch");
    submit(&mut queue, order(1, reserve(level(1, 10), 1)), 11);
    let innocents = next(&mut queue);
    assert!(
        innocents.orders.is_empty(),
        "those who had no part in it go by themselves"
    );
    assert_eq!(innocents.movements.len(), 1);
}

#[test]
fn an_intent_that_the_store_does_not_take_is_found_by_halving() {
    let mut queue = queue(256, 256);
    for ticket in 0..8 {
        submit(&mut queue, reserve(level(1, 100), 1), ticket);
    }
    let (mut refused, mut committed) = (Vec::new(), 0);
    let mut first = 0;
    while let Some(batch) = queue.next_batch(Uuid::from_u128(9)) {
        let size = u32::try_from(batch.movements.len()).expect("small");
        // The store does not take ticket 5.
        let told = if (first..first + size).contains(&5) && refused.is_empty() {
            queue.ended(&BatchEnd::Rejected)
        } else {
            queue.ended(&BatchEnd::Committed)
        };
        for (ticket, settled) in told {
            first = ticket + 1;
            if settled.is_err() {
                refused.push(ticket);
            } else {
                committed += 1;
            }
        }
    }
    assert_eq!((refused, committed), (vec![5], 7));
}

#[test]
fn a_full_queue_gives_the_ticket_back() {
    let mut queue = queue(1, 2);
    submit(&mut queue, reserve(level(1, 10), 1), 1);
    submit(&mut queue, reserve(level(1, 10), 1), 2);
    assert_eq!(queue.submit(reserve(level(1, 10), 1), 3), Err(3));
}

#[test]
fn a_product_is_of_concern_until_all_intents_about_it_are_settled() {
    let mut queue = queue(2, 256);
    let is_of_concern = |queue: &LaneQueue<u32>, n| queue.concerns(level(n, 10).product_id);
    submit(&mut queue, reserve(level(1, 10), 1), 1);
    assert!(is_of_concern(&queue, 1), "it waits");
    next(&mut queue);
    assert!(is_of_concern(&queue, 1), "it is in flight");
    assert!(!is_of_concern(&queue, 2), "nobody wants it");
    queue.ended(&BatchEnd::Committed);
    assert!(!is_of_concern(&queue, 1), "it is durable");

    // Of two orders under one key the second is put off, and belongs to no batch.
    submit(&mut queue, order(1, reserve(level(1, 10), 1)), 2);
    submit(&mut queue, order(2, reserve(level(2, 10), 1)), 3);
    assert_eq!(next(&mut queue).orders.len(), 1);
    assert!(is_of_concern(&queue, 2), "it was put off");
    // A count of stock that lost to a sale is told when the sale is durable.
    queue.ended(&BatchEnd::Committed);
    next(&mut queue);
    queue.ended(&BatchEnd::Committed);
    submit(&mut queue, reserve(level(1, 10), 1), 4);
    let mut late = reserve(level(3, 10), 1);
    late.stock[0].only_at = Some(9);
    submit(&mut queue, late, 5);
    next(&mut queue);
    assert!(is_of_concern(&queue, 3), "it was outrun");
    queue.ended(&BatchEnd::Committed);
    assert!(![1, 2, 3].into_iter().any(|n| is_of_concern(&queue, n)));
}

#[test]
fn a_barrier_is_passed_once_all_intents_about_its_product_are_settled_and_no_other() {
    // Full with what waits: a barrier needs no room.
    let (mut queue, mut barriers) = (queue(1, 1), Barriers::default());
    let mut barrier = |queue: &LaneQueue<u32>, n| {
        let (passed, passing) = oneshot::channel();
        barriers.wait(level(n, 10).product_id, passed, queue);
        passing
    };
    submit(&mut queue, reserve(level(1, 10), 1), 1);
    next(&mut queue);
    submit(&mut queue, reserve(level(2, 10), 1), 2);
    let (mut first, mut second, mut other) = (barrier(&queue, 1), barrier(&queue, 2), barrier(&queue, 3));
    assert_eq!(other.try_recv(), Ok(()));
    assert!(first.try_recv().is_err(), "its intent is in flight");
    queue.ended(&BatchEnd::Committed);
    barriers.release(&queue);
    assert_eq!(first.try_recv(), Ok(()));
    assert!(second.try_recv().is_err(), "its intent waits");
    next(&mut queue);
    barriers.release(&queue);
    assert!(second.try_recv().is_err(), "its intent is in flight");
    queue.ended(&BatchEnd::Fenced);
    barriers.release(&queue);
    assert_eq!(second.try_recv(), Ok(()));
}

#[test]
fn a_fenced_batch_is_refused_whole() {
    let mut queue = queue(256, 256);
    submit(&mut queue, reserve(level(1, 10), 1), 1);
    submit(&mut queue, reserve(level(2, 10), 1), 2);
    next(&mut queue);
    assert_eq!(
        queue.ended(&BatchEnd::Fenced),
        vec![(1, Err(LaneError::Fenced)), (2, Err(LaneError::Fenced))]
    );
}

proptest! {
    /// Whatever commits and conflicts, the counters that a batch expects are those that the last
    /// committed one left, and no unit is promised twice.
    #[test]
    fn batches_chain_and_never_oversell(steps in prop::collection::vec((1_i64..4, 0_u8..4), 1..200)) {
        let mut queue = queue(8, 1_000);
        let mut stored = level(1, 100);
        for (ticket, (units, end)) in steps.into_iter().enumerate() {
            let ticket = u32::try_from(ticket).unwrap_or(u32::MAX);
            submit(&mut queue, reserve(stored, units), ticket);
            if end == 0 {
                continue;
            }
            let Some(batch) = queue.next_batch(Uuid::from_u128(u128::from(ticket))) else { continue };
            let write = batch.stock.first().copied();
            if let Some(write) = write {
                prop_assert_eq!(write.expected_version, stored.version);
                prop_assert!(write.level.reserved <= write.level.on_hand);
            }
            if end == 3 {
                let stale = Stale::Stock { product_id: stored.product_id, version: Some(stored.version) };
                queue.ended(&BatchEnd::Conflicts(vec![stale]));
            } else {
                queue.ended(&BatchEnd::Committed);
                stored = write.map_or(stored, |write| write.level);
            }
        }
    }
}
