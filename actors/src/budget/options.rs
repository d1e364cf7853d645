//! How much may be asked.

use std::time::Duration;

use super::{Class, Policy, Scope};

/// How often something may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many requests; at least 1.
    pub requests: u32,
    /// In this time; longer than nothing.
    pub per: Duration,
    /// How many may come at once, after a pause; at least 1.
    pub burst: u32,
}

impl Rate {
    /// Makes a rate of `requests` in a minute.
    pub const fn per_minute(requests: u32, burst: u32) -> Self {
        Self {
            requests,
            per: Duration::from_mins(1),
            burst,
        }
    }

    /// Returns the time in which one more request is allowed.
    pub fn interval(&self) -> Duration {
        (self.per / self.requests.max(1)).max(Duration::from_nanos(1))
    }

    /// Returns the time in which a bucket that holds `remaining` is whole again.
    pub(super) fn whole_after(&self, remaining: u32) -> Duration {
        self.interval() * self.burst.saturating_sub(remaining)
    }
}

/// The rate of each class of calls, counted by address and by caller.
///
/// Addresses have much more than callers: a whole office may share one. With webhooks it is the other way
/// round: a provider reports for the whole shop, and its address is counted only for what nobody has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub struct Rates {
    pub register_by_address: Rate,
    pub login_by_address: Rate,
    pub login_by_caller: Rate,
    pub orders_by_address: Rate,
    pub orders_by_caller: Rate,
    pub writes_by_address: Rate,
    pub writes_by_caller: Rate,
    pub reads_by_address: Rate,
    pub reads_by_caller: Rate,
    pub webhooks_by_address: Rate,
    pub webhooks_by_provider: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            register_by_address: Rate::per_minute(30, 30),
            login_by_address: Rate::per_minute(120, 60),
            login_by_caller: Rate::per_minute(10, 10),
            orders_by_address: Rate::per_minute(1_200, 300),
            orders_by_caller: Rate::per_minute(120, 60),
            writes_by_address: Rate::per_minute(2_400, 600),
            writes_by_caller: Rate::per_minute(600, 200),
            reads_by_address: Rate::per_minute(12_000, 3_000),
            reads_by_caller: Rate::per_minute(1_800, 600),
            webhooks_by_address: Rate::per_minute(120, 60),
            webhooks_by_provider: Rate::per_minute(30_000, 6_000),
        }
    }
}

impl Rates {
    /// Returns a policy's rate. Nobody who registers is signed in; were they, the address's rate
    /// would be theirs.
    pub(super) fn of(&self, policy: Policy) -> Rate {
        match (policy.class, policy.scope) {
            (Class::Register, _) => self.register_by_address,
            (Class::Login, Scope::Address) => self.login_by_address,
            (Class::Login, Scope::Caller) => self.login_by_caller,
            (Class::Orders, Scope::Address) => self.orders_by_address,
            (Class::Orders, Scope::Caller) => self.orders_by_caller,
            (Class::Writes, Scope::Address) => self.writes_by_address,
            (Class::Writes, Scope::Caller) => self.writes_by_caller,
            (Class::Reads, Scope::Address) => self.reads_by_address,
            (Class::Reads, Scope::Caller) => self.reads_by_caller,
            (Class::Webhooks, Scope::Address) => self.webhooks_by_address,
            (Class::Webhooks, Scope::Caller) => self.webhooks_by_provider,
        }
    }
}

/// How a node budgets requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetOptions {
    /// How often each class of calls may be asked.
    pub rates: Rates,
    /// Buckets that a node remembers; and as many leases, and shares.
    pub max_tracked: usize,
    /// How long the tokens of a lease are good.
    pub lease_ttl: Duration,
    /// How long a request may wait for a lease before it is decided by this node's share.
    pub lease_wait: Duration,
}

impl Default for BudgetOptions {
    fn default() -> Self {
        Self {
            rates: Rates::default(),
            max_tracked: 100_000,
            lease_ttl: Duration::from_secs(1),
            lease_wait: Duration::from_millis(25),
        }
    }
}
