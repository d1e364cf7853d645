//! What all parts of a node share.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use holdfast_domain::{NodeId, ShardId};
use holdfast_store::{NodeState, Service, Store};
use ractor::{ActorCell, ActorRef};
use tokio::sync::watch;

use super::{Ended, NodeOptions};
use crate::{
    access::AccessView,
    budget::Budget,
    cache::Caches,
    client::{ClusterView, NodeView, ShardView},
    clock::PgClock,
    command::{Draw, Grant},
    consumer::Consumers,
    feed::Feed,
    hashing::Hasher,
    in_progress::InProgress,
    lane::{LaneMessage, LaneThread},
    link::{Link, Peer},
    map::ShardMap,
    membership::{self, Pulse},
    metrics::{Backlogs, Metrics, StockAudit},
    order::Resuming,
    relay::RelayGauges,
    shard::Shards,
};

/// The first link protocol whose nodes send keep-alives so often that their silence tells something.
const KEEP_ALIVE_PROTO: i32 = 4;

/// What all parts of a node share. One of a kind, and as long-lived as the node.
pub(crate) type Shared = Arc<Inner>;

/// See [`Shared`].
pub(crate) struct Inner {
    pub(crate) node_id: NodeId,
    pub(crate) options: NodeOptions,
    pub(crate) store: Store,
    pub(crate) clock: Arc<PgClock>,
    /// Outlives the lane, so that its connections can be closed in good order.
    pub(crate) lane_thread: LaneThread,
    pub(crate) link: Link,
    pub(crate) hasher: Hasher,
    pub(crate) access: AccessView,
    pub(crate) caches: Caches,
    pub(crate) consumers: Consumers,
    pub(crate) feed: Feed,
    pub(crate) relay: RelayGauges,
    pub(crate) shards: Shards,
    pub(crate) pulse: Pulse,
    pub(crate) in_progress: InProgress,
    pub(crate) resuming: Arc<Resuming>,
    pub(crate) metrics: Metrics,
    pub(crate) stock_audit: StockAudit,
    pub(crate) backlogs: Backlogs,
    /// Budgets of requests, if they are limited.
    pub(crate) budget: Option<Budget>,
    map: ArcSwap<ShardMap>,
    /// The map's version, for those who wait for a newer one.
    map_version: watch::Sender<i64>,
    /// Counts the refreshes that have begun.
    refreshes: AtomicU64,
    /// One refresh at a time; the number of the last one that went through.
    refreshing: tokio::sync::Mutex<u64>,
    lane: ArcSwapOption<ActorRef<LaneMessage>>,
    membership: ArcSwapOption<ActorRef<membership::Event>>,
    root: OnceLock<ActorCell>,
    is_draining: AtomicBool,
    ended: watch::Sender<Option<Ended>>,
}

/// What a node has made before its parts are brought together.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) clock: Arc<PgClock>,
    pub(super) lane_thread: LaneThread,
    pub(super) link: Link,
    pub(super) hasher: Hasher,
    pub(super) metrics: Metrics,
    pub(super) consumers: Consumers,
}

impl Inner {
    pub(super) fn new(node_id: NodeId, options: NodeOptions, parts: Parts) -> Self {
        let is_edge = options.roles.iter().any(|role| role == "edge");
        let Parts {
            store,
            clock,
            lane_thread,
            link,
            hasher,
            metrics,
            consumers,
        } = parts;
        Self {
            node_id,
            caches: Caches::new(options.cache, is_edge),
            pulse: Pulse::new(),
            in_progress: InProgress::default(),
            resuming: Arc::default(),
            budget: options.limits.clone().map(Budget::new),
            options,
            store,
            clock,
            lane_thread,
            link,
            hasher,
            metrics,
            stock_audit: StockAudit::default(),
            backlogs: Backlogs::default(),
            access: AccessView::default(),
            consumers,
            feed: Feed::default(),
            relay: RelayGauges::default(),
            shards: Shards::none(),
            map: ArcSwap::default(),
            map_version: watch::Sender::new(0),
            refreshes: AtomicU64::new(0),
            refreshing: tokio::sync::Mutex::default(),
            lane: ArcSwapOption::empty(),
            membership: ArcSwapOption::empty(),
            root: OnceLock::new(),
            is_draining: AtomicBool::new(false),
            ended: watch::Sender::new(None),
        }
    }

    /// Returns the cluster map as last read.
    pub(crate) fn map(&self) -> Guard<Arc<ShardMap>> {
        self.map.load()
    }

