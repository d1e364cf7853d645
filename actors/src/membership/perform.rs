//! Doing what the core wants done, and telling it what became of it.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use holdfast_domain::{NodeId, ShardId};
use holdfast_store::{Lease, Service, StoreError, Vote};
use ractor::ActorRef;

use super::{
    Membership, State,
    core::{Ballot, Claim, Declaration, Effect, Event, HandOver, Lock},
    suspicion::Suspect,
};
use crate::{
    node::{Ended, Shared},
    order, outbound,
    shard::Shard,
};

impl Membership {
    /// Performs an effect, in a task if it has to wait for the database or for requests.
    pub(super) async fn perform(&self, myself: &ActorRef<Event>, state: &mut State, effect: Effect) {
        let shared = self.shared.clone();
        let if_lost = effect.if_lost();
        match effect {
            Effect::RefreshMap => {
                // One that runs and one that waits are enough: what is asked for now, the latter sees.
                let Ok(permit) = Arc::clone(&state.refreshes).try_acquire_owned() else {
                    return;
                };
                tokio::spawn(async move {
                    shared.refresh_map().await;
                    drop(permit);
                });
            }
            Effect::SpreadMap => drop(tokio::spawn(async move {
                shared.refresh_map().await;
                outbound::spread_map(&shared).await;
            })),
            Effect::DeclareDead(suspect) => tell(myself, if_lost, declare_dead(shared, suspect)),
            Effect::TryLock {
                peer,
                lock_key,
                after,
            } => tell(myself, if_lost, async move {
                tokio::time::sleep(after).await;
                let lock = try_lock(&shared, peer, lock_key).await;
                Event::LockTried { peer, lock }
            }),
            Effect::Vote { peer, window } => tell(myself, if_lost, async move {
                let ballot = vote(&shared, peer, window).await;
                Event::Voted { peer, ballot }
            }),
            Effect::Claim(wanted) => {
                state.claimed_at = Instant::now();
                tell(myself, if_lost, async move {
                    Event::Claimed(claim(&shared, &wanted).await)
                });
            }
            Effect::Open(leases) => {
                let failed = open(&shared, leases).await;
                if !failed.is_empty() {
                    let _ = myself.send_message(Event::OpenFailed(failed));
                }
            }
            Effect::Close(leases) => leases.into_iter().for_each(|lease| shared.shards.close(lease)),
            Effect::Drain { leases, to } => {
                state.draining_since.insert(to, Instant::now());
                tell(myself, if_lost, drain(shared, leases, to));
            }
            Effect::HandOver { leases, to } => tell(myself, if_lost, hand_over(shared, leases, to)),
            Effect::Resume(leases) => open_under(&shared, &leases).for_each(|shard| shard.resume()),
            Effect::End => {
                tracing::error!("this incarnation was declared dead; it stops serving");
                shared.end(Ended::Superseded);
                shared.shards.close_all();
            }
        }
    }
}

/// Tells the membership what came of a task, if it has not ended meanwhile; if the task panics, that its
/// outcome is unknown.
fn tell(
    membership: &ActorRef<Event>,
    if_lost: Option<Event>,
    work: impl Future<Output = Event> + Send + 'static,
) {
    let membership = membership.clone();
    tokio::spawn(async move {
        if let Some(event) = event_of(work, if_lost).await {
            let _ = membership.send_message(event);
        }
    });
}

/// Returns what a task says of its end, and what stands for that if it panics.
async fn event_of(work: impl Future<Output = Event>, if_lost: Option<Event>) -> Option<Event> {
    // Nothing that the task has touched is looked at again but what it shares, whose locks all hold for
    // moments only.
    if let Ok(event) = AssertUnwindSafe(work).catch_unwind().await {
        return Some(event);
    }
    tracing::error!("a task of the membership panicked; its outcome counts as unknown");
    if_lost
}

async fn declare_dead(shared: Shared, suspect: Suspect) -> Event {
    let Suspect { node_id: peer, seq } = suspect;
    let declaration = match shared.store.node_declare_dead(peer, seq).await {
        Ok(true) => {
            shared.metrics.membership.declared_dead();
            let node = name_of(&shared, peer);
            tracing::warn!(node, incarnation = %peer, "declared dead");
            Declaration::Dead
        }
        Ok(false) => Declaration::Alive,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a suspect could not be declared dead"
            );
            Declaration::Unknown
        }
    };
    Event::DeclaredDead { peer, declaration }
}

