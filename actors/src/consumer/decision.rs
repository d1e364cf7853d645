//! What becomes of a task after an attempt: decided without a clock or a database.

use std::time::Duration;

use crate::mail::MailOptions;

/// How an attempt went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may go better later.
    ForNow(String),
    /// It will not.
    ForGood(String),
}

/// What becomes of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is over.
    Done,
    /// It is tried again after a pause.
    Again(String, Duration),
    /// It is given up.
    Dead(String),
}

/// Decides what becomes of a task after attempt `number`; `jitter` is drawn from `0.0..1.0`.
pub(super) fn next(outcome: Result<(), Failure>, number: u32, options: &MailOptions, jitter: f64) -> Next {
    match outcome {
        Ok(()) => Next::Done,
        Err(Failure::ForGood(why)) => Next::Dead(why),
        Err(Failure::ForNow(why)) if number >= options.attempts => Next::Dead(why),
        Err(Failure::ForNow(why)) => Next::Again(why, pause(number, options, jitter)),
    }
}

/// Returns the pause after attempt `number`: doubled with each, within half to one and a half of it.
fn pause(number: u32, options: &MailOptions, jitter: f64) -> Duration {
    let doubled = 2_u32.checked_pow(number.saturating_sub(1));
    let pause = doubled
        .and_then(|times| options.retry_first.checked_mul(times))
        .map_or(options.retry_max, |pause| pause.min(options.retry_max));
    pause.mul_f64(0.5 + jitter)
}
