//! The count of failed logins, over the whole cluster because an account has one owner.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Refusal, Timestamp};

/// Failures within [`LOCKOUT_WINDOW`] that lock an account.
pub const LOCKOUT_FAILURES: u32 = 10;
/// The time within which failures are counted, and for which the account then stays locked.
pub const LOCKOUT_WINDOW: Duration = Duration::from_mins(15);

/// Failed logins of one e-mail address, whether or not it has an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginAttempts {
    /// Failures since `window_started_at`.
    pub failures: u32,
    /// When the first counted failure happened.
    pub window_started_at: Timestamp,
}

impl LoginAttempts {
    /// Starts with no failure.
    pub const fn none() -> Self {
        Self {
            failures: 0,
            window_started_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// Refuses a login while too many have failed or are being tried.
    ///
    /// `in_flight` counts attempts whose outcome is not known yet: without it a burst of parallel
    /// guesses would pass the check together.
    pub fn admit(&self, in_flight: u32, at: Timestamp) -> Result<(), Refusal> {
        let failures = if self.has_lapsed(at) { 0 } else { self.failures };
        if failures.saturating_add(in_flight) < LOCKOUT_FAILURES {
            return Ok(());
        }
        let left = self.window_started_at.plus(LOCKOUT_WINDOW).since(at);
        let retry_after_s = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(1);
        Err(Refusal::AccountLocked { retry_after_s })
    }

    /// Counts a failure.
    pub fn fail(self, at: Timestamp) -> Self {
        if self.has_lapsed(at) {
            Self {
                failures: 1,
                window_started_at: at,
            }
        } else {
            Self {
                failures: self.failures.saturating_add(1),
                ..self
            }
        }
    }

    fn has_lapsed(&self, at: Timestamp) -> bool {
        self.failures == 0 || at.since(self.window_started_at) >= LOCKOUT_WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_micros(1_700_000_000_000_000);

    fn failed(times: u32) -> LoginAttempts {
        (0..times).fold(LoginAttempts::none(), |attempts, _| attempts.fail(START))
    }

    #[test]
    fn ten_failures_lock_and_the_window_unlocks() {
        assert!(failed(9).admit(0, START).is_ok());
        let locked = failed(10).admit(0, START.plus(Duration::from_mins(1)));
        assert_eq!(
            locked,
            Err(Refusal::AccountLocked {
                retry_after_s: 14 * 60
            })
        );
        assert!(failed(10).admit(0, START.plus(LOCKOUT_WINDOW)).is_ok());
    }

    #[test]
    fn parallel_guesses_count_before_they_have_failed() {
        assert!(failed(5).admit(4, START).is_ok());
        assert!(failed(5).admit(5, START).is_err());
    }
}
