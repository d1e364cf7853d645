//! From the settings to what the crates below are told.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use holdfast_actors::{
    CacheOptions, HashingOptions, NatsOptions, NodeOptions,
    budget::{BudgetOptions, Rates},
    link::TlsFiles,
    mail::{MailOptions, MailTransport, with_password},
};
use holdfast_domain::PaymentProvider;
use holdfast_http::{EdgeOptions, WebhookKeys};

use crate::config::{Config, WEBHOOK_SECRET_MIN_CHARS};
use crate::up::NodePlan;

/// A secret that can be guessed keeps nobody out.
const COOKIE_MIN_CHARS: usize = 16;

/// Tells a node who it is, where the others are, and its bounds.
pub fn node_options(config: &Config, plan: &NodePlan) -> anyhow::Result<NodeOptions> {
    let Some(url) = &config.postgres.url else {
        bail!("no database: set postgres.url or HOLDFAST_DATABASE_URL");
    };
    let Some(cookie_file) = &config.cluster.cookie_file else {
        bail!("cluster.cookie_file is not set: it holds the secret that all nodes share");
    };
    let mut options = NodeOptions::new(
        plan.name.clone(),
        url.reveal(),
        shared_secret(config, cookie_file)?,
    );
    options.roles = plan.roles.iter().map(ToString::to_string).collect();
    options.max_connections = config.postgres.max_connections;
    options.link_listen = plan.link;
    options.link_advertise.clone_from(&plan.advertise);
    options.tls = tls(config);
    options.link_silent_after = config.link.silent_after;
    options.link_idle_timeout = config.link.idle_timeout;
    options.calls_in_flight = config.link.max_in_flight;
    options.wire_version = config.link.wire_version;
    options.api_advertise = plan.api.map(|api| api.to_string()).unwrap_or_default();
    options.heartbeat_interval = config.membership.heartbeat;
    options.suspect_after = config.membership.suspect_after;
    options.vote_after = config.membership.vote_after;
    options.call_budget = config.cluster.operation_budget;
    options.drain_limit = config.timeouts.drain;
    options.entity_in_flight = config.entities.max_in_flight;
    options.entities_max = config.entities.max_resident;
    options.entity_idle = config.entities.idle_after;
    options.batch_intents = config.lane.max_batch;
    options.waiting_intents = config.lane.max_waiting;
    options.cache = CacheOptions {
        enabled: config.cache.enabled,
        max_bytes: config.cache.max_bytes,
        max_age: config.cache.max_age,
    };
    options.hashing = hashing_options(config);
    options.refresh_token_ttl = config.auth.refresh_token_ttl;
    options.payment_deadline = config.orders.payment_deadline;
    options.limits = budget_options(config);
    options.mail = mail_options(config)?;
    options.nats = nats(config)?;
    #[cfg(feature = "fault-points")]
    {
        options.open_gate = open_gate()?;
    }
    Ok(options)
}

/// Tells what a test lets through the output gate; read from the environment,
/// since it is no setting.
#[cfg(feature = "fault-points")]
fn open_gate() -> anyhow::Result<Option<holdfast_actors::OpenGate>> {
    use crate::chaos::mutation::OPEN_GATE;

    let Ok(half) = std::env::var(OPEN_GATE) else {
        return Ok(None);
    };
    half.parse().map(Some).context(OPEN_GATE)
}

/// Tells how often clients may ask, if that is limited.
fn budget_options(config: &Config) -> Option<BudgetOptions> {
    let limits = config.limits.enabled.then_some(&config.limits)?;
    Some(BudgetOptions {
        rates: Rates {
            register_by_address: limits.register_by_address.into(),
            login_by_address: limits.login_by_address.into(),
            login_by_caller: limits.login_by_caller.into(),
            orders_by_address: limits.orders_by_address.into(),
            orders_by_caller: limits.orders_by_caller.into(),
            writes_by_address: limits.writes_by_address.into(),
            writes_by_caller: limits.writes_by_caller.into(),
            reads_by_address: limits.reads_by_address.into(),
            reads_by_caller: limits.reads_by_caller.into(),
            webhooks_by_address: limits.webhooks_by_address.into(),
            webhooks_by_provider: limits.webhooks_by_provider.into(),
        },
        max_tracked: limits.max_tracked,
        lease_ttl: limits.lease_ttl,
        lease_wait: limits.lease_wait,
    })
}

