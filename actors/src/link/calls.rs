//! Calls to peers, by how they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::error::LinkError;

/// Totals of calls to peers since the start of the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounters {
    /// Calls that wait for their answer.
    pub in_flight: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls without an answer in time.
    pub timed_out: u64,
    /// Calls whose session was lost, or whose peer fell silent, while they waited.
    pub lost: u64,
    /// Calls that were not sent because too much was in flight.
    pub overloaded: u64,
    /// Calls that were not sent for want of a session.
    pub unreachable: u64,
    /// Calls that were not sent for another reason.
    pub refused: u64,
    /// Calls whose caller stopped waiting.
    pub abandoned: u64,
}

impl CallCounters {
    /// Lists how many calls ended in which way.
    pub fn by_outcome(&self) -> [(&'static str, u64); 7] {
        [
            ("answered", self.answered),
            ("timed_out", self.timed_out),
            ("lost", self.lost),
            ("overloaded", self.overloaded),
            ("unreachable", self.unreachable),
            ("refused", self.refused),
            ("abandoned", self.abandoned),
        ]
    }
}

/// Counts calls.
#[derive(Debug, Default)]
pub(super) struct CallTally {
    in_flight: AtomicU64,
    answered: AtomicU64,
    timed_out: AtomicU64,
    lost: AtomicU64,
    overloaded: AtomicU64,
    unreachable: AtomicU64,
    refused: AtomicU64,
    abandoned: AtomicU64,
}

impl CallTally {
    /// Counts a call that begins.
    pub(super) fn begin(self: &Arc<Self>) -> Counted {
        self.in_flight.fetch_add(1, Relaxed);
        Counted {
            tally: Arc::clone(self),
            has_ended: false,
        }
    }

    pub(super) fn snapshot(&self) -> CallCounters {
        CallCounters {
            in_flight: self.in_flight.load(Relaxed),
            answered: self.answered.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
            lost: self.lost.load(Relaxed),
            overloaded: self.overloaded.load(Relaxed),
            unreachable: self.unreachable.load(Relaxed),
            refused: self.refused.load(Relaxed),
            abandoned: self.abandoned.load(Relaxed),
        }
    }
}

/// A call that is counted; dropped without its end, it was abandoned.
pub(super) struct Counted {
    tally: Arc<CallTally>,
    has_ended: bool,
}

impl Counted {
    /// Counts how the call ended.
    pub(super) fn ended<T>(mut self, result: &Result<T, LinkError>) {
        self.has_ended = true;
        let tally = &self.tally;
        let counter = match result {
            Ok(_) => &tally.answered,
            Err(LinkError::Timeout) => &tally.timed_out,
            Err(LinkError::Closed | LinkError::Silent) => &tally.lost,
            Err(LinkError::Overloaded) => &tally.overloaded,
            Err(LinkError::NotConnected) => &tally.unreachable,
            Err(_) => &tally.refused,
        };
        counter.fetch_add(1, Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.tally.in_flight.fetch_sub(1, Relaxed);
        if !self.has_ended {
            self.tally.abandoned.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_ends_in_one_way() {
        let tally = Arc::new(CallTally::default());
        let (first, second, third) = (tally.begin(), tally.begin(), tally.begin());
        assert_eq!(tally.snapshot().in_flight, 3);
        first.ended(&Ok(()));
        second.ended::<()>(&Err(LinkError::Timeout));
        drop(third);
        let counters = tally.snapshot();
        assert_eq!((counters.in_flight, counters.answered), (0, 1));
        assert_eq!((counters.timed_out, counters.abandoned), (1, 1));
    }
}
