//! Incarnations of nodes: one row per process start.

use std::{fmt, str::FromStr};

use holdfast_domain::{NodeId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, decode};

/// Where an incarnation stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Has announced itself; owns nothing yet.
    Joining,
    /// Serves.
    Active,
    /// Serves what it has and takes on nothing.
    Draining,
    /// Was declared dead by another; whatever it still sends is refused.
    Dead,
    /// Went by itself.
    Left,
}

impl NodeState {
    const ALL: [Self; 5] = [
        Self::Joining,
        Self::Active,
        Self::Draining,
        Self::Dead,
        Self::Left,
    ];

    /// Returns the state's name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Dead => "dead",
            Self::Left => "left",
        }
    }

    /// Tells whether the incarnation may come to life no more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Dead | Self::Left)
    }

    /// Tells whether the incarnation may own shards and write.
    pub const fn serves(self) -> bool {
        matches!(self, Self::Active | Self::Draining)
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no state of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such state of a node")]
pub struct UnknownNodeState;

impl FromStr for NodeState {
    type Err = UnknownNodeState;

    fn from_str(text: &str) -> Result<Self, UnknownNodeState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(UnknownNodeState)
    }
}

/// An incarnation that announces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// The incarnation.
    pub node_id: NodeId,
    /// The node's name in `cluster.toml`; stays the same over restarts.
    pub name: String,
    /// The node's roles.
    pub roles: Vec<String>,
    /// Where its API listens.
    pub api_addr: String,
    /// Where its link listens.
    pub link_addr: String,
    /// The link protocol that it speaks.
    pub proto: i32,
    /// The advisory lock that it holds while it lives.
    pub lock_key: i64,
    /// When it started, on the Postgres clock.
    pub started_at: Timestamp,
}

/// An incarnation as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// The incarnation.
    pub node_id: NodeId,
    /// The node's name.
    pub name: String,
    /// Where it stands.
    pub state: NodeState,
    /// The node's roles.
    pub roles: Vec<String>,
    /// Where its API listens.
    pub api_addr: String,
    /// Where its link listens.
    pub link_addr: String,
    /// The link protocol that it speaks.
    pub proto: i32,
    /// The advisory lock that it holds while it lives.
    pub lock_key: i64,
    /// When it started.
    pub started_at: Timestamp,
    /// Its heartbeats so far.
    pub seq: i64,
}

impl Store {
    /// Announces an incarnation as `joining`, with its heartbeat at 0.
    ///
    /// Declares older incarnations of the same name dead, ends their connections, and forgets those
    /// that own no shard any more.
    pub async fn node_join(&self, node: &NewNode) -> Result<(), StoreError> {
        self.run(async |c| {
            sqlx::query!(
                "SELECT node_join($1, $2, $3, $4, $5, $6, $7, $8)",
                node.node_id.0,
                node.name,
                &node.roles,
                node.api_addr,
                node.link_addr,
                node.proto,
                node.lock_key,
                decode::instant(node.started_at),
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }

    /// Lets a `joining` incarnation serve. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: it has been superseded, or is leaving.
    pub async fn node_activate(&self, node_id: NodeId) -> Result<(), StoreError> {
        self.node_move(node_id, &[NodeState::Joining], NodeState::Active)
            .await
    }

    /// Tells an incarnation to take on nothing more. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: it is over already.
    pub async fn node_drain(&self, node_id: NodeId) -> Result<(), StoreError> {
        self.node_move(
            node_id,
            &[NodeState::Joining, NodeState::Active],
            NodeState::Draining,
        )
        .await
    }

    /// Tells the node of this name to take on nothing more and to hand over what it has; doing it again
    /// changes nothing. Returns whether there is such a node: one that has joined and is not over.
    pub async fn node_drain_named(&self, name: &str) -> Result<bool, StoreError> {
        self.run(async |c| {
            sqlx::query_scalar!(r#"SELECT node_drain($1) AS "found!""#, name)
                .fetch_one(c)
                .await
        })
        .await
    }

    /// Ends an incarnation by its own will; waits for its commits in flight. Doing it again changes
    /// nothing. Shards that it still owns become free to claim.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: it was declared dead.
    pub async fn node_leave(&self, node_id: NodeId) -> Result<(), StoreError> {
        let living = [NodeState::Joining, NodeState::Active, NodeState::Draining];
        self.node_move(node_id, &living, NodeState::Left).await
    }

    async fn node_move(&self, node_id: NodeId, from: &[NodeState], to: NodeState) -> Result<(), StoreError> {
        let from: Vec<String> = from.iter().map(ToString::to_string).collect();
        self.run(async |c| {
            sqlx::query!("SELECT node_move($1, $2, $3)", node_id.0, &from, to.as_str())
                .fetch_one(c)
                .await
        })
        .await?;
        Ok(())
    }

    /// Declares an incarnation dead if its heartbeat still stands at `observed_seq`.
    ///
    /// Waits for its commit in flight, stops every later one, and ends its connections. Returns
    /// whether this call did it: `false` if it has beaten since, or is over already.
    pub async fn node_declare_dead(&self, victim: NodeId, observed_seq: i64) -> Result<bool, StoreError> {
        self.run(async |c| {
            sqlx::query_scalar!(
                r#"SELECT node_declare_dead($1, $2) AS "declared!""#,
                victim.0,
                observed_seq,
            )
            .fetch_one(c)
            .await
        })
        .await
    }

    /// Lists the incarnations, by name: all that live, and those that are over but not yet forgotten.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        let rows = self
            .run(async |c| {
                sqlx::query!(
                    "SELECT node_id, name, state, roles, api_addr, link_addr, proto, lock_key, started_at, seq
                     FROM node JOIN heartbeat USING (node_id) ORDER BY name, started_at, node_id",
                )
                .fetch_all(c)
                .await
            })
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(NodeRow {
                    node_id: NodeId(row.node_id),
                    name: row.name,
                    state: decode::parsed("node.state", &row.state)?,
                    roles: row.roles,
                    api_addr: row.api_addr,
                    link_addr: row.link_addr,
                    proto: row.proto,
                    lock_key: row.lock_key,
                    started_at: row.started_at.into(),
                    seq: row.seq,
                })
            })
            .collect()
    }
}
