//! NATS: a real server that is killed while the shop is busy.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use holdfast_actors::{EventSink, NotTaken};
use holdfast_domain::{Event, EventKind};
use holdfast_store::{DeadLetterFilter, EventRecord, PageRequest, Service};
use uuid::Uuid;

use super::relay::{committed, committed_by_whom, expect_all_told, trade};
use crate::harness::{Cluster, NatsServer, eventually, order};

#[tokio::test]
async fn nothing_is_lost_or_out_of_order_when_nats_is_killed_under_load() {
    let Some(mut nats) = NatsServer::start().await else {
        return;
    };
    let options = nats.options();
    let cluster = Cluster::start_tuned(2, move |node| node.nats = Some(options.clone())).await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    let mug = seller.lists("mug", 10_000).await;
    for round in 0..3 {
        let before = nats.count().await;
        tokio::join!(trade(&cluster, &buyer, &mug, 25), async {
            // In the middle of it: some of it has come, the rest has not.
            eventually("events come", || async {
                (nats.count().await > before).then_some(())
            })
            .await;
        });
        nats.kill();
        // Orders do not wait for NATS.
        trade(&cluster, &buyer, &mug, 10 + round).await;
        nats.resume().await;
    }
    let all = committed(&cluster).await;
    eventually("every event is in the stream", || async {
        (nats.count().await >= all.len() as u64).then_some(())
    })
    .await;
    expect_all_told(&all, &nats.kept().await);
}

/// Takes down what comes back from NATS, and fails now and then.
#[derive(Default)]
struct Consumer {
    seen: Mutex<Vec<EventRecord>>,
    asked: AtomicU32,
}

impl Consumer {
    fn seen(&self) -> Vec<EventRecord> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EventSink for Consumer {
    fn deliver<'a>(&'a self, batch: &'a [EventRecord]) -> BoxFuture<'a, Result<(), NotTaken>> {
        async {
            if self.asked.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
                return Err(NotTaken::because("the test says so"));
            }
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.extend_from_slice(batch);
            Ok(())
        }
        .boxed()
    }
}

fn events(records: &[EventRecord]) -> Vec<Event> {
    records.iter().map(|record| record.event.clone()).collect()
}

#[tokio::test]
async fn the_shops_own_consumers_are_fed_from_the_stream_in_order_whoever_reads_it() {
    let Some(mut nats) = NatsServer::start().await else {
        return;
    };
    let consumer = Arc::new(Consumer::default());
    let (options, sink) = (nats.options(), consumer.clone());
    let mut cluster = Cluster::start_tuned(3, move |node| {
        node.nats = Some(options.clone());
        node.event_sink = Some(sink.clone());
    })
    .await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    let mug = seller.lists("mug", 1_000).await;
    trade(&cluster, &buyer, &mug, 20).await;
    nats.kill();
    trade(&cluster, &buyer, &mug, 5).await;
    nats.resume().await;
    // Whose id ends in zeros is of the shard whose owner reads.
    let reader = cluster.owner_of(Service::Orders, &Uuid::nil().to_string()).await;
    let buyer = buyer.at(cluster.api(reader + 1));
    tokio::join!(trade(&cluster, &buyer, &mug, 5), async {
        eventually("the stream is being read", || async {
            (!consumer.seen().is_empty()).then_some(())
        })
        .await;
    });
    cluster.crash(reader).await;
    cluster.settled().await;
    trade(&cluster, &buyer, &mug, 20).await;
    let all = committed_by_whom(&cluster).await;
    eventually("every event comes back, with who committed it", || async {
        let seen = consumer.seen();
        all.iter().all(|record| seen.contains(record)).then_some(())
    })
    .await;
    expect_all_told(&events(&all), &events(&consumer.seen()));
}

