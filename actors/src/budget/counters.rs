//! What budgets have decided, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Class;

/// Totals since the node began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetCounters {
    refused: [u64; Class::ALL.len()],
    /// Leases that owners were asked for.
    pub leases: u64,
    /// Requests that were decided by this node's share, because an owner did not answer in time.
    pub by_share: u64,
    /// Buckets, leases and shares that are remembered now.
    pub tracked: usize,
    /// The memory that they take, about, in bytes.
    pub tracked_bytes: usize,
}

impl BudgetCounters {
    /// Returns how many requests of a class were refused.
    pub fn refused(&self, class: Class) -> u64 {
        self.refused[class.index()]
    }
}

/// Counters that many tasks add to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    refused: [AtomicU64; Class::ALL.len()],
    leases: AtomicU64,
    by_share: AtomicU64,
}

impl Tally {
    pub(super) fn refused(&self, class: Class) {
        self.refused[class.index()].fetch_add(1, Relaxed);
    }

    pub(super) fn leased(&self) {
        self.leases.fetch_add(1, Relaxed);
    }

    pub(super) fn shared(&self) {
        self.by_share.fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot(&self, tracked: usize, tracked_bytes: usize) -> BudgetCounters {
        BudgetCounters {
            refused: self.refused.each_ref().map(|count| count.load(Relaxed)),
            leases: self.leases.load(Relaxed),
            by_share: self.by_share.load(Relaxed),
            tracked,
            tracked_bytes,
        }
    }
}
