//! A node: everything of Holdfast that one process is, apart from HTTP.

mod joining;
mod options;
mod ports;
mod root;
mod shared;
mod upkeep;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use holdfast_domain::NodeId;
use holdfast_store::{NewNode, NodeLock, Store, StoreError, StoreOptions, application_name};
use ractor::{Actor, ActorRef};

pub use options::NodeOptions;
pub(crate) use root::{Root, RootMessage};
use shared::Parts;
pub(crate) use shared::{Inner, Shared};

use crate::{
    Client,
    clock::PgClock,
    consumer::Consumers,
    hashing::Hasher,
    inbound::Requests,
    lane::LaneThread,
    link::{Link, LinkError, LinkOptions},
    mail::MailError,
    membership::heartbeat,
    metrics::{self, Metrics},
};

/// The link protocol that this release speaks: 2 knows messages to a node itself, 3 those about the map,
/// 4 sends keep-alives several times a second.
const PROTO: i32 = 4;
/// How often a node that leaves looks whether its shards have moved.
const HAND_OVER_POLL: Duration = Duration::from_millis(20);

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database could not be used.
    #[error("the database could not be used")]
    Store(#[from] StoreError),
    /// The link could not be set up.
    #[error("the link to other nodes could not be set up")]
    Link(#[from] LinkError),
    /// An actor did not start.
    #[error("an actor did not start")]
    Spawn(#[from] ractor::SpawnErr),
    /// The password hashing parameters make no sense.
    #[error("the password hashing parameters make no sense")]
    Hashing,
    /// The node's metrics contradict each other.
    #[error("the node's metrics contradict each other")]
    Metrics(#[from] prometheus::Error),
    /// Too few of the nodes that serve could be reached.
    #[error("too few of the nodes that serve could be reached: what this one owned would be out of reach")]
    OutOfReach,
    /// Mail cannot be sent as it was asked for.
    #[error("mail cannot be sent as it was asked for")]
    Mail(#[from] MailError),
    /// The feed of events was written on another server, and is ahead of this one's transactions.
    #[error(
        "the events in the database are of another server, whose transactions were ahead of this one's: \
         run `holdfast migrate` while no node runs"
    )]
    FeedAhead,
    /// A thread could not be started: the one for heartbeats, or the lane's.
    #[error("a thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// Why a node is no longer a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop.
    Stopped,
    /// Others declared it dead. It must start anew, under a new incarnation.
    Superseded,
}

/// A running node.
pub struct Node {
    shared: Shared,
    root: ActorRef<RootMessage>,
    heartbeat: heartbeat::Heartbeat,
    /// Whether handing everything over has been tried: what is left then is left to the others, in good
    /// order and within the time that a stop may take.
    has_drained: AtomicBool,
}

impl Node {
    /// Joins the cluster and begins to serve.
    ///
    /// Waits until enough of those who serve can be reached, for [`StartError::OutOfReach`] at the end of
    /// some patience. Returns once the node is an active member; its shards follow at once, and
    /// [`Client::health`] tells when every shard is served.
    pub async fn start(options: NodeOptions) -> Result<Self, StartError> {
        let node_id = NodeId(uuid::Uuid::now_v7());
        let store = Store::connect(
            &options.database_url,
            StoreOptions {
                max_connections: options.max_connections,
                application_name: application_name(node_id),
                ..StoreOptions::default()
            },
        )
        .await?;
        // What this node would commit would count as told, and never be.
        if store.event_feed_is_ahead().await? {
            return Err(StartError::FeedAhead);
        }
        let clock = Arc::new(PgClock::starting_at(store.server_time().await?));
        let lock_key = i64::from_le_bytes(rand::random());
        let timeout = options.suspect_after;
        let lock = NodeLock::acquire(&options.database_url, node_id, lock_key, timeout).await?;
        let metrics = Metrics::new()?;
        let hasher =
            Hasher::new(options.hashing, metrics.hashing.clone()).map_err(|_| StartError::Hashing)?;
        let consumers = Consumers::new(node_id, store.clone(), options.mail.as_ref())?;

        let requests = Arc::new(Requests::default());
        let lane_thread = LaneThread::start(&options.name).map_err(StartError::Thread)?;
        let mut link_options = LinkOptions::new(
            options.name.clone(),
            node_id.0,
            options.cookie.clone(),
            options.link_listen,
        );
        link_options.tls.clone_from(&options.tls);
        link_options.max_calls_in_flight = options.calls_in_flight;
        link_options.wire_version = options.wire_version;
        link_options.silent_after = options.link_silent_after;
        link_options.idle_timeout = options.link_idle_timeout;
        let link = Link::start(
            link_options,
            Arc::clone(&requests) as Arc<dyn crate::link::Inbound>,
        )
        .await?;
        let link_addr = options
            .link_advertise
            .clone()
            .unwrap_or_else(|| link.local_addr().to_string());
        let member = NewNode {
            node_id,
            name: options.name.clone(),
            roles: options.roles.clone(),
            api_addr: options.api_advertise.clone(),
            link_addr,
            proto: PROTO,
            lock_key,
            started_at: clock.now(),
        };
        store.node_join(&member).await?;

        let parts = Parts {
            store,
            clock,
            lane_thread,
            link,
            hasher,
            metrics,
            consumers,
        };
        let shared: Shared = Arc::new(Inner::new(node_id, options, parts));
        metrics::watch(&shared)?;
        requests.serve(&shared);
        let (root, _) = Actor::spawn(
            None,
            Root {
                shared: shared.clone(),
            },
            (),
        )
        .await?;
        let heartbeat = heartbeat::Heartbeat::start(&shared, lock_key, lock).map_err(StartError::Thread)?;
        let node = Self {
            shared,
            root,
            heartbeat,
            has_drained: AtomicBool::new(false),
        };
        if let Err(error) = node.join().await {
            node.finish().await;
            return Err(error);
        }
        Ok(node)
    }

    /// Becomes an active member, once enough of the others can be reached.
    async fn join(&self) -> Result<(), StartError> {
        let shared = &self.shared;
        joining::until_within_reach(shared).await?;
        shared.store.node_activate(shared.node_id).await?;
        shared.refresh_map().await;
        tracing::info!(node = %shared.options.name, incarnation = %shared.node_id, "joined the cluster");
        Ok(())
    }

    /// Returns what the HTTP edge calls.
    pub fn client(&self) -> Client {
        Client::new(self.shared.clone())
    }

    /// Returns the node's incarnation.
    pub fn node_id(&self) -> NodeId {
        self.shared.node_id
    }

    /// Returns the node's connections to its peers: their counters, and the switch for faults.
    pub fn link(&self) -> &Link {
        &self.shared.link
    }

    /// Returns the points at which a test may stop the node's work.
    #[cfg(feature = "fault-points")]
    pub fn fault_points(&self) -> &crate::FaultPoints {
        &self.shared.options.fault_points
    }

    /// Waits until the node is no longer a member.
    pub async fn ended(&self) -> Ended {
        self.shared.ended().await
    }

    /// Tells whoever asks for the node's health that it is about to leave.
    pub fn begin_draining(&self) {
        self.shared.begin_draining();
    }

    /// Hands the node's shards to the others, while it answers on.
    pub async fn drain(&self) {
        let shared = &self.shared;
        shared.begin_draining();
        self.has_drained.store(true, Ordering::Release);
        match shared.store.node_drain(shared.node_id).await {
            Ok(()) => self.hand_all_over().await,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the node leaves without handing over"
                );
            }
        }
    }

    /// Leaves the cluster: hands its shards to the others if that was not tried before, finishes what is
    /// in flight, and signs off.
    pub async fn stop(&self) {
        let shared = &self.shared;
        if !self.has_drained.load(Ordering::Acquire) {
            self.drain().await;
        }
        let shards = shared.shards.all();
        let limit = shared.options.drain_limit;
        let drained =
            futures_util::future::join_all(shards.iter().map(|shard| shard.drain_to_leave(limit))).await;
        if drained.contains(&false) {
            tracing::warn!("some requests were still in flight when the node left");
        }
        // A mail that is on its way now would be sent again by somebody else.
        let at_rest = tokio::time::timeout(limit, shared.consumers.at_rest()).await;
        if at_rest.is_err() {
            tracing::warn!("a mail was still on its way when the node left; it may arrive twice");
        }
        self.heartbeat.stop();
        if let Err(error) = shared.store.node_leave(shared.node_id).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the node could not sign off"
            );
        }
        self.finish().await;
    }

    /// Waits until the membership has handed over all that others can take, within the limit.
    async fn hand_all_over(&self) {
        let shared = &self.shared;
        let handed_over = async {
            loop {
                shared.refresh_map().await;
                if shared.shards.is_empty() || !crate::membership::has_to_hand_over(shared) {
                    return;
                }
                tokio::time::sleep(HAND_OVER_POLL).await;
            }
        };
        if tokio::time::timeout(shared.options.drain_limit, handed_over)
            .await
            .is_err()
        {
            tracing::warn!("some shards were not handed over; the others claim them");
        }
    }

    /// Ends what is left of a node that was superseded, or has left.
    pub async fn finish(&self) {
        self.shared.end(Ended::Stopped);
        self.heartbeat.stop();
        self.shared.shards.close_all();
        self.shared.link.stop().await;
        let limit = self.shared.options.drain_limit;
        if self.root.stop_and_wait(None, Some(limit)).await.is_err() {
            self.root.kill();
        }
        self.shared.store.close().await;
    }

    /// Ends the node as the death of its process would: nothing is said and nothing is finished.
    ///
    /// For tests of several nodes in one process.
    pub fn crash(&self) {
        self.shared.end(Ended::Stopped);
        self.heartbeat.stop();
        self.shared.link.crash();
        self.shared.shards.close_all();
        self.root.kill();
        // Postgres ends what it has received; the others notice a death by the lack of connections.
        let shared = self.shared.clone();
        tokio::spawn(async move { shared.store.close().await });
    }

    /// Stops or resumes the node's heartbeats, while everything else goes on: to others it looks as a
    /// process that is paused.
    pub fn hold_heartbeats(&self, hold: bool) {
        self.heartbeat.hold(hold);
    }
}
