//! What clients meet: HTTP, tokens, limits, caches and streams.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_actors::budget::BudgetOptions;
use holdfast_http::TrustedProxy;
use serde::{Deserialize, Serialize};

use crate::config::rates::RateSettings;

/// `[http]`: the edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// The address that nodes without one of their own listen on.
    pub host: IpAddr,
    /// The largest body that is read, in bytes.
    pub body_limit: usize,
    /// How long a request may take from its head to its answer.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How long a client may take to send a request's head.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a connection may rest between requests.
    #[serde(with = "humantime_serde")]
    pub keep_alive_timeout: Duration,
    /// Connections of one listener; more wait to be accepted.
    pub max_connections: usize,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<TrustedProxy>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            host: IpAddr::from([127, 0, 0, 1]),
            body_limit: 256 * 1024,
            request_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(5),
            keep_alive_timeout: Duration::from_secs(75),
            max_connections: 8192,
            trusted_proxies: Vec::new(),
        }
    }
}

/// `[auth]`: tokens and passwords.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
    /// How long an access token is good for.
    #[serde(with = "humantime_serde")]
    pub access_token_ttl: Duration,
    /// How long a refresh token is good for.
    #[serde(with = "humantime_serde")]
    pub refresh_token_ttl: Duration,
    /// Holds the keys that sign access tokens, as `<kid>.pem`; those that the
    /// nodes share in the database if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key_dir: Option<PathBuf>,
    /// Threads that hash passwords; they bound what a login storm can take.
    pub hashing_threads: usize,
    /// Memory of one password hash, in KiB.
    pub argon2_memory_kib: u32,
    /// Passes of one password hash.
    pub argon2_passes: u32,
    /// Lanes of one password hash.
    pub argon2_lanes: u32,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            issuer: "holdfast".to_owned(),
            audience: "holdfast".to_owned(),
            access_token_ttl: Duration::from_mins(10),
            refresh_token_ttl: Duration::from_hours(30 * 24),
            signing_key_dir: None,
            hashing_threads: 2,
            argon2_memory_kib: 19_456,
            argon2_passes: 2,
            argon2_lanes: 1,
        }
    }
}

/// `[limits]`: admission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Whether the edge limits how often clients may ask. What it does at a
    /// time is always bounded.
    pub enabled: bool,
    /// Requests of one kind - reads, changes, sign-ins - in progress on one node;
    /// more are answered 503.
    pub max_in_flight: usize,
    /// How long even the quickest of a tenth of a second's requests may take,
    /// sign-ins left out, before they are too many.
    #[serde(with = "humantime_serde")]
    pub target_delay: Duration,
    /// For how long that has to be so before fewer are let in.
    #[serde(with = "humantime_serde")]
    pub overload_after: Duration,
    /// Budgets that a node remembers; above it those with most left are forgotten.
    pub max_tracked: usize,
    /// How long tokens that a node has drawn from another's budget are good.
    #[serde(with = "humantime_serde")]
    pub lease_ttl: Duration,
    /// How long a request waits for such tokens before its node decides alone.
    #[serde(with = "humantime_serde")]
    pub lease_wait: Duration,
    /// Making accounts, counted by address.
    pub register_by_address: RateSettings,
    /// Signing in, refreshing, changing a password, counted by address.
    pub login_by_address: RateSettings,
    /// Signing in, refreshing, changing a password, counted by caller.
    pub login_by_caller: RateSettings,
    /// Placing and paying orders, counted by address.
    pub orders_by_address: RateSettings,
    /// Placing and paying orders, counted by caller.
    pub orders_by_caller: RateSettings,
    /// All other changes, counted by address.
    pub writes_by_address: RateSettings,
    /// All other changes, counted by caller.
    pub writes_by_caller: RateSettings,
    /// Reads, counted by address.
    pub reads_by_address: RateSettings,
    /// Reads, counted by caller.
    pub reads_by_caller: RateSettings,
    /// Calls of payment providers that none of them has signed, counted by address.
    pub webhooks_by_address: RateSettings,
    /// What payment providers report, counted by provider.
    pub webhooks_by_provider: RateSettings,
}

impl Default for LimitSettings {
    fn default() -> Self {
        let BudgetOptions {
            rates,
            max_tracked,
            lease_ttl,
            lease_wait,
        } = BudgetOptions::default();
        Self {
            enabled: true,
            max_in_flight: 1024,
            target_delay: Duration::from_millis(500),
            overload_after: Duration::from_millis(500),
            max_tracked,
            lease_ttl,
            lease_wait,
            register_by_address: rates.register_by_address.into(),
            login_by_address: rates.login_by_address.into(),
            login_by_caller: rates.login_by_caller.into(),
            orders_by_address: rates.orders_by_address.into(),
            orders_by_caller: rates.orders_by_caller.into(),
            writes_by_address: rates.writes_by_address.into(),
            writes_by_caller: rates.writes_by_caller.into(),
            reads_by_address: rates.reads_by_address.into(),
            reads_by_caller: rates.reads_by_caller.into(),
            webhooks_by_address: rates.webhooks_by_address.into(),
            webhooks_by_provider: rates.webhooks_by_provider.into(),
        }
    }
}

impl LimitSettings {
    /// Lists the rates by the names of their fields.
    pub(in crate::config) fn rates(&self) -> [(&'static str, RateSettings); 11] {
        [
            ("register_by_address", self.register_by_address),
            ("login_by_address", self.login_by_address),
            ("login_by_caller", self.login_by_caller),
            ("orders_by_address", self.orders_by_address),
            ("orders_by_caller", self.orders_by_caller),
            ("writes_by_address", self.writes_by_address),
            ("writes_by_caller", self.writes_by_caller),
            ("reads_by_address", self.reads_by_address),
            ("reads_by_caller", self.reads_by_caller),
            ("webhooks_by_address", self.webhooks_by_address),
            ("webhooks_by_provider", self.webhooks_by_provider),
        ]
    }
}

/// `[cache]`: what an edge keeps of the public catalogue, and of tokens that it has verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSettings {
    /// Whether anything is kept.
    pub enabled: bool,
    /// How much of the catalogue, in bytes: three quarters for products, the
    /// rest for pages of lists.
    pub max_bytes: u64,
    /// How old it may be when it is served.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// Verified access tokens, at most; about 300 bytes each.
    pub tokens: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(1),
            tokens: 10_000,
        }
    }
}

/// `[events]`: streams of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventSettings {
    /// Streams on one node; more are answered 503.
    pub max_streams: usize,
    /// Streams that one user may have on one node; one more is answered 429.
    pub max_streams_per_user: usize,
    /// How often a stream on which nothing happens says that it is there.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self {
            max_streams: 1024,
            max_streams_per_user: 4,
            heartbeat: Duration::from_secs(10),
        }
    }
}
