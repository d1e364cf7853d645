//! The cluster's own tables: incarnations, heartbeats, and who owns which shard.

use std::time::Duration;

use holdfast_domain::NodeId;
use sqlx::{Connection, PgConnection};

use crate::{
    StoreError,
    pool::{connect_options, within},
};

mod heartbeat;
mod lock;
mod map;
mod node;
mod shard;
mod vote;

pub use heartbeat::{Beat, HeartbeatConnection, PeerBeat};
pub use lock::NodeLock;
pub use map::ClusterMap;
pub use node::{NewNode, NodeRow, NodeState, UnknownNodeState};
pub(crate) use shard::LeaseColumns;
pub use shard::ShardRow;
pub use vote::Vote;

/// Returns what an incarnation's connections call themselves; declaring it dead ends all of them.
pub fn application_name(node_id: NodeId) -> String {
    format!("holdfast-{node_id}")
}

/// Makes a connection of an incarnation's own, apart from the pool.
async fn connect_alone<const N: usize>(
    url: &str,
    node_id: NodeId,
    settings: [(&str, &str); N],
    limit: Duration,
) -> Result<PgConnection, StoreError> {
    let statement_timeout_ms = limit.as_millis().to_string();
    let options = connect_options(url, &application_name(node_id))?
        .options([("statement_timeout", statement_timeout_ms.as_str())])
        .options(settings);
    match within(limit, PgConnection::connect_with(&options)).await {
        Err(StoreError::OutcomeUnknown(error)) => Err(StoreError::Unavailable(error)),
        result => result,
    }
}
