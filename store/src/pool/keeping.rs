//! A pool of which one connection goes from statement to statement.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgPool, Postgres, pool::PoolConnection};
use tokio::time::timeout;

use super::TRUSTED_IDLE;

/// How long a connection goes from statement to statement before the pool sees it again, and its age. Looked
/// at when one is wanted: who asks for nothing keeps its connection.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// Few connections for one caller at a time, whose statements follow each other. A pool tries whatever comes
/// back to it, which is a round trip to Postgres: here the connection of a statement that was answered waits
/// for the next one instead.
#[derive(Debug)]
pub(super) struct KeepingPool {
    pool: PgPool,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    held: Held,
    used: Instant,
}

/// A connection, and since when the pool has not seen it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) connection: PoolConnection<Postgres>,
    since: Instant,
}

impl KeepingPool {
    pub(super) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            kept: Mutex::default(),
        }
    }

    /// Gets the connection that was kept, or one of the pool's.
    pub(super) async fn acquire(&self) -> sqlx::Result<Held> {
        let kept = self.kept().take();
        if let Some(Kept { mut held, used }) = kept {
            // Tried here before the pool may try it: here that takes no longer than getting another one may.
            if used.elapsed() > TRUSTED_IDLE && !self.is_alive(&mut held).await {
                held.connection.close_on_drop();
            } else if held.since.elapsed() <= KEPT_FOR {
                return Ok(held);
            }
        }
        let connection = self.pool.acquire().await?;
        let since = Instant::now();
        Ok(Held { connection, since })
    }

    async fn is_alive(&self, held: &mut Held) -> bool {
        let limit = self.pool.options().get_acquire_timeout();
        matches!(timeout(limit, held.connection.ping()).await, Ok(Ok(())))
    }

    /// Keeps a connection that is in order. If there is another one, it goes back to the pool.
    pub(super) fn keep(&self, held: Held) {
        let mut kept = self.kept();
        // `close` marks the pool closed and then looks here: under the lock, one of the two sees the other.
        if kept.is_none() && !self.pool.is_closed() {
            let used = Instant::now();
            *kept = Some(Kept { held, used });
        }
    }

    /// Closes all connections, once their statements have ended.
    pub(super) async fn close(&self) {
        let closed = self.pool.close();
        drop(self.kept().take());
        closed.await;
    }

    /// Tells how many connections are open.
    pub(super) fn size(&self) -> u32 {
        self.pool.size()
    }

    /// Tells how many of them nobody uses.
    pub(super) fn idle(&self) -> usize {
        self.pool.num_idle() + usize::from(self.kept().is_some())
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeepingPool {
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.take() {
            // Going back to the pool would take a runtime, and there may be none any more.
            drop(kept.held.connection.detach());
        }
    }
}
