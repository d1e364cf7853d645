//! What a node does now and then: feeds, sweeps, passivation, news to peers, the consumers' tasks.

use std::time::Duration;

use holdfast_domain::ShardId;
use holdfast_store::{Service, StockBreaches, StoreError};
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use crate::{cache, consumer, link::LinkEvent, membership::Event, order, relay};

/// How often changes of access are read. The bound on how long a revoked session lives is a second.
const ACCESS_POLL: Duration = Duration::from_millis(250);
/// How often orders with something left to do are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// How often idle entities are stopped, and full buckets forgotten.
const PASSIVATE: Duration = Duration::from_secs(5);
/// How often rows that nobody needs any more are deleted.
const PURGE: Duration = Duration::from_mins(1);
/// How often a node finds out whether looking through the stock is its affair, and due.
const STOCK_AUDIT_POLL: Duration = Duration::from_secs(1);
/// How often it is counted what consumers have before them.
const CONSUMERS_MEASURE: Duration = Duration::from_secs(5);
/// The pause before failed upkeep begins anew.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
/// Rows deleted at once.
const PURGE_MAX: u32 = 5_000;
/// How often that is done in a row, while there are as many. More than a minute of the shop can make.
const PURGE_ROUNDS: u32 = 100;

/// Runs until the node ends, again and again if need be.
pub(super) async fn keep_up(shared: Shared) {
    while !shared.has_ended() {
        if tokio::spawn(run(shared.clone())).await.is_err() {
            tracing::error!("the upkeep of the node failed; it begins anew");
            tokio::time::sleep(RESTART_PAUSE).await;
        }
    }
}

/// Relays events until the node ends, again and again if need be.
pub(super) async fn keep_relaying(shared: Shared) {
    while !shared.has_ended() {
        if tokio::spawn(relay::keep_relaying(shared.clone())).await.is_ok() {
            return;
        }
        tracing::error!("relaying of events failed; it begins anew");
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

async fn run(shared: Shared) {
    let work = async {
        tokio::join!(
            every(ACCESS_POLL, || shared.refresh_access()),
            every(SWEEP, || order::sweep(&shared)),
            every(PASSIVATE, async || passivate(&shared)),
            every(PURGE, || purge(&shared)),
            every(STOCK_AUDIT_POLL, || audit_stock(&shared)),
            every(CONSUMERS_MEASURE, || measure_consumers(&shared)),
            follow_link(&shared),
            cache::keep_pushing(&shared),
            consumer::work(&shared),
        );
    };
    tokio::select! {
        () = work => {}
        _ = shared.ended() => {}
    }
}

async fn every<F: Future<Output = ()>>(period: Duration, mut work: impl FnMut() -> F) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        work().await;
    }
}

fn passivate(shared: &Shared) {
    let resident = shared
        .shards
        .passivate(shared.options.entity_idle, shared.options.entities_max);
    tracing::trace!(resident, "idle entities were stopped");
    if let Some(budget) = &shared.budget {
        budget.tidy();
    }
}

async fn purge(shared: &Shared) {
    let store = &shared.store;
    let purged = tokio::try_join!(
        purge_whole(|limit| store.operations_purge(limit)),
        purge_whole(|limit| store.access_changes_purge(limit)),
        purge_whole(|limit| store.login_attempts_purge(limit)),
        purge_whole(|limit| store.sessions_purge(limit)),
        purge_whole(|limit| store.inbox_purge(limit)),
        purge_whole(|limit| store.stock_alerts_purge(limit)),
    );
    if let Err(error) = purged {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "old rows could not be deleted"
        );
    }
}

/// Deletes batch after batch, until one is not full or it is enough for now.
async fn purge_whole<F>(mut purge: impl FnMut(u32) -> F) -> Result<(), StoreError>
where
    F: Future<Output = Result<u64, StoreError>>,
{
    for _ in 0..PURGE_ROUNDS {
        if purge(PURGE_MAX).await? < u64::from(PURGE_MAX) {
            break;
        }
    }
    Ok(())
}

/// Measures what consumers have before them, if this node owns the first shard of orders: one node does.
async fn measure_consumers(shared: &Shared) {
    if shared.shards.serving(Service::Orders, ShardId(0)).is_none() {
        shared.backlogs.forget();
        return;
    }
    match shared.store.consumer_backlogs().await {
        Ok(found) => shared.backlogs.found(found),
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the consumers' tasks could not be counted"
            );
        }
    }
}

/// Looks through the stock, if this node owns the first shard of it: one node does.
async fn audit_stock(shared: &Shared) {
    if shared.shards.serving(Service::Products, ShardId(0)).is_none() {
        shared.stock_audit.forget();
        return;
    }
    if !shared.stock_audit.is_due(shared.options.stock_audit_interval) {
        return;
    }
    match shared.store.stock_breaches().await {
        Ok(found) => {
            if found != StockBreaches::default() {
                tracing::error!(
                    negative = found.negative,
                    oversold = found.oversold,
                    "stock is not as it must be"
                );
            }
            shared.stock_audit.found(found, shared.clock.now());
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "stock could not be looked through"
            );
        }
    }
}

/// Tells the membership of lost sessions: the fastest hint that a process is gone.
async fn follow_link(shared: &Shared) {
    let mut events = shared.link.subscribe();
    loop {
        match events.recv().await {
            Ok(LinkEvent::Down(peer)) => {
                shared.tell_membership(Event::LinkDown(holdfast_domain::NodeId(peer)));
            }
            // Having missed some is harmless: heartbeats tell too, only later.
            Ok(LinkEvent::Up(_)) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
            Err(tokio::sync::broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rounds(rows: u64) -> (u32, u64) {
        let (mut left, mut rounds) = (rows, 0);
        let purged = purge_whole(|limit| {
            let deleted = left.min(u64::from(limit));
            left -= deleted;
            rounds += 1;
            std::future::ready(Ok(deleted))
        });
        purged.await.expect("deletes");
        (rounds, left)
    }

    #[tokio::test]
    async fn purging_goes_on_while_batches_are_full_and_not_for_ever() {
        let batch = u64::from(PURGE_MAX);
        assert_eq!(rounds(0).await, (1, 0));
        assert_eq!(rounds(batch - 1).await, (1, 0));
        assert_eq!(rounds(12 * batch + 7).await, (13, 0));
        let most = u64::from(PURGE_ROUNDS) * batch;
        assert_eq!(rounds(most + 9).await, (PURGE_ROUNDS, 9));
    }
}
