//! What can be set about an edge.

use std::{path::PathBuf, time::Duration};

use holdfast_domain::{PaymentProvider, account::ACCESS_TOKEN_TTL_MAX};

use crate::{payment::WebhookKeys, request::TrustedProxy};

/// The settings of an edge.
#[derive(Clone, Debug)]
pub struct EdgeOptions {
    /// The largest body that is read, in bytes.
    pub body_limit: usize,
    /// How long a client may take to send a request's head.
    pub header_timeout: Duration,
    /// How long a request may take from its head to its answer.
    pub request_timeout: Duration,
    /// How long a connection may rest between requests.
    pub keep_alive_timeout: Duration,
    /// How long the cluster may take over a call, retries on other owners included.
    pub operation_budget: Duration,
    /// Connections of one listener; more wait to be accepted.
    pub max_connections: usize,
    /// Requests of one kind - reads, changes, sign-ins - in progress on the API's listener, above which
    /// they are answered 503.
    pub max_in_flight: usize,
    /// The least delay of a tenth of a second that is too long, but for sign-ins. Has it been for
    /// `overload_after`, fewer requests are let in.
    pub target_delay: Duration,
    /// See `target_delay`.
    pub overload_after: Duration,
    /// Streams of events on this node; more are answered 503.
    pub max_event_streams: usize,
    /// Streams of events that one user may have on this node; one more is answered 429.
    pub max_event_streams_per_user: usize,
    /// How often a stream on which nothing happens says that it is there.
    pub event_heartbeat: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// The `iss` claim of access tokens.
    pub issuer: String,
    /// The `aud` claim of access tokens.
    pub audience: String,
    /// How long an access token is good for; at most [`ACCESS_TOKEN_TTL_MAX`].
    pub access_token_ttl: Duration,
    /// How long a refresh token is good for; the sessions' owners must be told the same.
    pub refresh_token_ttl: Duration,
    /// Access tokens whose verification is remembered; 0: none.
    pub tokens_kept: u64,
    /// Holds the signing keys as `<kid>.pem` (PKCS#8, Ed25519), of which the last by name signs;
    /// `None`: the keys that the nodes share in the database.
    pub signing_key_dir: Option<PathBuf>,
    /// The payment providers that may be used.
    pub payment_providers: Vec<PaymentProvider>,
    /// The keys of the providers that may report payments.
    pub payment_webhooks: Vec<WebhookKeys>,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            body_limit: 256 * 1024,
            header_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(75),
            operation_budget: Duration::from_secs(2),
            max_connections: 8192,
            max_in_flight: 1024,
            target_delay: Duration::from_millis(500),
            overload_after: Duration::from_millis(500),
            max_event_streams: 1024,
            max_event_streams_per_user: 4,
            event_heartbeat: Duration::from_secs(10),
            trusted_proxies: Vec::new(),
            issuer: "holdfast".to_owned(),
            audience: "holdfast".to_owned(),
            access_token_ttl: ACCESS_TOKEN_TTL_MAX,
            refresh_token_ttl: Duration::from_hours(30 * 24),
            tokens_kept: 10_000,
            signing_key_dir: None,
            payment_providers: vec![PaymentProvider::Manual, PaymentProvider::Test],
            payment_webhooks: Vec::new(),
        }
    }
}
