//! Consumers of events: inboxes, tasks and dead letters.

use std::time::Duration;

use holdfast_domain::{EventId, EventKind, NodeId, ProductId, Timestamp};
use holdfast_store::{
    Acceptance, Consequence, ConsumerTask, DeadLetterFilter, EventRecord, PageRequest, StockAlert,
    StoreError, StreamName,
};
use uuid::Uuid;

use crate::shop::{NOW, Shop, entropy, event, join, later};

const MAIL: &str = "order-mail";
const HOLD: Duration = Duration::from_hours(1);
const NO_PAUSE: Duration = Duration::ZERO;

fn told(kind: EventKind, subject: Uuid, sequence: i64) -> EventRecord {
    EventRecord {
        event: event(kind, subject, sequence),
        node: "n1".to_owned(),
        epoch: 1,
    }
}

fn order_event(subject: u128, sequence: i64) -> EventRecord {
    told(EventKind::OrderUpdated, Uuid::from_u128(subject), sequence)
}

async fn accept(shop: &Shop, record: &EventRecord, consequence: Consequence) -> bool {
    let acceptance = Acceptance {
        consumer: MAIL,
        event: record,
        alert: None,
        consequence,
    };
    let news = shop.store.consumer_accept(&[acceptance]).await;
    news.expect("accepts")[0]
}

async fn take(shop: &Shop, node: NodeId) -> Vec<ConsumerTask> {
    let taken = shop.store.consumer_tasks_take(node, &[MAIL], HOLD, 10).await;
    taken.expect("takes")
}

fn ids(tasks: &[ConsumerTask]) -> Vec<EventId> {
    let mut ids: Vec<_> = tasks.iter().map(|task| task.attempt.event_id).collect();
    ids.sort_unstable();
    ids
}

/// A dead letter of an event, in a shop with no other task.
async fn dead(shop: &Shop, record: &EventRecord) {
    assert!(accept(shop, record, Consequence::Task).await);
    let task = take(shop, shop.node).await.remove(0);
    let counted = shop.store.consumer_task_dead(&task.attempt, "550 nobody here");
    assert!(counted.await.expect("buries"));
}