#[tokio::test]
async fn an_event_that_is_too_large_for_nats_is_set_aside_and_holds_up_no_other() {
    let Some(mut nats) = NatsServer::start_taking(3 * 1024).await else {
        return;
    };
    let consumer = Arc::new(Consumer::default());
    let (options, sink) = (nats.options(), consumer.clone());
    let cluster = Cluster::start_tuned(2, move |node| {
        node.nats = Some(options.clone());
        node.event_sink = Some(sink.clone());
    })
    .await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    let mug = seller.lists("mug", 1_000).await;
    trade(&cluster, &buyer, &mug, 5).await;
    let mut body = order(&[(&mug, 1)]);
    body["note"] = "\u{fc}".repeat(2_000).into();
    let placed = buyer.post("/v1/orders", body).await.expect(201);
    let id = placed["id"].as_str().expect("an id");
    buyer.pays(id, "card").await.expect(201);
    trade(&cluster, &buyer, &mug, 5).await;

    let all = committed(&cluster).await;
    let (large, others): (Vec<Event>, Vec<Event>) = all
        .iter()
        .cloned()
        .partition(|event| event.kind == EventKind::OrderPlaced && event.subject.to_string() == id);
    eventually("the other events are in the stream", || async {
        (nats.count().await >= others.len() as u64).then_some(())
    })
    .await;
    expect_all_told(&others, &nats.kept().await);
    eventually("the shop's own consumers have all of them", || async {
        let seen = events(&consumer.seen());
        all.iter().all(|event| seen.contains(event)).then_some(())
    })
    .await;
    let everything = DeadLetterFilter::default();
    let letters = cluster
        .store
        .dead_letters(&everything, &PageRequest::first(10))
        .await;
    let letters = letters.expect("letters").items;
    let [letter] = letters.as_slice() else {
        panic!("{letters:?}");
    };
    assert_eq!((letter.consumer.as_str(), letter.event_id), ("nats", large[0].id));
    assert!(letter.error.contains("3072"), "{letter:?}");
    let refused: u64 = (0..cluster.len())
        .map(|n| cluster.node(n).node.client().relay_status().refused)
        .sum();
    assert_eq!(refused, 1);

    // What an operator does who has raised the limit.
    nats.resume_unbounded().await;
    let now = cluster.store.server_time().await.expect("a time");
    let retried = cluster.store.dead_letters_retry(&everything, now, 10).await;
    assert_eq!(retried.expect("retries"), 1);
    eventually("it is in the stream as well", || async {
        let waiting = cluster.store.consumer_tasks_waiting(None).await.ok()?;
        (waiting == 0 && nats.kept().await.contains(&large[0])).then_some(())
    })
    .await;
    assert_eq!(cluster.count("SELECT count(*) FROM dead_letter").await, 0);
}

/// Prints how an outage of 20 s at 200 orders/s goes. Not a test: what it prints depends on the machine.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, which takes about a minute"]
async fn measure_an_outage() {
    const ORDERS_PER_SECOND: u64 = 200;
    let Some(mut nats) = NatsServer::start().await else {
        return;
    };
    let options = nats.options();
    let cluster = Cluster::start_tuned(2, move |node| node.nats = Some(options.clone())).await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    let mug = seller.lists("mug", 1_000_000).await;
    let begun = Instant::now();
    let shop = async |seconds: u64| {
        let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / ORDERS_PER_SECOND));
        let mut placing = tokio::task::JoinSet::new();
        for n in 0..seconds * ORDERS_PER_SECOND {
            ticks.tick().await;
            let buyer = buyer.at(cluster.api(usize::try_from(n).expect("a small number")));
            let mug = mug.clone();
            placing.spawn(async move { buyer.orders(&[(&mug, 1)]).await.status.as_u16() });
        }
        placing.join_all().await
    };
    let mut answers = shop(5).await;
    nats.kill();
    let killed_after = begun.elapsed();
    answers.extend(shop(20).await);
    let statuses: Vec<_> = (0..2)
        .map(|n| cluster.node(n).node.client().relay_status().lag)
        .collect();
    nats.resume().await;
    let resumed_after = begun.elapsed();
    let meanwhile = async {
        let backlog = committed(&cluster).await.len() as u64;
        eventually("the stream has caught up", || async {
            (nats.count().await >= backlog).then_some(())
        })
        .await;
        begun.elapsed()
    };
    let (more, caught_up_after) = tokio::join!(shop(5), meanwhile);
    answers.extend(more);
    let all = committed(&cluster).await;
    eventually("every event is in the stream", || async {
        (nats.count().await >= all.len() as u64).then_some(())
    })
    .await;
    let kept = nats.kept().await;
    expect_all_told(&all, &kept);
    let placed = answers.iter().filter(|status| **status == 201).count();
    eprintln!(
        "orders asked {}, placed {placed}; killed after {killed_after:?}, back after {resumed_after:?}",
        answers.len()
    );
    eprintln!("lag when it came back: {statuses:?}");
    eprintln!(
        "caught up {:?} after it was back",
        caught_up_after.saturating_sub(resumed_after)
    );
    eprintln!("events committed {}, in the stream {}", all.len(), kept.len());
}
