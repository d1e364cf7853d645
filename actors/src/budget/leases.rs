//! What an edge holds of buckets that other nodes own.
//!
//! A lease is a few tokens that are good until a time on this node's own clock, counted from when
//! they were asked for; the owner has taken them off the bucket for good. What is not spent by then
//! is lost to the subject, never spent late. The first lease is as large as the demand that is
//! there; one that is used up before its time is followed by one of twice the size, and one that
//! expires by a smaller one. So a subject that asks rarely loses no tokens, and one that asks often
//! costs few round trips.

use std::time::Duration;

use super::{kept::Kept, policy::Key};
use crate::command::Grant;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is admitted; so many more would be, as far as this node knows.
    Admit { remaining: u32 },
    /// It is refused; one may be admitted after this time.
    Refuse { wait: Duration },
    /// The owner is to be asked for so many tokens, and then this asked again.
    Fetch { wanted: u32 },
    /// The owner is being asked for others; then this is to be asked again.
    Await,
}

/// How leases are made. Times are nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeaseRules {
    /// How long tokens are good.
    pub(super) ttl: u64,
    /// How long an owner may take to answer before somebody else asks.
    pub(super) patience: u64,
}

/// What one edge holds of one bucket. Times are nanoseconds on this node's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lease {
    /// Tokens not yet spent.
    tokens: u32,
    /// How many there were; 0 before the first lease.
    size: u32,
    /// Until when they can be.
    expires: u64,
    /// What the owner had left besides.
    remaining: u32,
    /// When the owner will have more, if it had less than was wanted.
    refused_until: u64,
    /// Until when that is believed without asking again.
    refusal_stands_until: u64,
    /// Since when the owner is being asked.
    asked_at: Option<u64>,
    /// Requests that wait for the answer.
    waiting: u32,
}

impl Lease {
    /// Decides about one request; no lease is to be larger than `largest` unless that many wait.
    pub(super) fn step(&mut self, now: u64, largest: u32, rules: LeaseRules) -> Step {
        if self.tokens > 0 && now < self.expires {
            self.tokens -= 1;
            return Step::Admit {
                remaining: self.remaining.saturating_add(self.tokens),
            };
        }
        if self
            .asked_at
            .is_some_and(|at| now < at.saturating_add(rules.patience))
        {
            self.waiting = self.waiting.saturating_add(1);
            return Step::Await;
        }
        if now < self.refused_until.min(self.refusal_stands_until) {
            return Step::Refuse {
                wait: Duration::from_nanos(self.refused_until - now),
            };
        }
        let wanted = self
            .next_size(now, largest.max(1))
            .max(self.waiting.saturating_add(1));
        self.asked_at = Some(now);
        self.waiting = 0;
        Step::Fetch { wanted }
    }

    fn next_size(&self, now: u64, largest: u32) -> u32 {
        if now < self.expires {
            // Used up before its time; but the last tokens of a bucket are not for one edge alone.
            let fair = largest.min(self.remaining / 2).max(1);
            self.size.saturating_mul(2).clamp(1, fair)
        } else {
            ((self.size - self.tokens) / 2).clamp(1, largest)
        }
    }

    /// Takes what the owner answered to what was asked at `asked_at`. An answer that was given up
    /// is passed over: its tokens are lost.
    pub(super) fn granted(&mut self, asked_at: u64, now: u64, grant: Grant, wanted: u32, rules: LeaseRules) {
        if self.asked_at != Some(asked_at) {
            return;
        }
        self.asked_at = None;
        self.waiting = 0;
        self.tokens = grant.tokens;
        self.size = grant.tokens;
        self.expires = asked_at.saturating_add(rules.ttl);
        self.remaining = grant.remaining;
        if grant.tokens < wanted {
            self.refused_until = now.saturating_add(grant.wait_ns);
            self.refusal_stands_until = now.saturating_add(rules.ttl);
        }
    }

    /// Takes note that the owner did not answer what was asked at `asked_at`.
    pub(super) fn failed(&mut self, asked_at: u64) {
        if self.asked_at == Some(asked_at) {
            self.asked_at = None;
            self.waiting = 0;
        }
    }

    /// Returns the time until which the lease is worth remembering.
    fn worth_until(&self, rules: LeaseRules) -> u64 {
        let asking = self.asked_at.map_or(0, |at| at.saturating_add(rules.patience));
        self.expires
            .max(self.refused_until.min(self.refusal_stands_until))
            .max(asking)
    }
}

/// All leases of an edge, bounded in number.
pub(super) struct Leases {
    kept: Kept<Lease>,
    rules: LeaseRules,
}

impl Leases {
    /// Remembers at most `max` leases.
    pub(super) fn new(max: usize, rules: LeaseRules) -> Self {
        Self {
            kept: Kept::new(max),
            rules,
        }
    }

    /// Decides about one request. See [`Lease::step`].
    pub(super) fn step(&self, key: &Key, now: u64, largest: u32) -> Step {
        self.update(key, |lease| lease.step(now, largest, self.rules))
    }

    /// Takes the owner's answer. See [`Lease::granted`].
    pub(super) fn granted(&self, key: &Key, asked_at: u64, now: u64, grant: Grant, wanted: u32) {
        self.update(key, |lease| {
            lease.granted(asked_at, now, grant, wanted, self.rules);
        });
    }

    /// Takes note that the owner did not answer.
    pub(super) fn failed(&self, key: &Key, asked_at: u64) {
        self.update(key, |lease| lease.failed(asked_at));
    }

    /// Forgets leases that have expired.
    pub(super) fn forget_expired(&self, now: u64) {
        // One that has just expired still tells how large the next should be.
        self.kept.forget_before(now.saturating_sub(self.rules.ttl));
    }

    /// Returns how many leases are remembered.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Estimates the memory that they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.kept.bytes()
    }

    fn update<R>(&self, key: &Key, work: impl FnOnce(&mut Lease) -> R) -> R {
        self.kept.update(key, |until, lease| {
            let result = work(lease);
            *until = lease.worth_until(self.rules);
            result
        })
    }
}
