//! What is let in and what is turned away, of one kind of requests.
//!
//! The measured signal is the delay from a request's head to its answer, most of which is waiting once
//! there is more to do than can be done. As in `CoDel` (RFC 8289) it is the *least* delay of a window
//! that tells a queue that stands from one that comes and goes: one quick answer proves that there was
//! no queue. Requests that are in progress are the queue - they wait at entities, links and the lane,
//! where many waiting make large batches - so what is controlled is their number. Nobody waits to be let in:
//! a refusal is made at once.
//!
//! - Has the least delay been above its target for long enough, the limit is set to what would have met the
//!   target, then held until those let in before have been answered. Below it the limit grows, by the same
//!   amount each time.
//! - Room is shared as by dynamic thresholds (Choudhury and Hahne, 1998): a caller may hold
//!   [`SHARE`] times what is free. One caller alone gets nearly all of the limit, several get equal parts. Whoever
//!   holds less than an equal part may go beyond the limit by a part of it, for which the others then wait.
//!
//! No clock of its own: time comes in as a duration since some beginning.
//!
//! *Invariant*: no more are in progress than `max`, and only callers with requests in progress are
//! remembered. Whoever is let in while holding so many requests would have been let in with fewer.

use std::{collections::HashMap, hash::Hash, time::Duration};

/// What a caller may hold, in times what is free.
const SHARE: usize = 8;
/// Who holds little may go beyond the limit by one part of so many.
const RESERVE: usize = 3;
/// Requests in progress that are never too many, whatever their delay.
const FLOOR: usize = 64;
/// How long delays are looked at together.
const WINDOW: Duration = Duration::from_millis(100);
/// Windows in which a limit would grow from nothing to the most that is allowed, were it not small at first.
const WINDOWS_TO_GROW: f64 = 64.0;
/// A limit that is small grows by one part of so many at most.
const GROWTH: f64 = 16.0;
/// The least that is left of a limit that is lowered.
const KEPT_AT_LEAST: f64 = 0.5;
/// The most that is left of it.
const KEPT_AT_MOST: f64 = 0.9;
/// Refused requests are spread over the time in which they could have been served, in steps of this length.
const SECOND: Duration = Duration::from_secs(1);
/// Nobody is told to stay away for longer, in seconds.
const RETRY_AFTER_MAX_S: usize = 30;

/// What an operator decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GateOptions {
    /// Requests in progress at most.
    pub(crate) max: usize,
    /// The least delay that is too long; `None`: delays are not looked at.
    pub(crate) target: Option<Duration>,
    /// For how long it has to be too long.
    pub(crate) overload_after: Duration,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// As many are in progress as can be answered in time.
    Full,
    /// Its caller holds more than a fair share.
    Share,
}

/// What is decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is let in; [`Gate::end`] has to be told of its end.
    Admitted,
    /// It is turned away.
    Refused {
        /// Why.
        why: Why,
        /// When it should come back, in seconds.
        retry_after_s: u32,
    },
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was carried out: its delay is that of the work.
    Served,
    /// Anything else, which says nothing if it came quickly.
    Other,
}

/// What a gate has done, and how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct GateState {
    /// Requests that were let in.
    pub(crate) admitted: u64,
    /// Requests that were refused because too many were in progress.
    pub(crate) full: u64,
    /// Requests that were refused because their caller held too many.
    pub(crate) share: u64,
    /// Requests in progress.
    pub(crate) in_progress: usize,
    /// How many there may be.
    pub(crate) limit: usize,
    /// The least delay of the last window in which there were answers; zero once nothing was asked.
    pub(crate) delay: Duration,
}

/// Decides about requests of one kind.
#[derive(Debug)]
pub(crate) struct Gate<K> {
    options: GateOptions,
    limit: f64,
    in_progress: usize,
    held: HashMap<K, usize>,
    window: Window,
    /// For how long the least delay has been above the target, in windows in which there were answers.
    above_for: Duration,
    /// Until when the limit stays as it is: its last change does not show before.
    held_until: Duration,
    second: Second,
    delay: Duration,
    admitted: u64,
    full: u64,
    share: u64,
}

/// What happened in a window.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    began: Duration,
    least: Option<Duration>,
    most_in_progress: usize,
}

/// What happened in a second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    began: Duration,
    served: usize,
    served_before: usize,
    refused: usize,
}

impl<K: Eq + Hash + Clone> Gate<K> {
    /// Makes a gate that has let nobody in, at time zero.
    pub(crate) fn new(options: GateOptions) -> Self {
        let options = GateOptions {
            max: options.max.max(1),
            ..options
        };
        Self {
            limit: to_f64(options.max),
            options,
            in_progress: 0,
            held: HashMap::new(),
            window: Window::default(),
            above_for: Duration::ZERO,
            held_until: Duration::ZERO,
            second: Second::default(),
            delay: Duration::ZERO,
            admitted: 0,
            full: 0,
            share: 0,
        }
    }

