//! Votes on nodes that reach Postgres but not their peers.

use std::time::Duration;

use holdfast_domain::NodeId;
use sqlx::postgres::types::PgInterval;

use crate::{Store, StoreError};

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// How many incarnations have said within the window that they cannot reach the suspect.
    pub votes: i64,
    /// How many have to: more than half of all that serve, the suspect included.
    pub needed: i64,
    /// Whether the suspect is over, by this vote or before.
    pub is_dead: bool,
}

impl Store {
    /// Says that `observer` cannot reach `suspect`; doing it again renews the vote.
    ///
    /// If a majority has said so within `window`, on the Postgres clock, declares the suspect dead as
    /// [`node_declare_dead`](Self::node_declare_dead) does, though its heart beats.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: the observer is over itself.
    pub async fn node_suspect(
        &self,
        observer: NodeId,
        suspect: NodeId,
        window: Duration,
    ) -> Result<Vote, StoreError> {
        let window = PgInterval {
            months: 0,
            days: 0,
            microseconds: i64::try_from(window.as_micros()).unwrap_or(i64::MAX),
        };
        self.run(async |c| {
            sqlx::query_as!(
                Vote,
                r#"SELECT votes AS "votes!", needed AS "needed!", is_dead AS "is_dead!"
                   FROM node_suspect($1, $2, $3)"#,
                observer.0,
                suspect.0,
                window,
            )
            .fetch_one(c)
            .await
        })
        .await
    }
}
