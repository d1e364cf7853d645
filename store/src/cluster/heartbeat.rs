//! Heartbeats, on a connection of their own: a busy pool must not look like a dead node.

use std::time::Duration;

use holdfast_domain::{NodeId, Timestamp};
use sqlx::PgConnection;

use super::{NodeState, connect_alone};
use crate::{StoreError, decode, pool::within};

/// What a heartbeat learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Heartbeats so far, this one included.
    pub seq: i64,
    /// The version of the cluster map.
    pub map_version: i64,
    /// Where the incarnation stands.
    pub state: NodeState,
    /// The Postgres clock.
    pub now: Timestamp,
}

/// Another incarnation's heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerBeat {
    /// The incarnation.
    pub node_id: NodeId,
    /// Its heartbeats so far.
    pub seq: i64,
}

/// A connection for heartbeats alone. After an error, drop it and connect anew.
#[derive(Debug)]
pub struct HeartbeatConnection {
    connection: PgConnection,
    node_id: NodeId,
    limit: Duration,
}

impl HeartbeatConnection {
    /// Connects; `limit` bounds this and every later call.
    pub async fn connect(url: &str, node_id: NodeId, limit: Duration) -> Result<Self, StoreError> {
        // A heartbeat that a crash of Postgres forgets is renewed at once: it need not reach the disk.
        let settings = [("synchronous_commit", "off")];
        let connection = connect_alone(url, node_id, settings, limit).await?;
        Ok(Self {
            connection,
            node_id,
            limit,
        })
    }

    /// Renews this incarnation's heartbeat.
    pub async fn beat(&mut self) -> Result<Beat, StoreError> {
        let beat = sqlx::query!(
            r#"UPDATE heartbeat SET seq = seq + 1 WHERE node_id = $1
               RETURNING seq,
                   (SELECT version FROM cluster_map) AS "map_version!",
                   (SELECT state FROM node WHERE node.node_id = heartbeat.node_id) AS "state!",
                   clock_timestamp() AS "now!""#,
            self.node_id.0,
        );
        let row = within(self.limit, beat.fetch_optional(&mut self.connection)).await?;
        let Some(row) = row else {
            return Err(StoreError::Fenced {
                reason: format!("node {} has been forgotten", self.node_id),
            });
        };
        Ok(Beat {
            seq: row.seq,
            map_version: row.map_version,
            state: decode::parsed("node.state", &row.state)?,
            now: row.now.into(),
        })
    }

    /// Reads the heartbeats of all incarnations that are not over, this one included.
    pub async fn peers(&mut self) -> Result<Vec<PeerBeat>, StoreError> {
        let peers = sqlx::query!(
            "SELECT node_id, seq FROM heartbeat JOIN node USING (node_id)
             WHERE state NOT IN ('dead', 'left') ORDER BY node_id",
        );
        let rows = within(self.limit, peers.fetch_all(&mut self.connection)).await?;
        Ok(rows
            .into_iter()
            .map(|row| PeerBeat {
                node_id: NodeId(row.node_id),
                seq: row.seq,
            })
            .collect())
    }
}