/// Tells how passwords are hashed.
pub fn hashing_options(config: &Config) -> HashingOptions {
    HashingOptions {
        memory_kib: config.auth.argon2_memory_kib,
        passes: config.auth.argon2_passes,
        parallelism: config.auth.argon2_lanes,
        threads: config.auth.hashing_threads,
        ..HashingOptions::default()
    }
}

/// Tells an edge what it admits and how it signs.
pub(super) fn edge_options(config: &Config) -> anyhow::Result<EdgeOptions> {
    Ok(EdgeOptions {
        body_limit: config.http.body_limit,
        header_timeout: config.http.header_timeout,
        request_timeout: config.http.request_timeout,
        keep_alive_timeout: config.http.keep_alive_timeout,
        operation_budget: config.cluster.operation_budget,
        max_connections: config.http.max_connections,
        max_in_flight: config.limits.max_in_flight,
        target_delay: config.limits.target_delay,
        overload_after: config.limits.overload_after,
        max_event_streams: config.events.max_streams,
        max_event_streams_per_user: config.events.max_streams_per_user,
        event_heartbeat: config.events.heartbeat,
        trusted_proxies: config.http.trusted_proxies.clone(),
        issuer: config.auth.issuer.clone(),
        audience: config.auth.audience.clone(),
        access_token_ttl: config.auth.access_token_ttl,
        refresh_token_ttl: config.auth.refresh_token_ttl,
        tokens_kept: if config.cache.enabled {
            config.cache.tokens
        } else {
            0
        },
        signing_key_dir: config.auth.signing_key_dir.clone(),
        payment_providers: config.orders.payment_providers.clone(),
        payment_webhooks: payment_webhooks(config)?,
    })
}

/// Collects the secrets of providers that report payments, from the settings and from files.
fn payment_webhooks(config: &Config) -> anyhow::Result<Vec<WebhookKeys>> {
    let mut secrets: BTreeMap<PaymentProvider, Vec<String>> = BTreeMap::new();
    for (provider, secret) in &config.orders.payment_webhook_secrets {
        secrets
            .entry(*provider)
            .or_default()
            .push(secret.reveal().to_owned());
    }
    for (provider, path) in &config.orders.payment_webhook_secret_files {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the secrets of {provider} in {}", path.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let found: Vec<_> = lines.map(str::to_owned).collect();
        if found.is_empty() || found.iter().any(|secret| secret.len() < WEBHOOK_SECRET_MIN_CHARS) {
            bail!(
                "the secrets of {provider} in {} must be lines of at least {WEBHOOK_SECRET_MIN_CHARS} characters",
                path.display()
            );
        }
        secrets.entry(*provider).or_default().extend(found);
    }
    if let Some((one, other)) = sharing_a_secret(&secrets) {
        bail!(
            "{one} and {other} have a webhook secret in common, by orders.payment_webhook_secrets or \
             orders.payment_webhook_secret_files: what one signs would pass for the other's"
        );
    }
    let keys = secrets
        .iter()
        .map(|(provider, secrets)| WebhookKeys::new(*provider, secrets.iter().map(String::as_str)));
    Ok(keys.collect())
}

/// Finds two providers that have a secret in common.
fn sharing_a_secret(
    secrets: &BTreeMap<PaymentProvider, Vec<String>>,
) -> Option<(PaymentProvider, PaymentProvider)> {
    let mut whose: BTreeMap<&str, PaymentProvider> = BTreeMap::new();
    for (provider, secrets) in secrets {
        for secret in secrets {
            let first = *whose.entry(secret).or_insert(*provider);
            if first != *provider {
                return Some((first, *provider));
            }
        }
    }
    None
}

