//! Buckets: how much is left of each budget, by governor's generic cell rate algorithm.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter, clock::Clock, middleware::StateInformationMiddleware, nanos::Nanos, state::StateStore,
};

use super::{
    Policy,
    kept::Kept,
    options::{Rate, Rates},
    policy::Key,
};

/// How often a draw begins anew because others drew on the same bucket meanwhile.
const ATTEMPTS: usize = 3;

/// What was drawn from a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    /// So many tokens, perhaps none.
    pub(super) tokens: u32,
    /// So many are left.
    pub(super) remaining: u32,
    /// When there will be more, if it was less than wanted.
    pub(super) wait: Duration,
}

impl Drawn {
    /// Draws the one token that was wanted.
    pub(super) const fn one(remaining: u32) -> Self {
        Self {
            tokens: 1,
            remaining,
            wait: Duration::ZERO,
        }
    }

    /// Draws nothing: there will be a token after `wait`.
    pub(super) const fn nothing(wait: Duration) -> Self {
        Self {
            tokens: 0,
            remaining: 0,
            wait,
        }
    }
}

/// Buckets of all policies, in one bounded store.
pub(super) struct Buckets<C: Clock<Instant = Nanos>> {
    levels: Arc<Kept<()>>,
    by_policy: Vec<Limiter<C>>,
    clock: C,
}

struct Limiter<C: Clock<Instant = Nanos>> {
    rate: Rate,
    governor: RateLimiter<Key, Levels, C, StateInformationMiddleware>,
}

/// The levels, as governor keeps them: for each bucket the time at which it is full again.
#[derive(Clone)]
struct Levels(Arc<Kept<()>>);

impl StateStore for Levels {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.update(key, |full_at, ()| {
            let known = (*full_at > 0).then(|| Nanos::from(*full_at));
            let (outcome, next) = decide(known)?;
            *full_at = next.as_u64();
            Ok(outcome)
        })
    }
}

impl<C: Clock<Instant = Nanos> + Clone> Buckets<C> {
    /// Makes full buckets of these rates, of which at most `max` are remembered.
    pub(super) fn new(rates: &Rates, max: usize, clock: &C) -> Self {
        let levels = Arc::new(Kept::new(max));
        let limiter = |policy: Policy| {
            let rate = rates.of(policy);
            let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::with_period(rate.interval()).map(|quota| quota.allow_burst(burst));
            Limiter {
                rate,
                governor: RateLimiter::new(
                    // An interval is longer than nothing.
                    quota.unwrap_or_else(|| Quota::per_second(burst)),
                    Levels(Arc::clone(&levels)),
                    clock.clone(),
                ),
            }
        };
        Self {
            by_policy: Policy::all().map(limiter).collect(),
            levels,
            clock: clock.clone(),
        }
    }

    /// Draws as many tokens as there are, up to `wanted`.
    pub(super) fn draw_up_to(&self, key: &Key, wanted: u32) -> Drawn {
        let interval = self.limiter(key).rate.interval();
        let burst = self.limiter(key).rate.burst.max(1);
        let mut asked = wanted.clamp(1, burst);
        let mut wait = if asked < wanted { interval } else { Duration::ZERO };
        for _ in 0..ATTEMPTS {
            match self.draw(key, asked) {
                Ok(remaining) => {
                    return Drawn {
                        tokens: asked,
                        remaining,
                        wait,
                    };
                }
                Err(until_asked) => {
                    // So many of those asked for are yet to come; the first of them comes after:
                    let missing = div_ceil(until_asked, interval).clamp(1, asked);
                    wait = until_asked.saturating_sub(interval * (missing - 1));
                    asked -= missing;
                    if asked == 0 {
                        break;
                    }
                }
            }
        }
        Drawn::nothing(wait)
    }

    /// Draws `cost` tokens for one request, or none.
    pub(super) fn draw_whole(&self, key: &Key, cost: u32) -> Drawn {
        let cost = cost.clamp(1, self.limiter(key).rate.burst.max(1));
        match self.draw(key, cost) {
            Ok(remaining) => Drawn::one(remaining / cost),
            Err(wait) => Drawn::nothing(wait),
        }
    }

    /// Draws `count` tokens and returns how many are left; else, when there will be as many.
    fn draw(&self, key: &Key, count: u32) -> Result<u32, Duration> {
        let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let limiter = self.limiter(key);
        match limiter.governor.check_key_n(key, count) {
            Ok(Ok(state)) => Ok(state.remaining_burst_capacity()),
            Ok(Err(not_until)) => Err(not_until
                .wait_time_from(self.clock.now())
                .max(Duration::from_nanos(1))),
            // Callers ask for no more than a burst.
            Err(_) => Err(limiter.rate.interval()),
        }
    }

    /// Forgets the buckets that are full: a new one is no different.
    pub(super) fn forget_full(&self) {
        self.levels.forget_before(self.clock.now().as_u64());
    }

    /// Returns how many buckets are remembered.
    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    /// Estimates the memory that they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.levels.bytes()
    }

    fn limiter(&self, key: &Key) -> &Limiter<C> {
        // There is one for each policy.
        &self.by_policy[key.policy().index()]
    }
}

/// Returns how many times `unit` it takes to make up `time`.
fn div_ceil(time: Duration, unit: Duration) -> u32 {
    let count = time.as_nanos().div_ceil(unit.as_nanos().max(1));
    u32::try_from(count).unwrap_or(u32::MAX)
}