/// Returns a node's name, for the log.
fn name_of(shared: &Shared, peer: NodeId) -> String {
    let map = shared.map();
    map.node(peer)
        .map_or_else(|| "?".to_owned(), |node| node.name.clone())
}

async fn vote(shared: &Shared, peer: NodeId, window: Duration) -> Ballot {
    match shared.store.node_suspect(shared.node_id, peer, window).await {
        Ok(Vote {
            votes,
            needed,
            is_dead,
        }) => {
            let node = name_of(shared, peer);
            tracing::warn!(node, incarnation = %peer, votes, needed, is_dead, "cannot be reached");
            if is_dead { Ballot::Dead } else { Ballot::Counted }
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a vote against a node could not be given"
            );
            Ballot::Unknown
        }
    }
}

async fn try_lock(shared: &Shared, peer: NodeId, lock_key: i64) -> Lock {
    match shared.store.try_dead_lock(peer, lock_key).await {
        Ok(false) => return Lock::Held,
        Ok(true) => {}
        Err(_) => return Lock::Unknown,
    }
    let Ok(nodes) = shared.store.nodes().await else {
        return Lock::Unknown;
    };
    let living = nodes
        .iter()
        .find(|node| node.node_id == peer && !node.state.is_over());
    Lock::Free {
        seq: living.map(|node| node.seq),
    }
}

async fn claim(shared: &Shared, wanted: &[(Service, ShardId)]) -> Claim {
    match shared.store.shards_claim(shared.node_id, wanted).await {
        Ok(claimed) => {
            tracing::info!(wanted = wanted.len(), claimed = claimed.len(), "claimed shards");
            Claim::Got(claimed)
        }
        Err(StoreError::Fenced { .. }) => Claim::Refused,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no shards could be claimed"
            );
            Claim::Unknown
        }
    }
}

/// Opens shards; returns those that could not be opened.
async fn open(shared: &Shared, leases: Vec<Lease>) -> Vec<Lease> {
    let mut failed = Vec::new();
    for lease in leases {
        match Shard::open(shared, lease).await {
            Ok(shard) => shared.shards.put(shard),
            Err(error) => {
                tracing::error!(%error, shard = %lease.shard, "a shard could not be opened");
                failed.push(lease);
            }
        }
    }
    // What the last owner left undone is taken up at once, not at the next round.
    let shared = shared.clone();
    tokio::spawn(async move { order::sweep(&shared).await });
    failed
}

async fn drain(shared: Shared, leases: Vec<Lease>, to: NodeId) -> Event {
    let draining: Vec<_> = open_under(&shared, &leases).collect();
    let drained = join_all(draining.iter().map(|shard| shard.drain_to_hand_over())).await;
    let busy: Vec<Lease> = draining
        .iter()
        .zip(drained)
        .filter(|(_, is_quiet)| !is_quiet)
        .map(|(shard, _)| shard.lease())
        .collect();
    // In a shard that is not open nothing is in flight.
    let quiet = leases.into_iter().filter(|lease| !busy.contains(lease)).collect();
    Event::Drained { to, quiet, busy }
}

async fn hand_over(shared: Shared, asked: Vec<Lease>, to: NodeId) -> Event {
    let hand_over = match shared.store.shards_hand_over(&asked, to).await {
        Ok(moved) => {
            tracing::info!(moved = moved.len(), %to, "handed over shards");
            HandOver::Moved(moved)
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "shards could not be handed over"
            );
            HandOver::Unknown
        }
    };
    // Before the shards close: whoever is turned away then can be told where to go.
    shared.refresh_map().await;
    Event::HandedOver { to, asked, hand_over }
}

/// Lists those of the shards that are open under these very leases.
fn open_under<'a>(shared: &'a Shared, leases: &'a [Lease]) -> impl Iterator<Item = Arc<Shard>> + 'a {
    let open = leases
        .iter()
        .filter_map(|lease| shared.shards.get(lease.service, lease.shard));
    open.filter(|shard| leases.contains(&shard.lease()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::testing::id;

    #[tokio::test]
    async fn a_task_that_panics_comes_back_as_an_unknown_outcome() {
        let vote = Effect::Vote {
            peer: id(2),
            window: Duration::from_secs(5),
        };
        let told = event_of(async { panic!("on purpose") }, vote.if_lost()).await;
        assert!(
            matches!(told, Some(Event::Voted { peer, ballot: Ballot::Unknown }) if peer == id(2)),
            "{told:?}"
        );
    }
}
