//! The cluster, as operators see it.

use holdfast_domain::{Caller, NodeId, Refusal, ShardId};
use holdfast_store::{NodeState, Service};

use super::Client;
use crate::Error;

/// A node, as this one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// The run of the node's process.
    pub node_id: NodeId,
    /// The node's name.
    pub name: String,
    /// Where it stands in its life.
    pub state: NodeState,
    /// What it carries.
    pub roles: Vec<String>,
    /// Where it answers HTTP.
    pub api_addr: String,
    /// Where it answers other nodes.
    pub link_addr: String,
    /// How long ago its heartbeat was seen to move, in milliseconds.
    pub heartbeat_age_ms: u64,
    /// Whether this node has a session with it; true for itself.
    pub connected: bool,
}

/// A shard and its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardView {
    /// The service.
    pub service: Service,
    /// The shard.
    pub shard: ShardId,
    /// Its owner, if it has one.
    pub owner: Option<NodeId>,
    /// How often its owner has changed.
    pub epoch: i64,
}

/// The whole cluster, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterView {
    /// Counts changes of nodes' states and shards' owners.
    pub map_version: i64,
    /// The node that answers.
    pub node_id: NodeId,
    /// All nodes that have not left or been declared dead.
    pub nodes: Vec<NodeView>,
    /// All shards.
    pub shards: Vec<ShardView>,
}

/// Whether this node can serve, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each thing that may be amiss"
)]
pub struct Health {
    /// Whether the database answers.
    pub database: bool,
    /// Whether the database's schema is this program's.
    pub migrations: bool,
    /// Whether this node is an active member, and every shard has an owner.
    pub membership: bool,
    /// Whether this node takes on nothing more: it is about to stop, or was told to drain.
    pub draining: bool,
}

impl Health {
    /// Tells whether the node should get requests.
    pub const fn is_ready(&self) -> bool {
        self.database && self.migrations && self.membership && !self.draining
    }
}

impl Client {
    /// Returns the cluster as this node sees it.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`]: the caller is no admin.
    pub fn cluster(&self, caller: &Caller) -> Result<ClusterView, Error> {
        caller.require_admin()?;
        Ok(self.shared.cluster_view())
    }

    /// Tells a node, this one or another, to take on nothing more and to hand its shards over. It stays
    /// up, and owns nothing until it is started anew. Doing it again changes nothing.
    ///
    /// The node hears of it from Postgres, whether this one can reach it or not.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`]: the caller is no admin.
    /// [`Refusal::NotFound`]: no node of this name has joined.
    pub async fn node_drain(&self, caller: &Caller, name: &str) -> Result<NodeView, Error> {
        caller.require_admin()?;
        if !self.shared.store.node_drain_named(name).await? {
            return Err(Refusal::NotFound.into());
        }
        self.shared.refresh_map().await;
        let nodes = self.shared.cluster_view().nodes;
        let drained = nodes.into_iter().find(|node| node.name == name);
        // It may have ended just now.
        drained.ok_or_else(|| Refusal::NotFound.into())
    }

    /// Returns where this node's metrics are registered, for those of the edge and the process to join.
    pub fn metrics(&self) -> prometheus::Registry {
        self.shared.metrics.registry.clone()
    }

    /// Tells whether this node can serve.
    pub async fn health(&self) -> Health {
        let ready =
            tokio::time::timeout(std::time::Duration::from_secs(1), self.shared.store.is_ready()).await;
        let (database, migrations) = match ready {
            Ok(Ok(current)) => (true, current),
            Ok(Err(_)) | Err(_) => (false, false),
        };
        let map = self.shared.map();
        Health {
            database,
            migrations,
            membership: self.shared.is_serving() && map.every_shard_has_an_owner(),
            draining: self.shared.is_draining(),
        }
    }
}
