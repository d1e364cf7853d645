//! Rules between settings, and bounds that types do not express.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use holdfast_actors::{mail, wire};
use holdfast_domain::account::ACCESS_TOKEN_TTL_MAX;

use super::error::{Place, Violation};
use super::secret::Secret;
use super::{Config, Role};

/// The most nodes a cluster may have.
const MAX_NODES: usize = 64;
/// Heartbeats that must fit into the suspicion time: fewer would let one slow
/// poll look like a death.
const MIN_HEARTBEATS_TO_SUSPECT: u32 = 4;

/// The least that caches are given, in bytes: less would hold hardly anything.
const MIN_CACHE_BYTES: u64 = 1 << 20;
/// The longest that anything may be served from a cache.
const MAX_CACHE_AGE: Duration = Duration::from_mins(1);
/// The most requests that a rate may name; more is no limit.
const MAX_REQUESTS: u32 = 1_000_000;
/// The longest time that a rate may name.
const MAX_RATE_PERIOD: Duration = Duration::from_hours(24);
/// The longest time that a lease may last: so much later than it was drawn is a token spent.
const MAX_LEASE_TTL: Duration = Duration::from_secs(10);
/// The longest time that a request may wait for its budget.
const MAX_LEASE_WAIT: Duration = Duration::from_millis(100);

/// The shortest secret of a payment provider: one that can be guessed proves nothing.
pub(crate) const WEBHOOK_SECRET_MIN_CHARS: usize = 16;

/// A broken rule, before it is known where the value came from.
pub(super) struct Broken {
    pub(super) field: String,
    message: String,
}

impl Broken {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }

    pub(super) fn at(self, place: Place) -> Violation {
        Violation::InFile(place, self.message)
    }

    pub(super) fn at_variable(self, variable: &str) -> Violation {
        Violation::InVariable(variable.to_owned(), self.message)
    }
}

/// Lists every rule that `config` breaks.
pub(super) fn check(config: &Config) -> Vec<Broken> {
    let mut broken = Vec::new();
    bounds(config, &mut broken);
    durations(config, &mut broken);
    cache(config, &mut broken);
    payment_webhooks(config, &mut broken);
    rates(config, &mut broken);
    tls(config, &mut broken);
    mail_rules(config, &mut broken);
    nats(config, &mut broken);
    telemetry(config, &mut broken);
    nodes(config, &mut broken);
    broken
}

fn cache(config: &Config, broken: &mut Vec<Broken>) {
    if config.cache.max_bytes < MIN_CACHE_BYTES {
        let message = format!("must be at least {MIN_CACHE_BYTES}; `enabled = false` keeps nothing");
        broken.push(Broken::new("cache.max_bytes", message));
    }
    if config.cache.max_age.is_zero() || config.cache.max_age > MAX_CACHE_AGE {
        let message = "must be more than 0 and at most a minute; `enabled = false` keeps nothing";
        broken.push(Broken::new("cache.max_age", message));
    }
}

fn bounds(config: &Config, broken: &mut Vec<Broken>) {
    if config.cluster.name.is_empty() {
        broken.push(Broken::new("cluster.name", "must not be empty"));
    }
    let at_least_one = [
        ("http.body_limit", config.http.body_limit),
        ("http.max_connections", config.http.max_connections),
        ("auth.hashing_threads", config.auth.hashing_threads),
        ("limits.max_in_flight", config.limits.max_in_flight),
        ("limits.max_tracked", config.limits.max_tracked),
        ("events.max_streams", config.events.max_streams),
        ("events.max_streams_per_user", config.events.max_streams_per_user),
        ("lane.max_batch", config.lane.max_batch),
        ("link.max_in_flight", config.link.max_in_flight),
        ("entities.max_resident", config.entities.max_resident),
        ("mail.spool_max", config.mail.spool_max),
    ];
    for (field, value) in at_least_one {
        if value == 0 {
            broken.push(Broken::new(field, "must be at least 1"));
        }
    }
    let spoken = wire::OLDEST_VERSION..=wire::NEWEST_VERSION;
    if !spoken.contains(&config.link.wire_version) {
        let message = format!("must be from {} to {}", spoken.start(), spoken.end());
        broken.push(Broken::new("link.wire_version", message));
    }
    if config.entities.max_in_flight == 0 {
        broken.push(Broken::new("entities.max_in_flight", "must be at least 1"));
    }
    if config.lane.max_waiting < config.lane.max_batch {
        broken.push(Broken::new(
            "lane.max_waiting",
            "must not be less than lane.max_batch",
        ));
    }
    // Two for batches, one for what is found by key, and one for all else.
    if config.postgres.max_connections < 4 {
        broken.push(Broken::new("postgres.max_connections", "must be at least 4"));
    }
    let argon2 = &config.auth;
    if argon2.argon2_passes == 0 {
        broken.push(Broken::new("auth.argon2_passes", "must be at least 1"));
    }
    if argon2.argon2_lanes == 0 {
        broken.push(Broken::new("auth.argon2_lanes", "must be at least 1"));
    }
    let least_kib = 8 * argon2.argon2_lanes.max(1);
    if argon2.argon2_memory_kib < least_kib {
        broken.push(Broken::new(
            "auth.argon2_memory_kib",
            format!("must be at least {least_kib}, 8 for each lane"),
        ));
    }
}

