//! The sections of `cluster.toml` and their defaults.
//!
//! Durations are written as people write them: `200ms`, `15m`, `30d`.

mod cluster;
mod edge;
mod outward;
mod shop;

pub use cluster::{ClusterSettings, LinkSettings, MembershipSettings, TimeoutSettings};
pub use edge::{AuthSettings, CacheSettings, EventSettings, HttpSettings, LimitSettings};
pub use outward::{MailSettings, NatsSettings, TelemetrySettings};
pub use shop::{EntitySettings, LaneSettings, OrderSettings, PostgresSettings};
