//! The nodes: names, roles, addresses.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A service that a node can run. A node with one role is that microservice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Answers HTTP.
    Edge,
    /// Owns shards of sessions and accounts.
    Sessions,
    /// Owns shards of products and their stock.
    Products,
    /// Owns shards of orders.
    Orders,
}

impl Role {
    /// Every role, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Edge, Self::Sessions, Self::Products, Self::Orders];

    /// Names the role as `cluster.toml` does.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Sessions => "sessions",
            Self::Products => "products",
            Self::Orders => "orders",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One `[[nodes]]` entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// Unique in the cluster; the name in the node's certificate, too.
    pub name: String,
    /// What the node runs.
    #[serde(default = "all_roles")]
    pub roles: Vec<Role>,
    /// Where the API listens; derived from the base port if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<SocketAddr>,
    /// Where health and metrics listen; derived if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ops: Option<SocketAddr>,
    /// Where other nodes connect; derived if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<SocketAddr>,
    /// Where other nodes reach `link` if it is not where they can, as
    /// `host:port`: behind a container's or a machine's name, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
}

impl NodeSettings {
    /// Describes a node with every role and derived addresses.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            roles: all_roles(),
            api: None,
            ops: None,
            link: None,
            advertise: None,
        }
    }
}

fn all_roles() -> Vec<Role> {
    Role::ALL.into()
}
