//! What the nodes share, and how they find out about each other.

use std::path::PathBuf;
use std::time::Duration;

use holdfast_actors::wire;
use serde::{Deserialize, Serialize};

/// `[cluster]`: what all nodes share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSettings {
    /// Keeps two clusters that meet by accident apart.
    pub name: String,
    /// Holds the secret by which nodes know each other; made by `holdfast up`
    /// in its data directory if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_file: Option<PathBuf>,
    /// How long an operation may take, retries on other owners included.
    #[serde(with = "humantime_serde")]
    pub operation_budget: Duration,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            name: "holdfast".to_owned(),
            cookie_file: None,
            operation_budget: Duration::from_secs(2),
        }
    }
}

/// `[timeouts]`: starting and stopping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutSettings {
    /// How long a node may take from its start until it is ready.
    #[serde(with = "humantime_serde")]
    pub startup: Duration,
    /// How long a stopping node says that it is not ready before it accepts
    /// no more connections.
    #[serde(with = "humantime_serde")]
    pub drain_notice: Duration,
    /// How long a stopping node hands over shards and finishes requests.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        Self {
            startup: Duration::from_mins(1),
            drain_notice: Duration::from_millis(500),
            drain: Duration::from_secs(3),
        }
    }
}

/// `[membership]`: failure detection. It decides how fast the cluster
/// recovers, never whether it is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MembershipSettings {
    /// How often a node renews its heartbeat.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// How long a heartbeat may stand still before its node is suspected.
    #[serde(with = "humantime_serde")]
    pub suspect_after: Duration,
    /// How long a node may be out of reach, though its heart beats,
    /// before this one votes against it.
    #[serde(with = "humantime_serde")]
    pub vote_after: Duration,
}

impl Default for MembershipSettings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(200),
            suspect_after: Duration::from_secs(1),
            vote_after: Duration::from_millis(400),
        }
    }
}

/// `[link]`: traffic between nodes. TLS is on when all three files are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkSettings {
    /// How long a peer may be silent before it counts as out of reach. A quarter
    /// of it is the pause between keep-alives.
    #[serde(with = "humantime_serde")]
    pub silent_after: Duration,
    /// How long a peer may be silent before its session is dropped.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Calls to one peer that may be unanswered at a time.
    pub max_in_flight: usize,
    /// The newest wire version to speak with other nodes; with those that know
    /// no newer, an older one is spoken anyway.
    pub wire_version: u8,
    /// The authority that signs the nodes' certificates, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
    /// This node's certificate chain, PEM; its name is the node's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            silent_after: Duration::from_millis(600),
            idle_timeout: Duration::from_secs(8),
            max_in_flight: 512,
            wire_version: wire::NEWEST_VERSION,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
        }
    }
}
