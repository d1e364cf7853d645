//! Relaying: every event is told, in order, whatever becomes of nodes and of whom they tell.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use holdfast_actors::{EventSink, NatsOptions, NotTaken, StartError};
use holdfast_domain::{Event, event::Aggregate};
use holdfast_store::{EventPosition, EventRecord, FeedLimit, Service};
use serde_json::json;
use uuid::Uuid;

use crate::harness::{Cluster, Person, eventually};

/// Takes down what it is told, in the order in which it is told.
#[derive(Default)]
struct Recorder {
    told: Mutex<Vec<Event>>,
    is_away: AtomicBool,
    /// The service whose events it does not act on.
    ignores: Option<Service>,
}

impl Recorder {
    fn told(&self) -> Vec<Event> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EventSink for Recorder {
    fn deliver<'a>(&'a self, batch: &'a [EventRecord]) -> BoxFuture<'a, Result<(), NotTaken>> {
        async {
            if self.is_away.load(Ordering::Relaxed) {
                return Err(NotTaken::because("the test says so"));
            }
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.extend(batch.iter().map(|record| record.event.clone()));
            Ok(())
        }
        .boxed()
    }

    fn acts_on(&self, service: Service) -> bool {
        self.ignores != Some(service)
    }
}

/// Returns all events that the shop has committed, and who committed them.
pub(super) async fn committed_by_whom(cluster: &Cluster) -> Vec<EventRecord> {
    let mut events = Vec::new();
    let mut at = EventPosition::START;
    loop {
        let limit = FeedLimit {
            events: 500,
            bytes: u32::MAX,
        };
        let page = cluster.store.events_after(at, limit).await.expect("events");
        let Some(last) = page.events.last() else {
            return events;
        };
        at = last.position;
        events.extend(page.events.into_iter().map(|event| event.record));
    }
}

/// Returns all events that the shop has committed.
pub(super) async fn committed(cluster: &Cluster) -> Vec<Event> {
    let records = committed_by_whom(cluster).await;
    records.into_iter().map(|record| record.event).collect()
}

/// Expects that everything committed was told: nothing is missing, nothing is made up, and the first
/// telling of each aggregate's events is in the order in which they were committed.
pub(super) fn expect_all_told(committed: &[Event], told: &[Event]) {
    let by_aggregate = |events: &[Event]| {
        let mut seen = HashSet::new();
        let mut found = HashMap::<_, Vec<Event>>::new();
        for event in events.iter().filter(|event| seen.insert(event.id)) {
            let aggregate = (event.kind.aggregate(), event.subject);
            found.entry(aggregate).or_default().push(event.clone());
        }
        found
    };
    assert_eq!(by_aggregate(committed), by_aggregate(told));
}

/// Places, pays and calls off orders; returns how many it did whole.
pub(super) async fn trade(cluster: &Cluster, buyer: &Person, product: &str, count: usize) -> usize {
    let work = (0..count).map(async |n| {
        let buyer = buyer.at(cluster.api(n));
        let placed = buyer.orders(&[(product, 1)]).await.expect(201);
        let id = placed["id"].as_str().expect("an id").to_owned();
        buyer.pays(&id, "card").await.expect(201);
        let cancel = format!("/v1/orders/{id}/cancel");
        buyer
            .post(&cancel, json!({ "reason": "a test" }))
            .await
            .expect(200);
    });
    futures_util::future::join_all(work).await.len()
}

#[tokio::test]
async fn everything_is_told_in_order_though_a_node_dies_and_the_sink_is_away() {
    let recorder = Arc::new(Recorder::default());
    let sink = recorder.clone();
    let mut cluster = Cluster::start_tuned(3, move |options| options.event_sink = Some(sink.clone())).await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    let mug = seller.lists("mug", 1_000).await;
    trade(&cluster, &buyer, &mug, 10).await;
    // The shop goes on while nobody listens; its events wait, which can be seen.
    recorder.is_away.store(true, Ordering::Relaxed);
    trade(&cluster, &buyer, &mug, 10).await;
    eventually("some events are seen to wait", || async {
        let waiting = (0..cluster.len()).map(|n| cluster.node(n).node.client().relay_status());
        waiting
            .into_iter()
            .any(|status| status.lag.events > 0)
            .then_some(())
    })
    .await;
    recorder.is_away.store(false, Ordering::Relaxed);
    let owner = cluster.owner_of_product(&mug).await;
    cluster.crash(owner).await;
    cluster.settled().await;
    let buyer = buyer.at(cluster.api(0));
    trade(&cluster, &buyer, &mug, 10).await;
    let all = committed(&cluster).await;
    eventually("every event is told", || async {
        let told = recorder.told();
        all.iter()
            .all(|event| told.iter().any(|other| other.id == event.id))
            .then_some(())
    })
    .await;
    expect_all_told(&all, &recorder.told());
    eventually("nothing waits any more", || async {
        (0..cluster.len())
            .all(|n| cluster.node(n).node.client().relay_status().lag.events == 0)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_the_sink_does_not_act_on_is_passed_over_and_never_told() {
    let recorder = Arc::new(Recorder {
        ignores: Some(Service::Orders),
        ..Recorder::default()
    });
    let sink = recorder.clone();
    let mut cluster = Cluster::start_tuned(2, move |options| options.event_sink = Some(sink.clone())).await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    let mug = seller.lists("mug", 1_000).await;
    trade(&cluster, &buyer, &mug, 10).await;
    cluster.all_told().await;
    // Though the sink is away, and there are more than are looked through at once.
    recorder.is_away.store(true, Ordering::Relaxed);
    let jug = seller.lists("jug", 1).await;
    for _ in 0..12 {
        let sql = "INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, data, node, epoch)
                   SELECT 'order', gen_random_uuid(), 1, 'order.placed', gen_random_uuid(), now(), '{}', 'made up', 0
                   FROM generate_series(1, 600)";
        cluster.execute(sql).await;
    }
    let cup = seller.lists("cup", 1).await;
    eventually("orders are passed over, and the rest waits", || async {
        let orders = cluster.untold(Aggregate::Order).await;
        let products = cluster.untold(Aggregate::Product).await;
        (orders == 0 && products >= 2).then_some(())
    })
    .await;
    // Whoever takes the shards over goes on behind them.
    let owner = cluster.owner_of_product(&mug).await;
    cluster.crash(owner).await;
    cluster.settled().await;
    recorder.is_away.store(false, Ordering::Relaxed);
    trade(&cluster, &buyer.at(cluster.api(0)), &mug, 3).await;
    cluster.all_told().await;
    for product in [jug, cup] {
        let told = recorder.told();
        assert!(told.iter().any(|event| event.subject.to_string() == product));
    }
    cluster.execute("DELETE FROM event WHERE node = 'made up'").await;
    let (of_orders, others): (Vec<_>, Vec<_>) = committed(&cluster)
        .await
        .into_iter()
        .partition(|event| event.kind.aggregate() == Aggregate::Order);
    assert!(of_orders.len() > 3 * 10);
    expect_all_told(&others, &recorder.told());
}

#[tokio::test]
async fn where_no_mail_is_sent_the_shops_own_consumers_are_told_of_no_order() {
    let cluster = Cluster::start(1).await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    let mug = seller.lists("mug", 1_000).await;
    assert_eq!(trade(&cluster, &buyer, &mug, 10).await, 10);
    cluster.all_told().await;
    let acted_on = cluster
        .count("SELECT count(*) FROM event WHERE aggregate IN ('product', 'stock')")
        .await;
    let told = cluster.node(0).node.client().relay_status().told;
    assert_eq!(i64::try_from(told), Ok(acted_on));
}

#[tokio::test]
async fn a_transaction_that_stays_open_is_seen_to_hold_events_back() {
    let recorder = Arc::new(Recorder::default());
    let sink = recorder.clone();
    let cluster = Cluster::start_tuned(1, move |options| options.event_sink = Some(sink.clone())).await;
    let status = || cluster.node(0).node.client().relay_status();
    let open = cluster.hold("SELECT pg_current_xact_id()").await;
    let late = cluster.sign_up("late").await;
    eventually("an event is seen to wait, and for what", || async {
        let (lag, held_for) = (status().lag, status().held_for);
        (lag.events > 0 && lag.oldest_ms >= 1_000 && held_for.as_secs() >= 1).then_some(())
    })
    .await;
    let is_told = || {
        recorder
            .told()
            .iter()
            .any(|event| event.subject.to_string() == late.id)
    };
    assert!(!is_told());
    drop(open);
    eventually("it is told, and nothing waits", || async {
        (is_told() && status().lag.events == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn events_are_seen_to_wait_for_a_sink_whose_settings_cannot_be_used() {
    let unusable = NatsOptions {
        urls: vec!["http://mq".to_owned()],
        credentials_file: None,
        ca_file: None,
        stream: "HOLDFAST".to_owned(),
        prefix: "holdfast".to_owned(),
        replicas: 1,
        max_age: Duration::from_hours(1),
    };
    let cluster = Cluster::start_tuned(1, move |options| options.nats = Some(unusable.clone())).await;
    cluster.sign_up("late").await;
    let status = || cluster.node(0).node.client().relay_status();
    eventually("events wait, and it is tried again and again", || async {
        (status().lag.events > 0 && status().failures > 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_does_not_join_a_shop_whose_events_are_ahead_of_the_server() {
    let mut cluster = Cluster::start(1).await;
    cluster.crash(0).await;
    let restored = "UPDATE event SET xid = (xid::text::numeric + 1000000000)::text::xid8";
    cluster.execute(restored).await;
    let refused = cluster.try_join("n2").await.err();
    assert!(matches!(refused, Some(StartError::FeedAhead)), "{refused:?}");
    cluster.store.event_feed_rebase().await.expect("moves them");
    cluster.try_join("n2").await.expect("joins").stop().await;
}

#[tokio::test]
async fn a_backlog_of_many_shards_is_told_though_it_is_another_nodes_for_long_stretches() {
    const TRANSACTIONS: usize = 60;
    const EVENTS_EACH: usize = 200;
    let recorder = Arc::new(Recorder::default());
    let sink = recorder.clone();
    let cluster = Cluster::start_tuned(2, move |options| options.event_sink = Some(sink.clone())).await;
    recorder.is_away.store(true, Ordering::Relaxed);
    // The first half is of one shard, the second half of a shard of the other node.
    let mut shards = Vec::new();
    for owner in 0..2 {
        for shard in 0..=255_u128 {
            if cluster
                .owner_of(Service::Sessions, &Uuid::from_u128(shard).to_string())
                .await
                == owner
            {
                shards.push(shard);
                break;
            }
        }
    }
    for transaction in 0..TRANSACTIONS {
        let byte = shards[transaction * 2 / TRANSACTIONS];
        let first = 1_000 + transaction * EVENTS_EACH;
        let sql = format!(
            "INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, data, node, epoch)
             SELECT 'user', ('0199c2a1-0000-7000-8000-' || lpad(to_hex({byte} + 256 * (n % 10)), 12, '0'))::uuid,
                    {first} + n, 'user.registered', gen_random_uuid(), now(), '{{}}', 'made up', 0
             FROM generate_series(1, {EVENTS_EACH}) AS n"
        );
        cluster.execute(&sql).await;
    }
    recorder.is_away.store(false, Ordering::Relaxed);
    let all = committed(&cluster).await;
    assert!(all.len() > TRANSACTIONS * EVENTS_EACH);
    eventually("every event is told", || async {
        let told: HashSet<_> = recorder.told().iter().map(|event| event.id).collect();
        all.iter().all(|event| told.contains(&event.id)).then_some(())
    })
    .await;
    expect_all_told(&all, &recorder.told());
    cluster.execute("DELETE FROM event WHERE node = 'made up'").await;
}