    /// Decides about a request of `caller`.
    pub(crate) fn arrive(&mut self, now: Duration, caller: &K) -> Decision {
        self.turn(now);
        let limit = to_usize(self.limit);
        let held = self.held.get(caller).copied().unwrap_or_default();
        let holds_little = held * self.held.len() < limit;
        let limit = if holds_little {
            (limit + limit / RESERVE).min(self.options.max)
        } else {
            limit
        };
        let free = limit.saturating_sub(self.in_progress);
        if free == 0 {
            self.full += 1;
            return self.refuse(Why::Full);
        }
        if held >= free.saturating_mul(SHARE) {
            self.share += 1;
            return self.refuse(Why::Share);
        }
        self.in_progress += 1;
        self.admitted += 1;
        self.window.most_in_progress = self.window.most_in_progress.max(self.in_progress);
        *self.held.entry(caller.clone()).or_default() += 1;
        Decision::Admitted
    }

    /// Takes the end of a request of `caller` that was let in `delay` ago.
    pub(crate) fn end(&mut self, now: Duration, caller: &K, delay: Duration, outcome: Outcome) {
        self.turn(now);
        self.in_progress = self.in_progress.saturating_sub(1);
        if let Some(held) = self.held.get_mut(caller) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(caller);
            }
        }
        if outcome == Outcome::Served {
            self.second.served += 1;
        }
        let is_slow = self.options.target.is_some_and(|target| delay > target);
        if is_slow || outcome == Outcome::Served {
            let least = self.window.least.get_or_insert(delay);
            *least = delay.min(*least);
        }
    }

    /// Returns how it stands.
    pub(crate) fn state(&mut self, now: Duration) -> GateState {
        self.turn(now);
        GateState {
            admitted: self.admitted,
            full: self.full,
            share: self.share,
            in_progress: self.in_progress,
            limit: to_usize(self.limit),
            delay: self.delay,
        }
    }

    /// Spreads those who are refused over the time in which they could have been served.
    fn refuse(&mut self, why: Why) -> Decision {
        let second = &mut self.second;
        let per_second = second
            .served_before
            .max(second.served)
            .max(self.in_progress)
            .max(1);
        let seconds = 1 + second.refused / per_second;
        second.refused += 1;
        Decision::Refused {
            why,
            retry_after_s: u32::try_from(seconds.min(RETRY_AFTER_MAX_S)).unwrap_or(u32::MAX),
        }
    }

    /// Begins what is due at `now`.
    fn turn(&mut self, now: Duration) {
        if now.saturating_sub(self.second.began) >= SECOND {
            self.second = Second {
                began: now,
                served_before: self.second.served,
                ..Second::default()
            };
        }
        if now.saturating_sub(self.window.began) >= WINDOW {
            self.judge(now);
        }
    }

    /// Judges the window, and begins the next one.
    fn judge(&mut self, now: Duration) {
        let window = std::mem::replace(
            &mut self.window,
            Window {
                began: now,
                most_in_progress: self.in_progress,
                ..Window::default()
            },
        );
        let length = now.saturating_sub(window.began);
        let is_rest = window.most_in_progress == 0 || (self.in_progress == 0 && length >= 2 * WINDOW);
        let kept = if is_rest {
            // Whatever stood has gone.
            (self.delay, self.above_for) = (Duration::ZERO, Duration::ZERO);
            None
        } else {
            self.kept(&window)
        };
        if now < self.held_until {
            return;
        }
        if let Some(kept) = kept {
            self.lower(window.most_in_progress, kept);
            self.held_until = now + self.delay;
        } else if self.above_for.is_zero() {
            let windows = length.as_secs_f64() / WINDOW.as_secs_f64();
            let max = to_f64(self.options.max);
            let step = (max / WINDOWS_TO_GROW).min(self.limit / GROWTH).max(1.0);
            self.limit = (self.limit + step * windows).min(max);
        }
    }

    /// Tells which part of what was in progress would have been answered in time, if a queue has stood for
    /// long enough. A window without answers tells nothing.
    fn kept(&mut self, window: &Window) -> Option<f64> {
        let least = window.least?;
        self.delay = least;
        let target = self.options.target?;
        if least <= target {
            self.above_for = Duration::ZERO;
            return None;
        }
        self.above_for += WINDOW;
        let kept = target.as_secs_f64() / least.as_secs_f64();
        (self.above_for >= self.options.overload_after).then_some(kept.clamp(KEPT_AT_LEAST, KEPT_AT_MOST))
    }

    fn lower(&mut self, in_progress: usize, kept: f64) {
        let floor = to_f64(FLOOR.min(self.options.max));
        let lowered = self.limit.min(to_f64(in_progress)) * kept;
        self.limit = lowered.max(floor).min(self.limit);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "requests in progress stay far below 2^52"
)]
fn to_f64(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a limit is between 1 and what an operator may set"
)]
fn to_usize(limit: f64) -> usize {
    limit as usize
}

#[cfg(test)]
mod tests;
