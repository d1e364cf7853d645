//! The database's clock, read without asking it.
//!
//! Nodes stamp what they write with Postgres' time, learnt with every heartbeat and carried forward
//! by the monotonic clock: a node whose wall clock is an hour off writes the same times as others.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use holdfast_domain::Timestamp;

/// The database's clock as one node knows it. Never runs backwards.
#[derive(Debug)]
pub(crate) struct PgClock {
    started: Instant,
    /// Database time when `started` was, in microseconds since the Unix epoch.
    base_us: AtomicI64,
    /// The latest time that was given out, in the same unit.
    latest_us: AtomicI64,
}

impl PgClock {
    /// Starts from one reading of the database's clock.
    pub(crate) fn starting_at(now: Timestamp) -> Self {
        Self {
            started: Instant::now(),
            base_us: AtomicI64::new(now.unix_micros()),
            latest_us: AtomicI64::new(now.unix_micros()),
        }
    }

    /// Takes a reading that took `round_trip` to arrive; it was true about the middle of it.
    pub(crate) fn learn(&self, reading: Timestamp, round_trip: Duration) {
        let now = reading.plus(round_trip / 2).unix_micros();
        self.base_us
            .store(now - micros(self.started.elapsed()), Ordering::Relaxed);
    }

    /// Returns what the database's clock shows now, as last read: it goes back if that clock is set back.
    pub(crate) fn shown(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.base_us.load(Ordering::Relaxed) + micros(self.started.elapsed()))
    }

    /// Returns the time.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.shown().unix_micros();
        let before = self.latest_us.fetch_max(now, Ordering::Relaxed);
        Timestamp::from_unix_micros(now.max(before))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_from_the_past_does_not_turn_the_clock_back() {
        let clock = PgClock::starting_at(Timestamp::from_unix_micros(10_000_000));
        let before = clock.now();
        clock.learn(Timestamp::from_unix_micros(5_000_000), Duration::ZERO);
        assert!(clock.now() >= before);
        assert!(clock.shown() < before, "what it shows is told apart");
    }
}