fn durations(config: &Config, broken: &mut Vec<Broken>) {
    let positive = [
        ("cluster.operation_budget", config.cluster.operation_budget),
        ("timeouts.startup", config.timeouts.startup),
        ("timeouts.drain", config.timeouts.drain),
        ("http.request_timeout", config.http.request_timeout),
        ("http.header_timeout", config.http.header_timeout),
        ("http.keep_alive_timeout", config.http.keep_alive_timeout),
        ("auth.access_token_ttl", config.auth.access_token_ttl),
        ("orders.payment_deadline", config.orders.payment_deadline),
        ("events.heartbeat", config.events.heartbeat),
        ("entities.idle_after", config.entities.idle_after),
        ("limits.target_delay", config.limits.target_delay),
        ("limits.overload_after", config.limits.overload_after),
        ("limits.lease_ttl", config.limits.lease_ttl),
        ("limits.lease_wait", config.limits.lease_wait),
        ("membership.heartbeat", config.membership.heartbeat),
        ("membership.vote_after", config.membership.vote_after),
        ("link.silent_after", config.link.silent_after),
        ("link.idle_timeout", config.link.idle_timeout),
        ("mail.smtp_timeout", config.mail.smtp_timeout),
        ("mail.retry_first", config.mail.retry_first),
    ];
    for (field, value) in positive {
        if value == Duration::ZERO {
            broken.push(Broken::new(field, "must be longer than nothing"));
        }
    }
    if config.auth.access_token_ttl > ACCESS_TOKEN_TTL_MAX {
        broken.push(Broken::new(
            "auth.access_token_ttl",
            format!(
                "must be at most {} s: changes of access are remembered that long",
                ACCESS_TOKEN_TTL_MAX.as_secs()
            ),
        ));
    }
    if config.auth.refresh_token_ttl <= config.auth.access_token_ttl {
        broken.push(Broken::new(
            "auth.refresh_token_ttl",
            "must be longer than auth.access_token_ttl",
        ));
    }
    if config.http.request_timeout < config.cluster.operation_budget {
        broken.push(Broken::new(
            "http.request_timeout",
            "must not be shorter than cluster.operation_budget",
        ));
    }
    let least = config.membership.heartbeat * MIN_HEARTBEATS_TO_SUSPECT;
    if config.membership.suspect_after < least {
        broken.push(Broken::new(
            "membership.suspect_after",
            format!("must be at least {MIN_HEARTBEATS_TO_SUSPECT} times membership.heartbeat"),
        ));
    }
}

fn rates(config: &Config, broken: &mut Vec<Broken>) {
    for (name, rate) in config.limits.rates() {
        let mut refuse = |what: &str| {
            broken.push(Broken::new(format!("limits.{name}"), what));
        };
        let counts = 1..=MAX_REQUESTS;
        if !counts.contains(&rate.requests) || !counts.contains(&rate.burst) {
            refuse("requests and burst must be between 1 and 1000000");
        }
        let is_whole = rate.per.subsec_nanos() == 0;
        if !is_whole || rate.per.is_zero() || rate.per > MAX_RATE_PERIOD {
            refuse("per must be whole seconds, from 1 s to a day");
        }
    }
    let at_most = [
        ("limits.lease_ttl", config.limits.lease_ttl, MAX_LEASE_TTL),
        ("limits.lease_wait", config.limits.lease_wait, MAX_LEASE_WAIT),
    ];
    for (field, value, most) in at_most {
        if value > most {
            broken.push(Broken::new(
                field,
                format!("must be at most {} ms", most.as_millis()),
            ));
        }
    }
}

fn tls(config: &Config, broken: &mut Vec<Broken>) {
    let files = [
        ("link.tls_ca", config.link.tls_ca.is_some()),
        ("link.tls_cert", config.link.tls_cert.is_some()),
        ("link.tls_key", config.link.tls_key.is_some()),
    ];
    if files.iter().all(|(_, given)| !given) {
        return;
    }
    for (field, given) in files {
        if !given {
            broken.push(Broken::new(
                field,
                "must be given: tls_ca, tls_cert and tls_key go together",
            ));
        }
    }
}

