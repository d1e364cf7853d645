//! How busy the connections are.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::Store;

/// How busy a pool is. Counts are totals since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolFigures {
    /// Connections that are open.
    pub connections: u32,
    /// Connections that nobody uses.
    pub idle: u32,
    /// Connections that may be open at most.
    pub max: u32,
    /// How often a connection was got.
    pub acquired: u64,
    /// How often none was got in time.
    pub failed: u64,
    /// How long all who wanted one have waited, together.
    pub waited: Duration,
}

/// Counts what the pool itself does not.
#[derive(Debug, Default)]
pub(super) struct Tally {
    acquired: AtomicU64,
    failed: AtomicU64,
    waited_us: AtomicU64,
}

impl Tally {
    /// Counts somebody who has waited for a connection, and got one or not.
    pub(super) fn count(&self, waited: Duration, is_got: bool) {
        let outcome = if is_got { &self.acquired } else { &self.failed };
        outcome.fetch_add(1, Relaxed);
        let waited_us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.waited_us.fetch_add(waited_us, Relaxed);
    }
}

impl Store {
    /// Tells how busy the pool is, without asking the database.
    pub fn pool_figures(&self) -> PoolFigures {
        let idle = self.pool.num_idle() + self.lane.idle() + self.keyed.num_idle();
        PoolFigures {
            connections: self.pool.size() + self.lane.size() + self.keyed.size(),
            idle: u32::try_from(idle).unwrap_or(u32::MAX),
            max: self.options.max_connections,
            acquired: self.tally.acquired.load(Relaxed),
            failed: self.tally.failed.load(Relaxed),
            waited: Duration::from_micros(self.tally.waited_us.load(Relaxed)),
        }
    }
}
