//! A process's membership: the core of production, and what its effects do here.

use std::{sync::Arc, time::Duration};

use holdfast_domain::NodeId;
use holdfast_store::{Lease, StoreError};
use tokio::sync::mpsc;

use super::{Process, SUSPECT_AFTER, VOTE_AFTER, shards::Shard};
use crate::membership::core::{
    Ballot, Claim, Config, Declaration, Effect, Event, HandOver, Lock, MembershipCore,
};

/// How long requests in flight may hold up a hand-over.
const DRAIN: Duration = Duration::from_millis(250);

pub(super) async fn run(process: Arc<Process>, mut events: mpsc::UnboundedReceiver<Event>) {
    let config = Config {
        me: process.id,
        suspect_after: SUSPECT_AFTER,
        vote_after: VOTE_AFTER,
    };
    let mut core = MembershipCore::new(config, &[]);
    while let Some(event) = events.recv().await {
        for effect in core.on(process.world.executor.now(), event) {
            process.perform(effect);
        }
    }
}

impl Process {
    fn perform(self: &Arc<Self>, effect: Effect) {
        self.note(|| describe(&effect));
        let process = Arc::clone(self);
        match effect {
            Effect::RefreshMap => self.spawn(async move { process.refresh_map().await }),
            Effect::SpreadMap => self.spawn(async move {
                process.refresh_map().await;
                process.world.spread_map(process.node);
            }),
            Effect::Vote { peer, window } => self.spawn(async move {
                let me = process.id;
                let voted = process.world.database.ask(process.node, move |model, now| {
                    model.node_suspect(me, peer, window, now)
                });
                let ballot = match voted.await {
                    Ok(Ok(vote)) if vote.is_dead => Ballot::Dead,
                    Ok(Ok(_)) => Ballot::Counted,
                    Ok(Err(_)) | Err(_) => Ballot::Unknown,
                };
                process.tell(Event::Voted { peer, ballot });
            }),
            Effect::DeclareDead(suspect) => self.spawn(async move {
                let (peer, seq) = (suspect.node_id, suspect.seq);
                let declared = process
                    .world
                    .database
                    .ask(process.node, move |model, _| model.node_declare_dead(peer, seq));
                let declaration = match declared.await {
                    Ok(true) => Declaration::Dead,
                    Ok(false) => Declaration::Alive,
                    Err(_) => Declaration::Unknown,
                };
                process.tell(Event::DeclaredDead { peer, declaration });
            }),
            Effect::TryLock { peer, after, .. } => self.spawn(async move {
                process.world.executor.sleep(after).await;
                let lock = process.try_lock(peer).await;
                process.tell(Event::LockTried { peer, lock });
            }),
            Effect::Claim(wanted) => self.spawn(async move {
                let me = process.id;
                let claimed = process
                    .world
                    .database
                    .ask(process.node, move |model, _| model.shards_claim(me, &wanted));
                process.tell(Event::Claimed(match claimed.await {
                    Ok(Ok(claimed)) => Claim::Got(claimed),
                    Ok(Err(StoreError::Fenced { .. })) => Claim::Refused,
                    Ok(Err(_)) | Err(_) => Claim::Unknown,
                }));
            }),
            Effect::Open(leases) => {
                for lease in leases {
                    self.open(lease);
                }
                self.spawn(async move { process.sweep().await });
            }
            Effect::Close(leases) => leases.into_iter().for_each(|lease| self.close(lease)),
            Effect::Drain { leases, to } => self.spawn(async move {
                let (mut quiet, mut busy) = (Vec::new(), Vec::new());
                for lease in leases {
                    match process.open_under(lease) {
                        Some(shard) if !shard.drain(&process.world.executor, DRAIN).await => busy.push(lease),
                        // In a shard that is not open nothing is in flight.
                        _ => quiet.push(lease),
                    }
                }
                process.tell(Event::Drained { to, quiet, busy });
            }),
            Effect::HandOver { leases, to } => self.spawn(async move {
                let asked = leases.clone();
                let moved = process
                    .world
                    .database
                    .ask(process.node, move |model, _| model.shards_hand_over(&leases, to));
                let hand_over = match moved.await {
                    Ok(Ok(moved)) => HandOver::Moved(moved),
                    Ok(Err(_)) | Err(_) => HandOver::Unknown,
                };
                process.refresh_map().await;
                process.tell(Event::HandedOver { to, asked, hand_over });
            }),
            Effect::Resume(leases) => leases
                .into_iter()
                .filter_map(|lease| self.open_under(lease))
                .for_each(|shard| shard.resume()),
            Effect::End => self.world.ended(self),
        }
    }

    /// Finds out whether a peer's process is gone, as its advisory lock would tell.
    async fn try_lock(&self, peer: NodeId) -> Lock {
        if self.world.is_running(peer) {
            return Lock::Held;
        }
        let nodes = self.world.database.ask(self.node, |model, _| model.nodes());
        let Ok(nodes) = nodes.await else {
            return Lock::Unknown;
        };
        let living = nodes
            .iter()
            .find(|node| node.node_id == peer && !node.state.is_over());
        Lock::Free {
            seq: living.map(|node| node.seq),
        }
    }

    fn open(&self, lease: Lease) {
        self.shards.put(Shard::new(lease));
    }

    fn close(&self, lease: Lease) {
        if self.shards.close(lease) {
            self.forget(lease);
        }
    }

    fn open_under(&self, lease: Lease) -> Option<Arc<Shard>> {
        self.shards
            .get(lease.service, lease.shard)
            .filter(|shard| shard.lease == lease)
    }

    /// Ends the entities of a shard.
    fn forget(&self, lease: Lease) {
        self.orders
            .lock()
            .retain(|_, remembered| remembered.lease != lease);
        self.products.lock().retain(|_, shelved| {
            let stays = shelved.lease != lease;
            if !stays {
                shelved.end();
            }
            stays
        });
    }
}

fn describe(effect: &Effect) -> String {
    match effect {
        Effect::Claim(wanted) => format!("claims {} shards", wanted.len()),
        Effect::Open(leases) => format!("opens {} shards", leases.len()),
        Effect::Close(leases) => format!("closes {} shards", leases.len()),
        Effect::Drain { leases, to } => format!("drains {} shards for {to}", leases.len()),
        Effect::HandOver { leases, to } => format!("hands {} shards over to {to}", leases.len()),
        Effect::Resume(leases) => format!("resumes {} shards", leases.len()),
        other => format!("{other:?}"),
    }
}
