//! What a node does now and then: feeds, sweeps, passivation, news to peers, the consumers' tasks.

use std::time::Duration;

use holdfast_domain::ShardId;
use holdfast_store::{Service, StockBreaches};
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
/// The pause before failed upkeep begins anew.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
/// Rows deleted at once.
const PURGE_MAX: u32 = 5_000;

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
    let purged = tokio::try_join!(
        shared.store.operations_purge(PURGE_MAX),
        shared.store.access_changes_purge(PURGE_MAX),
        shared.store.login_attempts_purge(PURGE_MAX),
        shared.store.sessions_purge(PURGE_MAX),
        shared.store.inbox_purge(PURGE_MAX),
        shared.store.stock_alerts_purge(PURGE_MAX),
    );
    if let Err(error) = purged {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "old rows could not be deleted"
        );
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
