//! The map: every node and every shard's owner.

use super::{NodeRow, ShardRow};
use crate::{Store, StoreError};

/// Nodes, shards, and the version that counts their changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterMap {
    /// Counts changes of a node's state or a shard's owner.
    pub version: i64,
    /// The incarnations; see [`Store::nodes`].
    pub nodes: Vec<NodeRow>,
    /// Every shard of every service, by service and number.
    pub shards: Vec<ShardRow>,
}

impl Store {
    /// Reads the map.
    ///
    /// What it holds may be newer than its version says, never older; every owner is among the nodes.
    pub async fn map_load(&self) -> Result<ClusterMap, StoreError> {
        // The order matters: the version first, and owners after the shards that name them.
        let version = self
            .run(async |c| {
                sqlx::query_scalar!("SELECT version FROM cluster_map")
                    .fetch_one(c)
                    .await
            })
            .await?;
        let shards = self.shards().await?;
        let nodes = self.nodes().await?;
        Ok(ClusterMap {
            version,
            nodes,
            shards,
        })
    }
}
