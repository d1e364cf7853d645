//! The lock that a process holds while it lives: getting it proves that the process is gone.
//!
//! Only how fast a death is noticed rests on it, nothing's correctness.

use std::time::Duration;

use holdfast_domain::NodeId;
use sqlx::{Connection, PgConnection};

use super::{application_name, connect_alone};
use crate::{Store, StoreError, pool::within};

/// A session-level advisory lock on a connection of its own, held until it is dropped.
#[derive(Debug)]
pub struct NodeLock {
    connection: PgConnection,
    limit: Duration,
}

impl NodeLock {
    /// Connects and takes the lock `key`; `limit` bounds both, and every later call.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: another session holds it.
    pub async fn acquire(url: &str, node_id: NodeId, key: i64, limit: Duration) -> Result<Self, StoreError> {
        let mut connection = connect_alone(url, node_id, [], limit).await?;
        let lock = sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "got!""#, key);
        if within(limit, lock.fetch_one(&mut connection)).await? {
            Ok(Self { connection, limit })
        } else {
            Err(StoreError::Fenced {
                reason: format!("another session holds the lock of node {node_id}"),
            })
        }
    }

    /// Makes sure that the connection, and with it the lock, is still there.
    pub async fn check(&mut self) -> Result<(), StoreError> {
        within(self.limit, self.connection.ping()).await
    }
}

impl Store {
    /// Tells whether the process of an incarnation is gone: nobody holds its lock `key`, which is tried
    /// by taking it for as long as the statement runs, and it has no other connection either. After a
    /// restart of Postgres all locks are free for a moment.
    pub async fn try_dead_lock(&self, node_id: NodeId, key: i64) -> Result<bool, StoreError> {
        let name = application_name(node_id);
        self.run(async |c| {
            sqlx::query_scalar!(
                r#"SELECT pg_try_advisory_xact_lock($1)
                   AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $2) AS "gone!""#,
                key,
                name,
            )
            .fetch_one(c)
            .await
        })
        .await
    }
}
