//! Leases: what a node believes it owns, and under which epoch.

use std::{fmt, str::FromStr};

use holdfast_domain::{NodeId, ShardId};
use serde::{Deserialize, Serialize};

/// A service, whose entities are divided into shards of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Accounts and their sessions, by user id.
    Sessions,
    /// Products and their stock, by product id.
    Products,
    /// Orders, by order id.
    Orders,
}

impl Service {
    /// Lists every service.
    pub const ALL: [Self; 3] = [Self::Sessions, Self::Products, Self::Orders];

    /// Returns the service's name in the database and in `cluster.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Products => "products",
            Self::Orders => "orders",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be sessions, products or orders")]
pub struct UnknownService;

impl FromStr for Service {
    type Err = UnknownService;

    fn from_str(text: &str) -> Result<Self, UnknownService> {
        Self::ALL
            .into_iter()
            .find(|service| service.as_str() == text)
            .ok_or(UnknownService)
    }
}

/// The right to write one shard of a service, as its holder believes it.
///
/// A lease has no term: it ends when another node takes the shard, which raises the epoch. Writing
/// under a lease that has ended is [`StoreError::Fenced`](crate::StoreError::Fenced).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The holder's incarnation.
    pub node_id: NodeId,
    /// The service.
    pub service: Service,
    /// The shard.
    pub shard: ShardId,
    /// How often the shard had changed hands when the holder got it.
    pub epoch: i64,
}
