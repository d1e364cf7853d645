//! The sections of `cluster.toml` and their defaults.
//!
//! Durations are written as people write them: `200ms`, `15m`, `30d`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_actors::budget::BudgetOptions;
use holdfast_domain::PaymentProvider;
use holdfast_http::TrustedProxy;
use serde::{Deserialize, Serialize};

use super::rates::RateSettings;
use super::secret::Secret;

/// `[cluster]`: what all nodes share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSettings {
    /// Keeps two clusters that meet by accident apart.
    pub name: String,
    /// Holds the secret by which nodes know each other; made by `holdfast up`
    /// in its data directory if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_file: Option<PathBuf>,
    /// How long an operation may take, retries on other owners included.
    #[serde(with = "humantime_serde")]
    pub operation_budget: Duration,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            name: "holdfast".to_owned(),
            cookie_file: None,
            operation_budget: Duration::from_secs(2),
        }
    }
}

/// `[timeouts]`: starting and stopping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutSettings {
    /// How long a node may take from its start until it is ready.
    #[serde(with = "humantime_serde")]
    pub startup: Duration,
    /// How long a stopping node says that it is not ready before it accepts
    /// no more connections.
    #[serde(with = "humantime_serde")]
    pub drain_notice: Duration,
    /// How long a stopping node hands over shards and finishes requests.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        Self {
            startup: Duration::from_mins(1),
            drain_notice: Duration::from_millis(500),
            drain: Duration::from_secs(3),
        }
    }
}

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

/// `[orders]`: orders and how they are paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrderSettings {
    /// How long an unpaid order holds its stock.
    #[serde(with = "humantime_serde")]
    pub payment_deadline: Duration,
    /// The providers that may be used.
    pub payment_providers: Vec<PaymentProvider>,
}

impl Default for OrderSettings {
    fn default() -> Self {
        Self {
            payment_deadline: Duration::from_mins(15),
            payment_providers: vec![PaymentProvider::Manual, PaymentProvider::Test],
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
    /// Requests in progress on one node; more are answered 503.
    pub max_in_flight: usize,
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
        }
    }
}

impl LimitSettings {
    /// Lists the rates by the names of their fields.
    pub(super) fn rates(&self) -> [(&'static str, RateSettings); 9] {
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

/// `[lane]`: group commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LaneSettings {
    /// Intents in one commit.
    pub max_batch: usize,
    /// Intents that may wait for the next commit.
    pub max_waiting: usize,
}

impl Default for LaneSettings {
    fn default() -> Self {
        Self {
            max_batch: 256,
            max_waiting: 8192,
        }
    }
}

/// `[entities]`: entities held in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EntitySettings {
    /// Entities of one node; above it the least recently used ones leave.
    pub max_resident: usize,
    /// Idleness after which an entity leaves memory.
    #[serde(with = "humantime_serde")]
    pub idle_after: Duration,
    /// Requests to one entity that may be unanswered at a time.
    pub max_in_flight: u32,
}

impl Default for EntitySettings {
    fn default() -> Self {
        Self {
            max_resident: 20_000,
            idle_after: Duration::from_mins(5),
            max_in_flight: 1024,
        }
    }
}

/// `[membership]`: failure detection. It decides how fast the cluster
/// recovers, never whether it is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MembershipSettings {
    /// How often a node renews its heartbeat.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// How long a heartbeat may stand still before its node is suspected.
    #[serde(with = "humantime_serde")]
    pub suspect_after: Duration,
    /// How long a node may be out of reach, though its heart beats,
    /// before this one votes against it.
    #[serde(with = "humantime_serde")]
    pub vote_after: Duration,
}

impl Default for MembershipSettings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(200),
            suspect_after: Duration::from_secs(1),
            vote_after: Duration::from_millis(200),
        }
    }
}

/// `[postgres]`: the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresSettings {
    /// The server; `holdfast up` runs one of its own if absent. Also
    /// `HOLDFAST_DATABASE_URL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// A file that holds the URL, such as a mounted secret; read if there is
    /// no URL otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// Connections of one node's pool.
    pub max_connections: u32,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            max_connections: 16,
        }
    }
}

/// `[nats]`: where events go. Without a URL they stay in the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsSettings {
    /// The servers, divided by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// Holds the credentials, as `nsc` writes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// The authority that signs the servers' certificates, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The stream, which is made if it is missing.
    pub stream: String,
    /// What subjects begin with.
    pub prefix: String,
    /// How many servers keep the stream.
    pub replicas: usize,
    /// For how long the stream keeps events.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            url: None,
            credentials_file: None,
            ca_file: None,
            stream: "HOLDFAST".to_owned(),
            prefix: "holdfast".to_owned(),
            replicas: 1,
            max_age: Duration::from_hours(7 * 24),
        }
    }
}

/// `[link]`: traffic between nodes. TLS is on when all three files are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkSettings {
    /// How long a peer may be silent before it counts as out of reach. A quarter
    /// of it is the pause between keep-alives.
    #[serde(with = "humantime_serde")]
    pub silent_after: Duration,
    /// How long a peer may be silent before its session is dropped.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Calls to one peer that may be unanswered at a time.
    pub max_in_flight: usize,
    /// The authority that signs the nodes' certificates, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
    /// This node's certificate chain, PEM; its name is the node's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            silent_after: Duration::from_millis(600),
            idle_timeout: Duration::from_secs(8),
            max_in_flight: 512,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
        }
    }
}

/// `[mail]`: what is written to customers and sellers. Off unless a relay or a
/// spool is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailSettings {
    /// Who mail is from, as `name@example.com` or `Name <name@example.com>`.
    pub from: String,
    /// The relay; may hold a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_url: Option<Secret>,
    /// Holds the password of the user in `smtp_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_password_file: Option<PathBuf>,
    /// An authority that signed the relay's certificate, besides those of the
    /// system, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_ca: Option<PathBuf>,
    /// How long each step of a conversation with the relay may take.
    #[serde(with = "humantime_serde")]
    pub smtp_timeout: Duration,
    /// Where mail is written instead, a file each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool_dir: Option<PathBuf>,
    /// Files that the spool may hold; while there are more, mail waits.
    pub spool_max: usize,
    /// How often a mail is tried before it becomes a dead letter.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles with each.
    #[serde(with = "humantime_serde")]
    pub retry_first: Duration,
    /// The longest pause.
    #[serde(with = "humantime_serde")]
    pub retry_max: Duration,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            from: "Holdfast <holdfast@localhost>".to_owned(),
            smtp_url: None,
            smtp_password_file: None,
            smtp_ca: None,
            smtp_timeout: Duration::from_secs(10),
            spool_dir: None,
            spool_max: 100_000,
            attempts: 20,
            retry_first: Duration::from_secs(2),
            retry_max: Duration::from_mins(10),
        }
    }
}

/// `[telemetry]`: where traces go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// A collector that takes OTLP over HTTP, such as `http://localhost:4318`;
    /// no spans are exported if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// The share of traces that is exported, from 0 to 1. A trace's id decides,
    /// so that all nodes export the same ones.
    pub sample_ratio: f64,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            sample_ratio: 0.1,
        }
    }
}
