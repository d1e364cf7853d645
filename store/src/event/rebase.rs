//! A feed on another server than the one that wrote it.
//!
//! Places in the feed are transaction ids, which a logical dump takes along into a server whose own
//! count from the beginning. Until they have come as far, what is committed there would count as told.

use std::time::Duration;

use crate::{Store, StoreError, pool::within};

/// How long it may take to move a feed: it rewrites all events.
const REBASE_LIMIT: Duration = Duration::from_hours(1);

impl Store {
    /// Tells whether the feed is ahead of this server's transactions. Asks without the function of the
    /// same name, since a node asks before it is known whether the schema has come so far.
    pub async fn event_feed_is_ahead(&self) -> Result<bool, StoreError> {
        self.run(async |c| {
            sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT FROM event WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()))
                       OR EXISTS (SELECT FROM relay_position
                                  WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())) AS "is_ahead!""#
            )
            .fetch_one(c)
            .await
        })
        .await
    }

    /// Puts a feed that is ahead behind this server's transactions; returns how many events it moved.
    ///
    /// What was told stays told, what was not is told afterwards, and each aggregate's events keep their
    /// order. No node may be running.
    pub async fn event_feed_rebase(&self) -> Result<u64, StoreError> {
        let unhurried = self.unhurried(REBASE_LIMIT).await?;
        let moved = within(
            REBASE_LIMIT,
            sqlx::query_scalar!(r#"SELECT event_feed_rebase() AS "moved!""#).fetch_one(&unhurried),
        )
        .await;
        unhurried.close().await;
        Ok(moved?.unsigned_abs())
    }
}