fn payment_webhooks(config: &Config, broken: &mut Vec<Broken>) {
    let mut secrets = config.orders.payment_webhook_secrets.values();
    if secrets.any(|secret| secret.reveal().len() < WEBHOOK_SECRET_MIN_CHARS) {
        broken.push(Broken::new(
            "orders.payment_webhook_secrets",
            format!("must be of at least {WEBHOOK_SECRET_MIN_CHARS} characters"),
        ));
    }
    let secrets = config.orders.payment_webhook_secrets.values();
    let different: BTreeSet<&str> = secrets.map(Secret::reveal).collect();
    if different.len() < config.orders.payment_webhook_secrets.len() {
        broken.push(Broken::new(
            "orders.payment_webhook_secrets",
            "must be another one for each provider: what one signs would pass for the other's",
        ));
    }
}

fn mail_rules(config: &Config, broken: &mut Vec<Broken>) {
    let settings = &config.mail;
    if let Err(error) = mail::check_sender(&settings.from) {
        broken.push(Broken::new("mail.from", error.to_string()));
    }
    if settings.attempts == 0 {
        broken.push(Broken::new("mail.attempts", "must be at least 1"));
    }
    if settings.retry_max < settings.retry_first {
        broken.push(Broken::new(
            "mail.retry_max",
            "must not be shorter than mail.retry_first",
        ));
    }
    let Some(url) = &settings.smtp_url else {
        for (field, given) in [
            ("mail.smtp_password_file", settings.smtp_password_file.is_some()),
            ("mail.smtp_ca", settings.smtp_ca.is_some()),
        ] {
            if given {
                broken.push(Broken::new(field, "is of no use without mail.smtp_url"));
            }
        }
        return;
    };
    if let Err(error) = mail::check_smtp_url(url.reveal(), settings.smtp_password_file.is_some()) {
        broken.push(Broken::new("mail.smtp_url", error.to_string()));
    }
    if settings.spool_dir.is_some() {
        broken.push(Broken::new(
            "mail.spool_dir",
            "must not be given beside mail.smtp_url",
        ));
    }
}

fn nats(config: &Config, broken: &mut Vec<Broken>) {
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    for (field, value) in [
        ("nats.stream", &config.nats.stream),
        ("nats.prefix", &config.nats.prefix),
    ] {
        if !is_token(value) {
            broken.push(Broken::new(field, "must be letters, digits, `-` and `_`"));
        }
    }
    if !(1..=5).contains(&config.nats.replicas) {
        broken.push(Broken::new("nats.replicas", "must be from 1 to 5"));
    }
    if config.nats.max_age < Duration::from_mins(2) {
        broken.push(Broken::new("nats.max_age", "must be at least 2 minutes"));
    }
}

fn telemetry(config: &Config, broken: &mut Vec<Broken>) {
    let is_http = |endpoint: &String| {
        let host = endpoint.strip_prefix("http://");
        host.is_some_and(|host| !host.is_empty() && !host.starts_with('/') && !host.contains(['@', '?', '#']))
    };
    if config
        .telemetry
        .otlp_endpoint
        .as_ref()
        .is_some_and(|endpoint| !is_http(endpoint))
    {
        broken.push(Broken::new(
            "telemetry.otlp_endpoint",
            "must be http://host:port, a collector nearby; it does not take TLS or credentials",
        ));
    }
    if !(0.0..=1.0).contains(&config.telemetry.sample_ratio) {
        broken.push(Broken::new("telemetry.sample_ratio", "must be between 0 and 1"));
    }
}

fn nodes(config: &Config, broken: &mut Vec<Broken>) {
    if config.nodes.is_empty() || config.nodes.len() > MAX_NODES {
        broken.push(Broken::new("nodes", format!("must be between 1 and {MAX_NODES}")));
    }
    let mut names = HashSet::new();
    let mut addresses: HashSet<SocketAddr> = HashSet::new();
    for (index, node) in config.nodes.iter().enumerate() {
        if !is_node_name(&node.name) {
            broken.push(Broken::new(
                format!("nodes[{index}].name"),
                "must be 1 to 63 lower-case letters, digits or hyphens, and begin with a letter",
            ));
        }
        if !names.insert(node.name.as_str()) {
            broken.push(Broken::new(
                format!("nodes[{index}].name"),
                format!("`{}` is another node's name already", node.name),
            ));
        }
        if node.roles.is_empty() {
            broken.push(Broken::new(
                format!("nodes[{index}].roles"),
                "must name at least one role",
            ));
        }
        for (key, address) in [("api", node.api), ("ops", node.ops), ("link", node.link)] {
            let Some(address) = address else { continue };
            if !addresses.insert(address) {
                broken.push(Broken::new(
                    format!("nodes[{index}].{key}"),
                    format!("{address} is in use by another entry"),
                ));
            }
        }
    }
    for role in Role::ALL {
        if !config.nodes.iter().any(|node| node.roles.contains(&role)) {
            broken.push(Broken::new("nodes", format!("no node has the role `{role}`")));
        }
    }
}

/// A node's name is a DNS label: it stands in certificates, in file names and
/// in what the database shows of a connection.
fn is_node_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