#[tokio::test]
async fn an_event_that_is_told_twice_is_taken_in_once() {
    let shop = Shop::open().await;
    let record = told(EventKind::StockLow, Uuid::from_u128(9), 4);
    let alert = StockAlert {
        event_id: record.event.id,
        product_id: ProductId(record.event.subject),
        kind: EventKind::StockLow,
        on_hand: 5,
        available: 2,
        at: NOW,
    };
    let acceptance = Acceptance {
        consumer: "stock-alerts",
        event: &record,
        alert: Some(alert),
        consequence: Consequence::Task,
    };
    let other = order_event(1, 1);
    let both = [
        acceptance.clone(),
        Acceptance {
            consumer: MAIL,
            event: &other,
            alert: None,
            consequence: Consequence::Nothing,
        },
    ];
    let accept = async |batch: &[Acceptance<'_>]| shop.store.consumer_accept(batch).await.expect("accepts");
    assert_eq!(accept(&[acceptance]).await, [true]);
    assert_eq!(accept(&both).await, [false, true]);
    assert_eq!(accept(&both).await, [false, false]);
    assert_eq!(accept(&[]).await, [false; 0]);
    assert_eq!(shop.count("inbox").await, 2);
    assert_eq!(shop.count("consumer_task").await, 1);
    let alerts = shop
        .store
        .stock_alerts(alert.product_id, &PageRequest::first(10))
        .await
        .expect("lists");
    assert_eq!(alerts.items, [alert]);
    shop.store.stock_alert_record(&alert).await.expect("keeps");
    assert_eq!(shop.count("stock_alert").await, 1);
    let none = shop.store.consumer_tasks_take(shop.node, &[MAIL], HOLD, 10).await;
    assert_eq!(none.expect("takes"), [], "the task is another consumer's");
    shop.close().await;
}

#[tokio::test]
async fn a_task_carries_its_event_and_is_held_by_one_node() {
    let shop = Shop::open().await;
    let record = order_event(1, 1);
    accept(&shop, &record, Consequence::Task).await;
    let tasks = take(&shop, shop.node).await;
    assert_eq!(tasks[0].event().expect("reads"), record);
    assert_eq!(tasks[0].attempt.number, 1);
    assert_eq!(take(&shop, shop.node).await, []);
    let other = join(&shop.store, "n2").await;
    assert_eq!(take(&shop, other).await, []);
    shop.store
        .consumer_task_done(&tasks[0].attempt)
        .await
        .expect("ends");
    assert_eq!(shop.count("consumer_task").await, 0);
    assert!(
        !accept(&shop, &record, Consequence::Task).await,
        "what was done is not done again"
    );
    shop.close().await;
}

#[tokio::test]
async fn of_what_happened_to_one_thing_only_the_first_is_taken() {
    let shop = Shop::open().await;
    let (first, second, other) = (order_event(1, 3), order_event(1, 4), order_event(2, 9));
    for record in [&first, &second, &other] {
        accept(&shop, record, Consequence::Task).await;
    }
    let tasks = take(&shop, shop.node).await;
    assert_eq!(ids(&tasks), [first.event.id, other.event.id]);
    assert_eq!(take(&shop, shop.node).await, [], "the first is not done");
    for task in &tasks {
        shop.store.consumer_task_done(&task.attempt).await.expect("ends");
    }
    assert_eq!(ids(&take(&shop, shop.node).await), [second.event.id]);
    shop.close().await;
}

#[tokio::test]
async fn what_a_lost_node_held_is_due_at_once() {
    let shop = Shop::open().await;
    let record = order_event(1, 1);
    accept(&shop, &record, Consequence::Task).await;
    let lost = join(&shop.store, "n2").await;
    let held = take(&shop, lost).await.remove(0);
    assert_eq!(take(&shop, shop.node).await, []);
    // A later start under the name of a node ends it.
    join(&shop.store, "n2").await;
    let again = take(&shop, shop.node).await.remove(0);
    assert_eq!(
        (again.attempt.event_id, again.attempt.number),
        (record.event.id, 2)
    );
    let refused = shop.store.consumer_tasks_take(lost, &[MAIL], HOLD, 10).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    let late = shop
        .store
        .consumer_task_failed(&held.attempt, "too late", NO_PAUSE);
    assert!(!late.await.expect("answers"), "the attempt is another node's now");
    let late = shop.store.consumer_task_dead(&held.attempt, "too late");
    assert!(!late.await.expect("answers"));
    assert_eq!(shop.count("dead_letter").await, 0);
    shop.close().await;
}

#[tokio::test]
async fn a_task_that_was_held_for_too_long_is_due_again() {
    let shop = Shop::open().await;
    accept(&shop, &order_event(1, 1), Consequence::Task).await;
    let taken = shop
        .store
        .consumer_tasks_take(shop.node, &[MAIL], Duration::ZERO, 10)
        .await;
    assert_eq!(taken.expect("takes").len(), 1);
    assert_eq!(take(&shop, shop.node).await[0].attempt.number, 2);
    shop.close().await;
}

#[tokio::test]
async fn a_task_that_failed_is_put_off_and_counts_its_attempts() {
    let shop = Shop::open().await;
    accept(&shop, &order_event(1, 1), Consequence::Task).await;
    let task = take(&shop, shop.node).await.remove(0);
    let counted = shop
        .store
        .consumer_task_failed(&task.attempt, "421 later", NO_PAUSE);
    assert!(counted.await.expect("puts off"));
    let task = take(&shop, shop.node).await.remove(0);
    assert_eq!(task.attempt.number, 2);
    let counted = shop.store.consumer_task_failed(&task.attempt, "421 later", HOLD);
    assert!(counted.await.expect("puts off"));
    assert_eq!(take(&shop, shop.node).await, [], "it is not due");
    assert_eq!(
        shop.store
            .consumer_tasks_waiting(Some(MAIL))
            .await
            .expect("counts"),
        1
    );
    shop.close().await;
}

#[tokio::test]
async fn a_dead_letter_tells_what_stood_against_it_and_can_be_tried_again() {
    let shop = Shop::open().await;
    let (poisoned, next) = (order_event(1, 1), order_event(1, 2));
    dead(&shop, &poisoned).await;
    accept(&shop, &next, Consequence::Task).await;
    assert_eq!(
        ids(&take(&shop, shop.node).await),
        [next.event.id],
        "nothing waits for the dead"
    );
    let filter = DeadLetterFilter {
        consumer: Some(MAIL.to_owned()),
        event_id: Some(poisoned.event.id),
    };
    let letters = shop.store.dead_letters(&filter, &PageRequest::first(10)).await;
    let letter = letters.expect("lists").items.remove(0);
    assert_eq!((letter.error.as_str(), letter.attempts), ("550 nobody here", 1));
    assert_eq!(
        (letter.kind.as_str(), letter.subject),
        ("order.updated", poisoned.event.subject)
    );
    let now = shop.store.server_time().await.expect("a time");
    let moved = shop.store.dead_letters_retry(&filter, now, 10).await;
    assert_eq!(moved.expect("moves"), 1);
    assert_eq!(shop.count("dead_letter").await, 0);
    let task = take(&shop, shop.node).await.remove(0);
    assert_eq!(task.event().expect("reads"), poisoned);
    assert_eq!(task.attempt.number, 1, "it has all its attempts again");
    shop.close().await;
}

#[tokio::test]
async fn a_refused_event_is_a_dead_letter_from_the_start() {
    let shop = Shop::open().await;
    let record = order_event(1, 1);
    let refused = Consequence::Refused("there is no count".repeat(200));
    assert!(accept(&shop, &record, refused.clone()).await);
    assert!(!accept(&shop, &record, refused).await);
    let all = DeadLetterFilter::default();
    let letters = shop.store.dead_letters(&all, &PageRequest::first(10)).await;
    assert_eq!(letters.expect("lists").items[0].error.len(), 1_000);
    shop.close().await;
}

#[tokio::test]
async fn dead_letters_are_listed_in_pages_and_dropped_in_portions() {
    let shop = Shop::open().await;
    let mut records = Vec::new();
    for subject in 0..5 {
        let mut record = order_event(subject, 1);
        record.event.id = EventId::mint(later(), entropy());
        dead(&shop, &record).await;
        records.insert(0, record.event.id);
    }
    let all = DeadLetterFilter::default();
    let mut request = PageRequest::first(2);
    let mut seen = Vec::new();
    loop {
        let page = shop.store.dead_letters(&all, &request).await.expect("lists");
        seen.extend(page.items.iter().map(|letter| letter.event_id));
        let Some(next) = page.next else { break };
        request.after = Some(next);
    }
    assert_eq!(seen, records);
    let drop = async |filter: &DeadLetterFilter, before, limit| {
        let dropped = shop.store.dead_letters_drop(filter, before, limit).await;
        dropped.expect("drops")
    };
    let now = shop.store.server_time().await.expect("a time");
    let others = DeadLetterFilter {
        consumer: Some("another".to_owned()),
        event_id: None,
    };
    assert_eq!(drop(&others, now, 10).await, 0);
    assert_eq!(drop(&all, Timestamp::UNIX_EPOCH, 3).await, 0, "these died later");
    let later = now.plus(Duration::from_hours(1));
    assert_eq!((drop(&all, later, 3).await, drop(&all, later, 3).await), (3, 2));
    shop.close().await;
}

#[tokio::test]
async fn inboxes_forget_after_a_week_and_alerts_after_ninety_days() {
    let shop = Shop::open().await;
    let (old, new) = (order_event(1, 1), order_event(2, 1));
    for record in [&old, &new] {
        accept(&shop, record, Consequence::Nothing).await;
    }
    let id = old.event.id;
    shop.execute(&format!(
        "UPDATE inbox SET at = now() - interval '8 days' WHERE event_id = '{id}'"
    ))
    .await;
    assert_eq!(shop.store.inbox_purge(10).await.expect("purges"), 1);
    assert!(accept(&shop, &old, Consequence::Nothing).await);
    assert!(!accept(&shop, &new, Consequence::Nothing).await);
    shop.execute(
        "SELECT stock_alert_record(gen_random_uuid(), gen_random_uuid(), 'stock.low', 2, 1,
             now() - age * interval '1 day') FROM unnest(ARRAY[89, 91]) AS age",
    )
    .await;
    assert_eq!(shop.store.stock_alerts_purge(10).await.expect("purges"), 1);
    assert_eq!(shop.count("stock_alert").await, 1);
    shop.close().await;
}

