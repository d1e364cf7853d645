//! What a node is told at its start.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use holdfast_store::Service;

use crate::{
    budget::BudgetOptions,
    cache::CacheOptions,
    hashing::HashingOptions,
    link::TlsFiles,
    mail::MailOptions,
    relay::{EventSink, NatsOptions},
    wire,
};

/// Configuration of a [`Node`](super::Node).
#[derive(Clone)]
pub struct NodeOptions {
    /// The node's name: the same over restarts, and another one than every other node's.
    pub name: String,
    /// What the node carries: `edge`, `sessions`, `products`, `orders`.
    pub roles: Vec<String>,
    /// Where Postgres is. May hold a password; never shown.
    pub database_url: String,
    /// Connections to Postgres at most, besides the two for heartbeats and the lock.
    pub max_connections: u32,
    /// The secret that all nodes of a cluster share. Never shown.
    pub cookie: String,
    /// Where to listen for other nodes.
    pub link_listen: SocketAddr,
    /// Where other nodes reach this one, as `host:port`; `None`: where it listens.
    pub link_advertise: Option<String>,
    /// Mutual TLS between nodes, if the network is not trusted.
    pub tls: Option<TlsFiles>,
    /// How long a peer may be silent before it counts as out of reach.
    pub link_silent_after: Duration,
    /// How long a peer may be silent before its session is dropped.
    pub link_idle_timeout: Duration,
    /// Calls to one peer that may be unanswered at a time.
    pub calls_in_flight: usize,
    /// The newest wire version to speak with peers.
    pub wire_version: u8,
    /// Where clients reach this node's API, for others to know.
    pub api_advertise: String,
    /// How often to renew the heartbeat.
    pub heartbeat_interval: Duration,
    /// How long a peer's heartbeat may stand still before it is suspected.
    pub suspect_after: Duration,
    /// How long a peer may be without a session, or silent, though its heart beats, before this node votes
    /// against it.
    pub vote_after: Duration,
    /// How long a request may look for its owner, all attempts together.
    pub call_budget: Duration,
    /// How long requests in flight may take when the node or a shard is drained.
    pub drain_limit: Duration,
    /// Requests to one entity that may be unanswered at a time.
    pub entity_in_flight: u32,
    /// Entities kept in memory at most.
    pub entities_max: usize,
    /// How long an entity may go unasked before it is stopped.
    pub entity_idle: Duration,
    /// Intents in one commit at most.
    pub batch_intents: usize,
    /// Intents that may wait for the next commit.
    pub waiting_intents: usize,
    /// What the edge keeps of the catalogue.
    pub cache: CacheOptions,
    /// How often one node of the cluster looks through the stock for what must not be.
    pub stock_audit_interval: Duration,
    /// How passwords are hashed.
    pub hashing: HashingOptions,
    /// How long a refresh token is good.
    pub refresh_token_ttl: Duration,
    /// How long an order may go unpaid.
    pub payment_deadline: Duration,
    /// How mail is sent; `None`: it is not.
    pub mail: Option<MailOptions>,
    /// How often clients may ask; `None`: as often as they like.
    pub limits: Option<BudgetOptions>,
    /// Where NATS is, if events go there.
    pub nats: Option<NatsOptions>,
    /// Where events go without NATS, and from there with it; `None`: to the node's own consumers.
    pub event_sink: Option<Arc<dyn EventSink>>,
    /// Where a test stops the node's work.
    #[cfg(feature = "fault-points")]
    pub fault_points: crate::FaultPoints,
    /// What a test lets through the output gate before its time.
    #[cfg(feature = "fault-points")]
    pub open_gate: Option<crate::OpenGate>,
}

impl NodeOptions {
    /// Returns the defaults for a node with all roles that listens on a free port of loopback.
    pub fn new(name: impl Into<String>, database_url: impl Into<String>, cookie: impl Into<String>) -> Self {
        let mut roles = vec!["edge".to_owned()];
        roles.extend(Service::ALL.iter().map(|service| service.as_str().to_owned()));
        Self {
            name: name.into(),
            roles,
            database_url: database_url.into(),
            max_connections: 16,
            cookie: cookie.into(),
            link_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            link_advertise: None,
            tls: None,
            link_silent_after: Duration::from_millis(600),
            link_idle_timeout: Duration::from_secs(8),
            calls_in_flight: 512,
            wire_version: wire::NEWEST_VERSION,
            api_advertise: String::new(),
            heartbeat_interval: Duration::from_millis(200),
            suspect_after: Duration::from_secs(1),
            vote_after: Duration::from_millis(400),
            call_budget: Duration::from_secs(2),
            drain_limit: Duration::from_secs(3),
            entity_in_flight: 1_024,
            entities_max: 20_000,
            entity_idle: Duration::from_mins(5),
            batch_intents: 256,
            waiting_intents: 8_192,
            cache: CacheOptions::default(),
            stock_audit_interval: Duration::from_secs(30),
            hashing: HashingOptions::default(),
            refresh_token_ttl: Duration::from_hours(720),
            payment_deadline: Duration::from_mins(15),
            mail: None,
            limits: None,
            nats: None,
            event_sink: None,
            #[cfg(feature = "fault-points")]
            fault_points: crate::FaultPoints::default(),
            #[cfg(feature = "fault-points")]
            open_gate: None,
        }
    }
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions")
            .field("name", &self.name)
            .field("roles", &self.roles)
            .field("link_listen", &self.link_listen)
            .field("api_advertise", &self.api_advertise)
            .finish_non_exhaustive()
    }
}
