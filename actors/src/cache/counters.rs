//! What the caches have done, for operators.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What one cache has done since the start, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// Reads that were answered from it.
    pub hits: u64,
    /// Reads that were not.
    pub misses: u64,
    /// Of these, those that shared a question with others.
    pub shared: u64,
    /// Entries that left for want of room.
    pub evictions: u64,
    /// Entries, or all at once, that were dropped because they were out of date.
    pub invalidations: u64,
    /// Entries that it holds, about.
    pub entries: u64,
    /// Bytes that it holds, about.
    pub bytes: u64,
}

/// What the caches of a node have done since the start, and what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Products with their stock.
    pub products: CacheCounters,
    /// Pages of lists.
    pub lists: CacheCounters,
    /// Reads of a product that had to see the latest, or found no owner to ask.
    pub linearizable: u64,
    /// Statements that answered them; fewer, for those who wait share one.
    pub selects: u64,
    /// Messages to peers about what is out of date, acknowledged.
    pub pushes: u64,
    /// Such messages that were not acknowledged.
    pub push_failures: u64,
    /// Times that more was out of date than a message holds, so that everything was declared to be.
    pub push_overflows: u64,
    /// Messages of peers about what is out of date.
    pub heard: u64,
}

/// Counts for one cache.
#[derive(Debug, Default)]
pub(super) struct Tally {
    hits: AtomicU64,
    misses: AtomicU64,
    shared: AtomicU64,
    evictions: AtomicU64,
    invalidations: AtomicU64,
}

/// Counts for all caches of a node.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) products: Tally,
    pub(super) lists: Tally,
    linearizable: AtomicU64,
    selects: AtomicU64,
    pushes: AtomicU64,
    push_failures: AtomicU64,
    push_overflows: AtomicU64,
    heard: AtomicU64,
}

impl Tally {
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Relaxed);
    }

    pub(super) fn missed(&self) {
        self.misses.fetch_add(1, Relaxed);
    }

    pub(super) fn shared(&self) {
        self.shared.fetch_add(1, Relaxed);
    }

    pub(super) fn evicted(&self) {
        self.evictions.fetch_add(1, Relaxed);
    }

    pub(super) fn invalidated(&self) {
        self.invalidations.fetch_add(1, Relaxed);
    }

    fn snapshot(&self) -> CacheCounters {
        CacheCounters {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            shared: self.shared.load(Relaxed),
            evictions: self.evictions.load(Relaxed),
            invalidations: self.invalidations.load(Relaxed),
            entries: 0,
            bytes: 0,
        }
    }
}

impl Counters {
    pub(super) fn linearizable(&self) {
        self.linearizable.fetch_add(1, Relaxed);
    }

    pub(super) fn selected(&self) {
        self.selects.fetch_add(1, Relaxed);
    }

    pub(super) fn pushed(&self, is_acknowledged: bool) {
        let counter = if is_acknowledged {
            &self.pushes
        } else {
            &self.push_failures
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn overflowed(&self) {
        self.push_overflows.fetch_add(1, Relaxed);
    }

    pub(super) fn heard(&self) {
        self.heard.fetch_add(1, Relaxed);
    }

    /// Returns all counts; what is held is not counted here.
    pub(super) fn snapshot(&self) -> CacheStats {
        CacheStats {
            products: self.products.snapshot(),
            lists: self.lists.snapshot(),
            linearizable: self.linearizable.load(Relaxed),
            selects: self.selects.load(Relaxed),
            pushes: self.pushes.load(Relaxed),
            push_failures: self.push_failures.load(Relaxed),
            push_overflows: self.push_overflows.load(Relaxed),
            heard: self.heard.load(Relaxed),
        }
    }
}