#[tokio::test]
async fn a_stream_is_read_on_where_it_was_left_and_anew_when_it_was_made_anew() {
    let shop = Shop::open().await;
    let named = |incarnation: &str| StreamName {
        name: "SHOP".to_owned(),
        incarnation: incarnation.to_owned(),
    };
    let stream = named("first");
    let position = async |stream, last| shop.store.stream_position(stream, last).await.expect("reads");
    let advance = async |stream, to| shop.store.stream_advance(stream, to).await.expect("moves");
    assert_eq!(position(&stream, 50).await, 0);
    advance(&stream, 30).await;
    // Who is slow takes nothing back.
    advance(&stream, 20).await;
    assert_eq!(position(&stream, 50).await, 30);
    // It has lost its end: other messages have got the numbers of what it lost.
    assert_eq!(position(&stream, 25).await, 25);
    let another = named("second");
    assert_eq!(position(&another, 50).await, 0);
    // Who reads what is gone by now moves nothing.
    advance(&stream, 40).await;
    assert_eq!(position(&another, 50).await, 0);
    shop.close().await;
}

#[tokio::test]
async fn what_waits_and_what_has_died_is_measured_for_each_consumer() {
    let shop = Shop::open().await;
    let backlogs = async || shop.store.consumer_backlogs().await.expect("measures");
    assert_eq!(backlogs().await, []);
    dead(&shop, &order_event(1, 1)).await;
    for sequence in 1..=3 {
        assert!(accept(&shop, &order_event(2, sequence), Consequence::Task).await);
    }
    shop.execute("UPDATE consumer_task SET made_at = made_at - interval '1 hour' WHERE sequence = 2")
        .await;
    let found = backlogs().await;
    let [of_mail] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(
        (of_mail.consumer.as_str(), of_mail.waiting, of_mail.dead_letters),
        (MAIL, 3, 1)
    );
    assert!(of_mail.oldest_ms >= 3_600_000, "{of_mail:?}");
    // A letter that is tried again is a task of now.
    shop.execute("DELETE FROM consumer_task").await;
    let everything = DeadLetterFilter::default();
    let at = shop.store.server_time().await.expect("reads");
    let retried = shop.store.dead_letters_retry(&everything, at, 10);
    assert_eq!(retried.await.expect("retries"), 1);
    let found = backlogs().await;
    assert_eq!((found[0].waiting, found[0].dead_letters), (1, 0));
    assert!(found[0].oldest_ms < 3_600_000, "{found:?}");
    shop.close().await;
}
