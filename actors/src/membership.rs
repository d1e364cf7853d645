//! Membership: who is here, who is gone, and which shards this node carries.
//!
//! Everything that counts stands in Postgres; this actor reads the map, acts on what it says, and
//! proposes changes that Postgres decides. Heartbeats come from a [thread of their own](heartbeat);
//! suspicion and placement are pure ([`suspicion`], [`placement`]).
//!
//! Planned hand-over with parked work, draining by an operator's hand, and suspicion by majority build
//! on the same three steps: declare, claim, hand over.

pub(crate) mod heartbeat;
mod placement;
mod pulse;
mod suspicion;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use holdfast_domain::NodeId;
use holdfast_store::{Lease, NodeState, StoreError};
use ractor::{Actor, ActorProcessingErr, ActorRef};

pub(crate) use pulse::Pulse;

use self::suspicion::{Suspect, Suspicion};
use crate::{
    node::{Ended, Shared},
    order,
    shard::Shard,
};

/// Shards handed over at once: while they move, their requests wait.
const HAND_OVER_MAX: usize = 64;
/// How long requests in flight may hold up a hand-over.
const HAND_OVER_DRAIN: Duration = Duration::from_millis(250);
/// How often a lost peer's lock is tried: its session ends a moment after its process.
const LOCK_TRIES: u32 = 10;
/// The pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// What the membership hears.
#[derive(Debug)]
pub(crate) enum MembershipMessage {
    /// A heartbeat went through, and these are the others' sequence numbers.
    Polled {
        map_version: i64,
        state: NodeState,
        peers: Vec<(NodeId, i64)>,
    },
    /// The database could not be asked.
    PollFailed,
    /// The session with a peer is lost.
    LinkDown(NodeId),
    /// A newer map was read.
    MapChanged,
}

impl ractor::Message for MembershipMessage {}

/// The membership's actor.
pub(crate) struct Membership {
    pub(crate) shared: Shared,
}

/// What the membership remembers.
pub(crate) struct State {
    suspicion: Suspicion,
    began: Instant,
}

impl Actor for Membership {
    type Msg = MembershipMessage;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<MembershipMessage>, (): ()) -> Result<State, ActorProcessingErr> {
        Ok(State {
            suspicion: Suspicion::new(self.shared.options.suspect_after),
            began: Instant::now(),
        })
    }

    async fn handle(
        &self,
        _: ActorRef<MembershipMessage>,
        message: MembershipMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if self.shared.has_ended() {
            return Ok(());
        }
        let now = state.began.elapsed();
        match message {
            MembershipMessage::Polled {
                state: NodeState::Dead | NodeState::Left,
                ..
            } => self.superseded(),
            MembershipMessage::Polled {
                map_version, peers, ..
            } => {
                let suspects = state.suspicion.polled(now, &peers);
                self.shared.pulse.saw_peers(
                    peers
                        .iter()
                        .map(|(peer, _)| (*peer, state.suspicion.age(*peer, now).unwrap_or_default())),
                );
                for suspect in suspects {
                    self.declare_dead(suspect).await;
                }
                if map_version > self.shared.map().version() {
                    self.shared.refresh_map().await;
                } else {
                    self.follow_map().await;
                }
            }
            MembershipMessage::PollFailed => state.suspicion.poll_failed(now),
            MembershipMessage::LinkDown(peer) => self.try_lock_of(peer).await,
            MembershipMessage::MapChanged => self.follow_map().await,
        }
        Ok(())
    }
}

/// Tells whether this node owns shards that belong on others.
pub(crate) fn has_to_hand_over(shared: &Shared) -> bool {
    !placement::to_hand_over(&shared.map(), shared.node_id).is_empty()
}

impl Membership {
    fn superseded(&self) {
        tracing::error!("this incarnation was declared dead; it stops serving");
        self.shared.end(Ended::Superseded);
        self.shared.shards.close_all();
    }

