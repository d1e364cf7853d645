//! When to start a process again that has died.

use std::time::Duration;

/// The wait after a first death: short, because a single kill should cost
/// little; never nothing, because a node that dies at once would spin.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// A run this long is not held against its process.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);

/// The back-off of one process.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    deaths: u32,
}

impl Backoff {
    /// Tells how long to wait after a run that lasted `ran`. `jitter`, between
    /// 0 and 1, keeps processes that died together from starting together.
    pub(super) fn after(&mut self, ran: Duration, jitter: f64) -> Duration {
        if ran >= FORGIVEN_AFTER {
            self.deaths = 0;
        }
        let wait = FIRST
            .saturating_mul(2_u32.saturating_pow(self.deaths))
            .min(LONGEST);
        self.deaths = self.deaths.saturating_add(1);
        wait.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, FIRST, LONGEST};

    #[test]
    fn each_early_death_doubles_the_wait_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.after(Duration::ZERO, 1.0)).collect();
        assert_eq!(waits[0], FIRST);
        assert_eq!(waits[2], FIRST * 4);
        assert_eq!(waits[39], LONGEST);
    }

    #[test]
    fn a_long_run_is_forgiven() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.after(Duration::ZERO, 1.0);
        }
        assert_eq!(backoff.after(Duration::from_mins(1), 1.0), FIRST);
    }

    #[test]
    fn jitter_takes_away_up_to_half() {
        assert_eq!(Backoff::default().after(Duration::ZERO, 0.0), FIRST / 2);
    }
}
