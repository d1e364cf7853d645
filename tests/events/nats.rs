//! NATS: a real server that is killed while the shop is busy.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use holdfast_actors::{EventSink, NotTaken};
use holdfast_domain::Event;
use holdfast_store::EventRecord;

use super::relay::{committed, expect_all_told, trade};
use crate::harness::{Cluster, NatsServer, eventually};

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

/// Takes down what comes back from NATS.
#[derive(Default)]
struct Consumer(Mutex<Vec<Event>>);

impl EventSink for Consumer {
    fn deliver<'a>(&'a self, batch: &'a [EventRecord]) -> BoxFuture<'a, Result<(), NotTaken>> {
        async {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.extend(batch.iter().map(|record| record.event.clone()));
            Ok(())
        }
        .boxed()
    }
}

#[tokio::test]
async fn the_shops_own_consumers_are_fed_from_the_stream() {
    let Some(nats) = NatsServer::start().await else {
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
    let mug = seller.lists("mug", 100).await;
    trade(&cluster, &buyer, &mug, 5).await;
    let all = committed(&cluster).await;
    eventually("every event comes back", || async {
        let seen = consumer.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.iter().all(|event| seen.contains(event)).then_some(())
    })
    .await;
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