    async fn declare_dead(&self, suspect: Suspect) {
        match self
            .shared
            .store
            .node_declare_dead(suspect.node_id, suspect.seq)
            .await
        {
            Ok(true) => {
                self.shared.metrics.membership.declared_dead();
                let name = self
                    .shared
                    .map()
                    .node(suspect.node_id)
                    .map(|node| node.name.clone());
                tracing::warn!(node = name.as_deref().unwrap_or("?"), incarnation = %suspect.node_id, "declared dead");
                self.shared.refresh_map().await;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a suspect could not be declared dead"
                );
            }
        }
    }

    /// Finds out whether a peer's process is gone: then nobody holds its lock.
    async fn try_lock_of(&self, peer: NodeId) {
        let Some(lock_key) = self.shared.map().node(peer).map(|node| node.lock_key) else {
            return;
        };
        for _ in 0..LOCK_TRIES {
            match self.shared.store.try_dead_lock(peer, lock_key).await {
                Ok(true) => {
                    let nodes = self.shared.store.nodes().await.unwrap_or_default();
                    if let Some(node) = nodes
                        .iter()
                        .find(|node| node.node_id == peer && !node.state.is_over())
                    {
                        self.declare_dead(Suspect {
                            node_id: peer,
                            seq: node.seq,
                        })
                        .await;
                    } else {
                        self.shared.refresh_map().await;
                    }
                    return;
                }
                Ok(false) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(_) => return,
            }
        }
    }

    /// Brings the open shards in line with the map: claims, opens, closes, hands over.
    async fn follow_map(&self) {
        let shared = &self.shared;
        match shared.standing() {
            None | Some(NodeState::Joining) => return,
            Some(NodeState::Dead | NodeState::Left) => return self.superseded(),
            Some(NodeState::Draining) => return self.hand_over().await,
            Some(NodeState::Active) if shared.is_draining() => return,
            Some(NodeState::Active) => {}
        }
        let wanted = placement::to_claim(&shared.map(), shared.node_id);
        if !wanted.is_empty() {
            let began = Instant::now();
            match shared.store.shards_claim(shared.node_id, &wanted).await {
                Ok(claimed) => {
                    tracing::info!(wanted = wanted.len(), claimed = claimed.len(), "claimed shards");
                    let shards = claimed.len();
                    self.open(claimed).await;
                    shared.metrics.membership.took_over(shards, began.elapsed());
                    shared.refresh_map().await;
                }
                Err(StoreError::Fenced { .. }) => return self.superseded(),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "no shards could be claimed"
                    );
                }
            }
        }
        self.reconcile().await;
        self.hand_over().await;
    }

    /// Opens what the map says is this node's, and closes what it says is not.
    async fn reconcile(&self) {
        let shared = &self.shared;
        let map = shared.map();
        let mut missing = Vec::new();
        for (service, shard, ownership) in map.shards() {
            let open = shared.shards.get(service, shard).map(|open| open.lease());
            let lease = Lease {
                node_id: shared.node_id,
                service,
                shard,
                epoch: ownership.epoch,
            };
            match open {
                None if ownership.owner == Some(shared.node_id) => missing.push(lease),
                // An epoch above the map's was claimed since the map was read.
                Some(open) if open.epoch < ownership.epoch => {
                    shared.shards.close(open);
                    if ownership.owner == Some(shared.node_id) {
                        missing.push(lease);
                    }
                }
                _ => {}
            }
        }
        drop(map);
        if !missing.is_empty() {
            self.open(missing).await;
        }
    }

    async fn open(&self, leases: Vec<Lease>) {
        for lease in leases {
            match Shard::open(&self.shared, lease).await {
                Ok(shard) => self.shared.shards.put(shard),
                Err(error) => tracing::error!(%error, shard = %lease.shard, "a shard could not be opened"),
            }
        }
        // What the last owner left undone is taken up at once, not at the next round.
        let shared = self.shared.clone();
        tokio::spawn(async move { order::sweep(&shared).await });
    }

    /// Hands some of the shards that belong elsewhere to where they belong.
    async fn hand_over(&self) {
        let shared = &self.shared;
        let mut by_target = BTreeMap::<NodeId, Vec<Lease>>::new();
        let mut moves = placement::to_hand_over(&shared.map(), shared.node_id);
        // Orders before products: what an order in flight asks of a product still finds it here.
        moves.sort_unstable_by_key(|hand_over| std::cmp::Reverse(hand_over.lease.service));
        for hand_over in moves {
            let leases = by_target.entry(hand_over.to).or_default();
            if leases.len() < HAND_OVER_MAX {
                leases.push(hand_over.lease);
            }
        }
        for (to, leases) in by_target {
            self.hand_over_to(to, leases).await;
        }
    }

    async fn hand_over_to(&self, to: NodeId, leases: Vec<Lease>) {
        let (shared, began) = (&self.shared, Instant::now());
        let open = leases
            .iter()
            .filter_map(|lease| shared.shards.get(lease.service, lease.shard));
        let open: Vec<_> = open.filter(|shard| leases.contains(&shard.lease())).collect();
        let drained =
            futures_util::future::join_all(open.iter().map(|shard| shard.drain(HAND_OVER_DRAIN))).await;
        let (quiet, busy): (Vec<_>, Vec<_>) =
            open.into_iter().zip(drained).partition(|(_, is_quiet)| *is_quiet);
        for (shard, _) in &busy {
            shard.resume();
        }
        let leases: Vec<Lease> = quiet.iter().map(|(shard, _)| shard.lease()).collect();
        if leases.is_empty() {
            return;
        }
        match shared.store.shards_hand_over(&leases, to).await {
            Ok(moved) => {
                for (shard, _) in quiet {
                    let lease = shard.lease();
                    let has_moved = moved
                        .iter()
                        .any(|to| to.service == lease.service && to.shard == lease.shard);
                    if has_moved {
                        shared.shards.close(lease);
                    } else {
                        shard.resume();
                    }
                }
                shared
                    .metrics
                    .membership
                    .handed_over(moved.len(), began.elapsed());
                tracing::info!(moved = moved.len(), %to, "handed over shards");
                shared.refresh_map().await;
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "shards could not be handed over"
                );
                // Whether they moved is unknown: the map will tell, and until then the fence guards.
                for (shard, _) in &quiet {
                    shard.resume();
                }
                shared.refresh_map().await;
            }
        }
    }
}
