//! The actors of a shop: entities, the lane that commits for them, and the cluster that they live in.
//!
//! Layer: `node -> http -> actors -> store -> domain`. What HTTP calls is [`Client`].
//!
//! # Supervision
//! ```text
//! Root                     one for a node; replaces what fails below it
//! |- Lane                  group commit, on a thread of its own: one batch in flight, what queues
//! |                        meanwhile is the next
//! |- Membership            heartbeats, suspicion, claims, hand-over
//! |- relay                 a task: tells the events of owned shards to NATS or to the node's own sink
//! |- ShardSupervisor       one for an owned shard; forgets entities that end
//! |  |- Account            logins and lockout, credentials, role
//! |  |- SessionActor       refresh rotation and revocation
//! |  |- ProductActor       catalogue entry, and stock as committed and as promised
//! |  `- OrderActor         the state machine of a placed order
//! Link                     sessions with peers, and the gateway: the one actor that peers can address
//! ```
//! A failed entity is spawned anew from Postgres when it is next asked, after a pause that grows. A
//! lost node's shards are claimed by the others, and their entities spawn there in the same way.
//!
//! # Invariants
//! - An entity's memory is a cache of Postgres. Whenever the two may disagree, the entity ends.
//! - Nobody is told of a state that is not durable, neither of a success nor of a refusal.
//! - Every mutation may be asked again, which is why the router does so: it carries an operation that
//!   is recorded in the same commit as its effect, or - logging in and out, refreshing - an id or a
//!   token that was drawn before the first attempt.
//! - No clock stands in a safety argument: timers only decide how fast things recover.

mod access;
mod account;
pub mod budget;
mod cache;
pub mod client;
mod clock;
pub mod command;
mod consumer;
mod dispatch;
mod entity;
mod error;
mod fault_point;
mod feed;
mod hashing;
mod in_progress;
mod inbound;
mod lane;
pub mod link;
pub mod mail;
mod map;
mod membership;
pub mod metrics;
mod node;
mod operations;
mod order;
mod outbound;
mod ports;
mod product;
mod relay;
mod router;
mod session;
mod shard;
mod signing;
pub mod simulation;
pub mod trace;
pub mod wire;

pub use account::mint_user_id;
pub use cache::{CacheCounters, CacheOptions, CacheStats};
pub use client::Client;
pub use error::Error;
#[cfg(feature = "fault-points")]
pub use fault_point::{FaultPoint, FaultPoints, Held, OpenGate, UnknownGate};
pub use hashing::{HashingError, HashingOptions, hash_password};
pub use node::{Ended, Node, NodeOptions, StartError};
pub use relay::{EventSink, NatsOptions, NatsSettingError, NotTaken, RelayStatus};