    /// Reads the cluster map, and acts on it if it is news.
    pub(crate) async fn refresh_map(&self) {
        let begun_before = self.refreshes.load(Ordering::Acquire);
        let mut done = self.refreshing.lock().await;
        // One that began after this call sees what this call is about.
        if *done > begun_before {
            return;
        }
        let number = self.refreshes.fetch_add(1, Ordering::AcqRel) + 1;
        match self.store.map_load().await {
            Ok(found) => {
                self.take_map(ShardMap::from(found));
                *done = number;
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the cluster map could not be read"
                );
            }
        }
    }

    fn take_map(&self, map: ShardMap) {
        let version = map.version();
        if version <= self.map().version() {
            return;
        }
        let peers = map.members().map(|node| Peer {
            node_id: node.node_id.0,
            name: node.name.clone(),
            link_addr: node.link_addr.clone(),
            keeps_alive: node.proto >= KEEP_ALIVE_PROTO,
        });
        self.link.set_peers(peers.collect());
        let map = Arc::new(map);
        self.map.store(Arc::clone(&map));
        self.map_version.send_replace(version);
        self.tell_membership(membership::Event::MapChanged(map));
    }

    /// Waits until a shard's owner, if it has one that can be asked, is another one than `owner`.
    pub(crate) async fn ownership_changed(&self, service: Service, shard: ShardId, owner: Option<NodeId>) {
        self.map_until(|map| {
            let now = map.reachable_owner(service, shard);
            now.is_some() && now != owner
        })
        .await;
    }

    /// Waits until `owner`, who has had a shard since `epoch`, has lost it.
    pub(crate) async fn ownership_passed(&self, service: Service, shard: ShardId, owner: NodeId, epoch: i64) {
        self.map_until(|map| {
            // A map that does not know of the owner yet does not tell that it has passed.
            let is_known = map.ownership(service, shard).epoch >= epoch;
            is_known && map.reachable_owner(service, shard) != Some(owner)
        })
        .await;
    }

    /// Waits until the map is as wanted.
    async fn map_until(&self, is_wanted: impl Fn(&ShardMap) -> bool) {
        let mut version = self.map_version.subscribe();
        // Ends only with the node, whose requests end with it.
        if version.wait_for(|_| is_wanted(&self.map())).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns the node's lane.
    pub(crate) fn lane(&self) -> Arc<ActorRef<LaneMessage>> {
        // Set before the first shard opens, and only ever replaced.
        self.lane
            .load_full()
            .expect("the lane is spawned before any entity")
    }

    pub(crate) fn set_lane(&self, lane: ActorRef<LaneMessage>) {
        self.lane.store(Some(Arc::new(lane)));
    }

    pub(crate) fn set_membership(&self, membership: ActorRef<membership::Event>) {
        self.membership.store(Some(Arc::new(membership)));
    }

    /// Tells the membership actor something; lost if it is being restarted, since it looks again.
    pub(crate) fn tell_membership(&self, event: membership::Event) {
        if let Some(membership) = self.membership.load_full() {
            let _ = membership.send_message(event);
        }
    }

    pub(crate) fn set_root(&self, root: ActorCell) {
        let _ = self.root.set(root);
    }

    /// Returns the root of the supervision tree.
    pub(crate) fn root_cell(&self) -> ActorCell {
        self.root
            .get()
            .cloned()
            .expect("the root sets itself before it spawns anything")
    }

    /// Tells whether this node is an active member, as far as it knows.
    pub(crate) fn is_serving(&self) -> bool {
        let is_active = self
            .map()
            .node(self.node_id)
            .is_some_and(|node| node.state == NodeState::Active);
        is_active && self.ended.borrow().is_none()
    }

    /// Tells whether nobody can have declared this node dead, as far as it knows: for want of heartbeats,
    /// or because a majority does not reach it.
    pub(crate) fn is_current(&self) -> bool {
        let is_heard = self.pulse.age() < self.options.suspect_after && self.pulse.is_sure();
        is_heard && self.ended.borrow().is_none()
    }

    pub(crate) fn begin_draining(&self) {
        self.is_draining.store(true, Ordering::Release);
        self.tell_membership(membership::Event::DrainRequested);
    }

    /// Tells whether this node takes on nothing more: it is to stop, or an operator has said so.
    pub(crate) fn is_draining(&self) -> bool {
        let was_told = self.map().standing_of(self.node_id) == Some(NodeState::Draining);
        was_told || self.is_draining.load(Ordering::Acquire)
    }

    /// Ends the node's membership; the first reason stands.
    pub(crate) fn end(&self, reason: Ended) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            if is_first {
                *ended = Some(reason);
            }
            is_first
        });
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits until the node's membership has ended.
    pub(crate) async fn ended(&self) -> Ended {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(Ended::Stopped),
            Err(_) => Ended::Stopped,
        }
    }

    /// Reads what access has changed, so that this node's next request knows.
    pub(crate) async fn refresh_access(&self) {
        if let Err(error) = self.access.poll(&self.store, self.clock.now()).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "changes of access could not be read"
            );
        }
    }

    /// Draws on a bucket of requests that this node owns; without limits there is always enough.
    pub(crate) fn grant(&self, draw: &Draw) -> Grant {
        let unlimited = Grant {
            tokens: draw.wanted,
            remaining: u32::MAX,
            wait_ns: 0,
        };
        self.budget.as_ref().map_or(unlimited, |budget| budget.draw(draw))
    }

    /// Describes the cluster to operators.
    pub(crate) fn cluster_view(&self) -> ClusterView {
        let map = self.map();
        let connected = self.link.connected();
        let mut nodes: Vec<NodeView> = map
            .members()
            .map(|node| {
                let is_self = node.node_id == self.node_id;
                let age = if is_self {
                    Some(self.pulse.age())
                } else {
                    self.pulse.peer_age(node.node_id)
                };
                NodeView {
                    node_id: node.node_id,
                    name: node.name.clone(),
                    state: node.state,
                    roles: node.roles.clone(),
                    api_addr: node.api_addr.clone(),
                    link_addr: node.link_addr.clone(),
                    heartbeat_age_ms: millis(age.unwrap_or_default()),
                    connected: is_self || connected.contains(&node.node_id.0),
                }
            })
            .collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let shards = map.shards().map(|(service, shard, ownership)| ShardView {
            service,
            shard,
            owner: ownership.owner,
            epoch: ownership.epoch,
        });
        ClusterView {
            map_version: map.version(),
            node_id: self.node_id,
            nodes,
            shards: shards.collect(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