/// Tells how mail is sent; `None`: it is not.
fn mail_options(config: &Config) -> anyhow::Result<Option<MailOptions>> {
    let settings = &config.mail;
    let transport = match (&settings.smtp_url, &settings.spool_dir) {
        (Some(url), _) => MailTransport::Smtp {
            url: match &settings.smtp_password_file {
                Some(path) => with_password(url.reveal(), &password(path)?)?,
                None => url.reveal().to_owned(),
            },
            ca: settings.smtp_ca.clone(),
            timeout: settings.smtp_timeout,
        },
        (None, Some(directory)) => MailTransport::Spool {
            directory: directory.clone(),
            max_files: settings.spool_max,
        },
        (None, None) => return Ok(None),
    };
    Ok(Some(MailOptions {
        sender: settings.from.clone(),
        transport,
        attempts: settings.attempts,
        retry_first: settings.retry_first,
        retry_max: settings.retry_max,
    }))
}

fn password(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the mail relay's password in {}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Makes what all nodes of this cluster share, and those of no other, even if it uses the same file.
fn shared_secret(config: &Config, cookie_file: &Path) -> anyhow::Result<String> {
    Ok(format!("{}/{}", config.cluster.name, cookie(cookie_file)?))
}

fn cookie(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the cluster's secret in {}", path.display()))?;
    let cookie = text.trim();
    if cookie.len() < COOKIE_MIN_CHARS {
        bail!(
            "the cluster's secret in {} is shorter than {COOKIE_MIN_CHARS} characters",
            path.display()
        );
    }
    Ok(cookie.to_owned())
}

/// Tells where events go; `None`: they stay in the database.
fn nats(config: &Config) -> anyhow::Result<Option<NatsOptions>> {
    let Some(url) = &config.nats.url else {
        return Ok(None);
    };
    let urls = url.reveal().split(',');
    let options = NatsOptions {
        urls: urls.map(|url| url.trim().to_owned()).collect(),
        credentials_file: config.nats.credentials_file.clone(),
        ca_file: config.nats.ca_file.clone(),
        stream: config.nats.stream.clone(),
        prefix: config.nats.prefix.clone(),
        replicas: config.nats.replicas,
        max_age: config.nats.max_age,
    };
    // A server that is away may come back; settings like these would never work.
    options.check().context("events could never be sent to NATS")?;
    Ok(Some(options))
}

fn tls(config: &Config) -> Option<TlsFiles> {
    // The settings' rules see to it that there are all three or none.
    Some(TlsFiles {
        ca: config.link.tls_ca.clone()?,
        cert: config.link.tls_cert.clone()?,
        key: config.link.tls_key.clone()?,
    })
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use holdfast_actors::mail::MailTransport;

    use super::{budget_options, edge_options, mail_options, nats, node_options};
    use crate::config::{Config, Secret, Variables};
    use crate::up::plan;

    fn config(text: &str) -> Config {
        Config::from_parts(Path::new("cluster.toml"), text, &Variables::default()).unwrap()
    }

    fn with_cookie(cookie: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cookie");
        std::fs::write(&path, cookie).unwrap();
        (directory, path)
    }

    #[test]
    fn a_node_is_told_what_the_settings_say() {
        let (_directory, cookie_file) = with_cookie("0123456789abcdef\n");
        let mut config = config("[[nodes]]\nname = \"shop-1\"\nadvertise = \"shop-1:10080\"");
        config.cluster.cookie_file = Some(cookie_file);
        config.postgres.url = Some(Secret::new("postgres://db/shop"));
        let plan = plan(&config, None, None).unwrap().remove(0);
        let options = node_options(&config, &plan).unwrap();
        assert_eq!(options.name, "shop-1");
        assert_eq!(options.cookie, "holdfast/0123456789abcdef");
        assert_eq!(options.link_advertise.as_deref(), Some("shop-1:10080"));
        assert_eq!(options.roles, ["edge", "sessions", "products", "orders"]);
    }

    #[test]
    fn a_node_speaks_the_wire_version_of_its_settings() {
        let (_directory, cookie_file) = with_cookie("0123456789abcdef\n");
        for (text, version) in [("[link]\nwire_version = 1", 1), ("", 2)] {
            let mut config = config(text);
            config.cluster.cookie_file = Some(cookie_file.clone());
            config.postgres.url = Some(Secret::new("postgres://db/shop"));
            let plan = plan(&config, None, None).unwrap().remove(0);
            assert_eq!(node_options(&config, &plan).unwrap().wire_version, version);
        }
    }

    #[test]
    fn a_shop_that_limits_nobodys_rate_still_bounds_what_it_does_at_a_time() {
        let config = config("[limits]\nenabled = false\nmax_in_flight = 7");
        assert!(budget_options(&config).is_none());
        assert_eq!(edge_options(&config).expect("no files").max_in_flight, 7);
    }

    #[test]
    fn a_providers_secrets_come_from_the_settings_and_from_files_and_are_not_shown() {
        let (_directory, path) = with_cookie("the-secret-of-today\n\nthe-secret-of-tomorrow\n");
        let (_other_directory, other) = with_cookie("the-secret-of-others\n");
        let text = format!(
            "[orders]\npayment_webhook_secrets = {{ test = \"a-secret-of-the-past\" }}\n\
             payment_webhook_secret_files = {{ test = {path:?}, manual = {other:?} }}"
        );
        let read = config(&text);
        assert!(!format!("{read:?}").contains("past"));
        assert!(!read.to_toml().unwrap().contains("past"));
        let options = edge_options(&read).unwrap();
        let shown = format!("{:?}", options.payment_webhooks);
        assert_eq!(shown, "[1 keys of manual, 3 keys of test]");
        std::fs::write(&path, "too short").unwrap();
        assert!(edge_options(&read).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(edge_options(&read).is_err());
    }

    #[test]
    fn a_secret_that_two_providers_have_keeps_a_node_from_starting() {
        let (_directory, path) = with_cookie("the-secret-of-today\nthe-secret-of-both\n");
        for text in [
            format!("payment_webhook_secret_files = {{ test = {path:?}, manual = {path:?} }}"),
            format!(
                "payment_webhook_secrets = {{ manual = \"the-secret-of-both\" }}\n\
                 payment_webhook_secret_files = {{ test = {path:?} }}"
            ),
        ] {
            let refused = edge_options(&config(&format!("[orders]\n{text}"))).expect_err("shared");
            let said = format!("{refused:#}");
            assert!(
                said.contains("manual and test have a webhook secret in common") && !said.contains("of-both"),
                "{said}"
            );
        }
        let repeated = format!(
            "[orders]\npayment_webhook_secrets = {{ test = \"the-secret-of-both\" }}\n\
             payment_webhook_secret_files = {{ test = {path:?} }}"
        );
        assert!(edge_options(&config(&repeated)).is_ok(), "one provider's own");
    }

    #[test]
    fn nats_that_cannot_be_used_keeps_a_node_from_starting() {
        let said = |text: &str| format!("{:#}", nats(&config(text)).err().expect("cannot be used"));
        let url = said("[nats]\nurl = \"http://user:secret@mq\"");
        assert!(url.contains("nats.url") && !url.contains("secret"), "{url}");
        let file = said("[nats]\nurl = \"nats://mq\"\ncredentials_file = \"/nowhere/at/all\"");
        assert!(file.contains("nats.credentials_file"), "{file}");
        assert!(
            nats(&config("[nats]\nurl = \"nats://mq, tls://mr\""))
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn the_mail_relays_password_may_come_from_a_file() {
        let (directory, path) = with_cookie("a/b@c\n");
        let written = |text: &str| mail_options(&config(text)).unwrap().map(|mail| mail.transport);
        let relay =
            format!("[mail]\nsmtp_url = \"smtps://shop@mail.example.com\"\nsmtp_password_file = {path:?}");
        let Some(MailTransport::Smtp { url, .. }) = written(&relay) else {
            panic!("no relay");
        };
        assert_eq!(url, "smtps://shop:a%2Fb%40c@mail.example.com");
        let spool = format!("[mail]\nspool_dir = {:?}", directory.path());
        assert!(matches!(written(&spool), Some(MailTransport::Spool { .. })));
        assert!(written("").is_none());
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused() {
        let (_directory, cookie_file) = with_cookie("short");
        let mut config = config("");
        config.cluster.cookie_file = Some(cookie_file);
        config.postgres.url = Some(Secret::new("postgres://db/shop"));
        let plan = plan(&config, None, None).unwrap().remove(0);
        assert!(node_options(&config, &plan).is_err());
    }
}
