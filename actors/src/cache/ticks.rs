//! A node's monotonic clock, as numbers that an atomic can hold.

use std::time::{Duration, Instant};

/// Nanoseconds since the caches began; 0 is before everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(pub(super) u64);

/// Counts ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks(Instant);

impl Ticks {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Tick {
        // 584 years fit.
        Tick(
            u64::try_from(self.0.elapsed().as_nanos())
                .unwrap_or(u64::MAX)
                .max(1),
        )
    }
}

impl Tick {
    /// Returns the time since an earlier tick; none, if that one is later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the time since an earlier tick in whole milliseconds, rounded up: a bound on an age
    /// must not be less than it.
    pub(super) fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0).div_ceil(1_000_000)
    }
}

/// Tells whether something that was asked for at `asked` may be served at `now`.
///
/// `void` is when everything like it was said to be out of date: what was asked for at that very
/// tick may have been answered before.
pub(super) fn is_servable(asked: Tick, void: Tick, now: Tick, max_age: Duration) -> bool {
    asked > void && now.since(asked) <= max_age
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn what_is_older_than_the_bound_is_not_served() {
        let max_age = Duration::from_millis(100);
        let servable = |now| is_servable(Tick(MS), Tick(0), Tick(now), max_age);
        assert!(servable(MS) && servable(101 * MS));
        assert!(!servable(101 * MS + 1));
    }

    #[test]
    fn what_was_asked_for_before_all_was_void_is_not_served() {
        let servable = |asked, void| is_servable(Tick(asked), Tick(void), Tick(9), Duration::from_secs(1));
        assert!(servable(5, 4));
        assert!(!servable(5, 5) && !servable(5, 6));
    }

    #[test]
    fn an_age_is_rounded_up() {
        let age = |nanos| Tick(MS + nanos).millis_since(Tick(MS));
        assert_eq!([age(0), age(1), age(MS), age(MS + 1)], [0, 1, 1, 2]);
    }
}
