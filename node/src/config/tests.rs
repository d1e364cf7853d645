use std::path::Path;
use std::time::Duration;

use super::{Config, ConfigError, Role, Secret, Variables};

fn load(text: &str) -> Result<Config, ConfigError> {
    load_with(text, &[])
}

fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables: Variables = variables
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    Config::from_parts(Path::new("cluster.toml"), text, &variables)
}

fn refusal(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

fn refusal_of_variable(name: &str, value: &str) -> String {
    load_with("", &[(name, value)]).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_default_cluster_of_three() {
    let config = load("").unwrap();
    assert_eq!(config, Config::default());
    let names: Vec<_> = config.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["n1", "n2", "n3"]);
    assert_eq!(config.nodes[0].roles, Role::ALL);
}

#[test]
fn the_shipped_file_spells_out_the_defaults() {
    let shipped = include_str!("../../../cluster.toml");
    assert_eq!(load(shipped).unwrap(), Config::default());
}

#[test]
fn the_file_for_kubernetes_is_accepted() {
    let config = load(include_str!("../../../deploy/kubernetes/cluster.toml")).unwrap();
    assert!(config.postgres.url.is_none() && config.postgres.url_file.is_some());
}

#[test]
fn the_file_for_services_apart_gives_each_of_them_a_node_and_the_edges_two() {
    let config = load(include_str!("../../../cluster.services.toml")).unwrap();
    assert!(config.nodes.iter().all(|node| node.roles.len() == 1));
    let carriers = |role| config.nodes.iter().filter(|node| node.roles == [role]).count();
    assert_eq!(Role::ALL.map(carriers), [2, 1, 1, 1]);
    let rest = Config {
        nodes: Config::default().nodes,
        ..config
    };
    assert_eq!(rest, Config::default());
}

#[test]
fn what_is_dumped_loads_as_the_same_settings() {
    let config = load("[membership]\nheartbeat = \"150ms\"").unwrap();
    let dumped = config.to_toml().unwrap();
    assert_eq!(load(&dumped).unwrap(), config);
}

#[test]
fn durations_are_written_as_people_write_them() {
    let config = load("[auth]\nrefresh_token_ttl = \"1h 30m\"").unwrap();
    assert_eq!(config.auth.refresh_token_ttl, Duration::from_mins(90));
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_line_column_and_field() {
    let message = refusal("[http]\n\nbody_limit = \"big\"");
    assert!(
        message.starts_with("cluster.toml:3:14: http.body_limit: invalid type: string \"big\""),
        "{message}"
    );
}

#[test]
fn a_misspelt_field_is_refused_with_its_line_and_the_fields_there_are() {
    let message = refusal("[membership]\nheartbeet = \"200ms\"");
    assert!(
        message.starts_with("cluster.toml:2:1: membership.heartbeet: unknown field"),
        "{message}"
    );
    assert!(message.contains("`suspect_after`"), "{message}");
}

#[test]
fn a_role_that_does_not_exist_is_refused_inside_its_list() {
    let message = refusal("[[nodes]]\nname = \"a\"\nroles = [\"edge\", \"cashier\"]");
    assert!(
        message.starts_with("cluster.toml:3:18: nodes[0].roles[1]: unknown variant `cashier`"),
        "{message}"
    );
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_place() {
    let message = refusal("[http\nhost = 1");
    assert!(message.starts_with("cluster.toml:1:"), "{message}");
}

#[test]
fn a_bad_duration_is_refused_with_its_field() {
    let message = refusal("[timeouts]\ndrain = \"soon\"");
    assert!(
        message.starts_with("cluster.toml:2:9: timeouts.drain: "),
        "{message}"
    );
}

#[test]
fn a_broken_rule_names_the_line_of_the_value_that_breaks_it() {
    let message = refusal("[membership]\nheartbeat = \"500ms\"\nsuspect_after = \"1s\"");
    assert_eq!(
        message,
        "cluster.toml:3:17: membership.suspect_after: must be at least 4 times membership.heartbeat"
    );
}

#[test]
fn a_rule_that_a_default_breaks_points_at_the_section() {
    let message = refusal("[membership]\nheartbeat = \"500ms\"");
    assert!(
        message.starts_with("cluster.toml:1:1: membership.suspect_after: "),
        "{message}"
    );
}

#[test]
fn a_cache_that_could_hold_nothing_or_serve_old_things_is_refused() {
    for (setting, field) in [
        ("max_bytes = 1000", "cache.max_bytes"),
        ("max_age = \"0s\"", "cache.max_age"),
        ("max_age = \"61s\"", "cache.max_age"),
    ] {
        let message = refusal(&format!("[cache]\n{setting}"));
        assert!(message.contains(field), "{message}");
    }
    assert!(load("[cache]\nmax_age = \"1m\"\ntokens = 0").is_ok());
}

#[test]
fn all_broken_rules_are_told_at_once() {
    let message = refusal("[lane]\nmax_batch = 0\n[http]\nbody_limit = 0");
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn two_nodes_of_one_name_are_refused() {
    let message = refusal("[[nodes]]\nname = \"a\"\n[[nodes]]\nname = \"a\"");
    assert_eq!(
        message,
        "cluster.toml:4:8: nodes[1].name: `a` is another node's name already"
    );
}

#[test]
fn a_cluster_without_an_owner_for_orders_is_refused() {
    let message = refusal("[[nodes]]\nname = \"a\"\nroles = [\"edge\", \"sessions\", \"products\"]");
    assert!(
        message.ends_with("nodes: no node has the role `orders`"),
        "{message}"
    );
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    let message = refusal("[link]\ntls_ca = \"ca.pem\"\ntls_cert = \"n1.pem\"");
    assert!(message.contains("link.tls_key: must be given"), "{message}");
}

#[test]
fn the_environment_overrides_the_file() {
    let config = load_with(
        "[limits]\nmax_in_flight = 7",
        &[
            ("HOLDFAST_LIMITS__ENABLED", "false"),
            ("HOLDFAST_HTTP__BODY_LIMIT", "1_024"),
            ("HOLDFAST_HTTP__TRUSTED_PROXIES", "10.0.0.1, 10.0.0.2"),
            ("HOLDFAST_MEMBERSHIP__HEARTBEAT", "100ms"),
            ("HOLDFAST_LINK__TLS_CA", "ca.pem"),
            ("HOLDFAST_LINK__TLS_CERT", "n1.pem"),
            ("HOLDFAST_LINK__TLS_KEY", "n1.key"),
            ("HOLDFAST_PG_BIN", "not a setting"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert!(!config.limits.enabled);
    assert_eq!(config.limits.max_in_flight, 7);
    assert_eq!(config.http.body_limit, 1024);
    assert_eq!(config.http.trusted_proxies.len(), 2);
    assert_eq!(config.membership.heartbeat, Duration::from_millis(100));
    assert_eq!(config.link.tls_key.as_deref(), Some(Path::new("n1.key")));
}

#[test]
fn every_default_can_be_set_by_its_variable() {
    let shape = toml::Table::try_from(Config::default()).unwrap();
    for (section, keys) in &shape {
        let Some(keys) = keys.as_table() else { continue };
        for (key, value) in keys {
            let name = format!("HOLDFAST_{section}__{key}").to_uppercase();
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Array(items) => items
                    .iter()
                    .filter_map(toml::Value::as_str)
                    .collect::<Vec<_>>()
                    .join(","),
                other => other.to_string(),
            };
            let config = load_with("", &[(&name, &text)]);
            assert_eq!(config.unwrap(), Config::default(), "{name}={text}");
        }
    }
}

#[test]
fn a_rate_is_one_line_of_the_file_or_one_variable() {
    let variable = (
        "HOLDFAST_LIMITS__READS_BY_CALLER",
        r#"{ requests = 5, per = "1s", burst = 7 }"#,
    );
    let text = "[limits]\norders_by_caller = { requests = 20, per = \"1m\", burst = 10 }";
    let limits = load_with(text, &[variable]).unwrap().limits;
    let orders = limits.orders_by_caller;
    assert_eq!((orders.requests, orders.burst), (20, 10));
    assert_eq!(orders.per, Duration::from_mins(1));
    assert_eq!(limits.reads_by_caller.burst, 7);
    assert_eq!(
        refusal_of_variable("HOLDFAST_LIMITS__READS_BY_CALLER", "5"),
        "HOLDFAST_LIMITS__READS_BY_CALLER: expected a table such as { key = 1 }"
    );
    let message = refusal_of_variable("HOLDFAST_LIMITS__READS_BY_CALLER", "{ requests = 5 }");
    assert!(
        message.starts_with("HOLDFAST_LIMITS__READS_BY_CALLER: missing field"),
        "{message}"
    );
}

#[test]
fn a_rate_that_allows_nothing_or_lasts_no_whole_seconds_is_refused_with_its_line() {
    for (rate, complaint) in [
        ("{ requests = 0, per = \"1m\", burst = 1 }", "requests and burst"),
        ("{ requests = 1, per = \"1m\", burst = 0 }", "requests and burst"),
        ("{ requests = 1, per = \"1500ms\", burst = 1 }", "per must be"),
        ("{ requests = 1, per = \"0s\", burst = 1 }", "per must be"),
    ] {
        let message = refusal(&format!("[limits]\nlogin_by_caller = {rate}"));
        let expected = format!("cluster.toml:2:19: limits.login_by_caller: {complaint}");
        assert!(message.starts_with(&expected), "{message}");
    }
    let message = refusal("[limits]\nlease_wait = \"1s\"");
    assert_eq!(
        message,
        "cluster.toml:2:14: limits.lease_wait: must be at most 100 ms"
    );
}

#[test]
fn a_variable_that_does_not_fit_is_refused_by_its_name() {
    assert_eq!(
        refusal_of_variable("HOLDFAST_LIMITS__ENABLED", "maybe"),
        "HOLDFAST_LIMITS__ENABLED: expected true or false"
    );
    assert_eq!(
        refusal_of_variable("HOLDFAST_LANE__MAX_BATCH", "many"),
        "HOLDFAST_LANE__MAX_BATCH: expected a whole number"
    );
    let message = refusal_of_variable("HOLDFAST_LANE__MAX_BATCH", "-1");
    assert!(message.starts_with("HOLDFAST_LANE__MAX_BATCH: "), "{message}");
    let message = refusal_of_variable("HOLDFAST_TIMEOUTS__DRAIN", "soon");
    assert!(message.starts_with("HOLDFAST_TIMEOUTS__DRAIN: "), "{message}");
    let message = refusal_of_variable("HOLDFAST_ORDERS__PAYMENT_PROVIDERS", "test,gold");
    assert!(
        message.starts_with("HOLDFAST_ORDERS__PAYMENT_PROVIDERS: unknown variant `gold`"),
        "{message}"
    );
}

#[test]
fn a_variable_that_names_no_setting_is_refused() {
    assert_eq!(
        refusal_of_variable("HOLDFAST_LIMTS__ENABLED", "false"),
        "HOLDFAST_LIMTS__ENABLED: there is no section `limts`"
    );
    let message = refusal_of_variable("HOLDFAST_LIMITS__ENABLE", "false");
    assert!(
        message.starts_with("HOLDFAST_LIMITS__ENABLE: unknown field"),
        "{message}"
    );
    assert_eq!(
        refusal_of_variable("HOLDFAST_NODES__NAME", "a"),
        "HOLDFAST_NODES__NAME: `nodes` is a list; set it in the file"
    );
}

#[test]
fn a_rule_that_a_variable_breaks_is_told_by_the_variables_name() {
    assert_eq!(
        refusal_of_variable("HOLDFAST_LANE__MAX_BATCH", "0"),
        "HOLDFAST_LANE__MAX_BATCH: must be at least 1"
    );
}

#[test]
fn the_database_url_is_known_by_its_short_name_and_never_shown() {
    let url = "postgres://shop:hunter2@db/shop";
    let config = load_with("", &[("HOLDFAST_DATABASE_URL", url)]).unwrap();
    assert_eq!(config.postgres.url, Some(Secret::new(url)));
    assert!(!config.to_toml().unwrap().contains("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_file_may_hold_the_database_url_which_a_variable_still_overrides() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("database-url");
    std::fs::write(&file, "postgres://shop:hunter2@db/shop\n").unwrap();
    let text = format!("[postgres]\nurl_file = {file:?}");
    let config = load(&text).unwrap().with_url_of_file().unwrap();
    assert_eq!(
        config.postgres.url,
        Some(Secret::new("postgres://shop:hunter2@db/shop"))
    );
    let variable = [("HOLDFAST_DATABASE_URL", "postgres://elsewhere/shop")];
    let config = load_with(&text, &variable).unwrap().with_url_of_file().unwrap();
    assert_eq!(
        config.postgres.url,
        Some(Secret::new("postgres://elsewhere/shop"))
    );
    std::fs::remove_file(&file).unwrap();
    assert!(load(&text).unwrap().with_url_of_file().is_err());
}

#[test]
fn a_providers_secret_that_can_be_guessed_is_refused_and_not_shown() {
    let secrets = r#"{ test = "hunter2" }"#;
    let message = refusal(&format!("[orders]\npayment_webhook_secrets = {secrets}"));
    assert!(
        message.contains("orders.payment_webhook_secrets: must be"),
        "{message}"
    );
    assert!(!message.contains("hunter2"), "{message}");
    let variable = "HOLDFAST_ORDERS__PAYMENT_WEBHOOK_SECRETS";
    let message = refusal_of_variable(variable, secrets);
    assert!(
        message.starts_with(variable) && !message.contains("hunter2"),
        "{message}"
    );
    let long = [(variable, r#"{ test = "hunter2-hunter2-hunter2" }"#)];
    let config = load_with("", &long).unwrap();
    assert_eq!(config.orders.payment_webhook_secrets.len(), 1);
}

#[test]
fn a_secret_of_two_providers_is_refused_and_not_shown() {
    let secrets = r#"{ test = "hunter2-hunter2-hunter2", manual = "hunter2-hunter2-hunter2" }"#;
    let message = refusal(&format!("[orders]\npayment_webhook_secrets = {secrets}"));
    assert!(
        message.contains("orders.payment_webhook_secrets: must be another one for each provider"),
        "{message}"
    );
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn mail_that_cannot_be_sent_as_told_is_refused() {
    let message = refusal("[mail]\nfrom = \"the shop\"");
    assert!(message.starts_with("cluster.toml:2:8: mail.from: "), "{message}");
    let message = refusal("[mail]\nsmtp_url = \"smtp://shop:hunter2@mail.example.com\"");
    assert!(
        message.contains("mail.smtp_url: ") && message.contains("in the clear"),
        "{message}"
    );
    assert!(!message.contains("hunter2"), "{message}");
    let message = refusal("[mail]\nsmtp_url = \"smtps://mail.example.com\"\nspool_dir = \"mail\"");
    assert!(message.contains("mail.spool_dir: must not"), "{message}");
    let message = refusal("[mail]\nretry_max = \"1s\"\nattempts = 0\nsmtp_ca = \"ca.pem\"");
    assert_eq!(message.lines().count(), 3, "{message}");
}

#[test]
fn the_mail_relay_is_set_by_the_environment_and_never_shown() {
    let url = "smtps://shop:hunter2@mail.example.com";
    let config = load_with("", &[("HOLDFAST_MAIL__SMTP_URL", url)]).unwrap();
    assert_eq!(config.mail.smtp_url, Some(Secret::new(url)));
    assert!(!config.to_toml().unwrap().contains("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn an_endpoint_that_spans_cannot_be_sent_to_is_refused() {
    for bad in [
        "localhost:4318",
        "https://collector",
        "http://",
        "http://shop:hunter2@collector",
    ] {
        let message = refusal(&format!("[telemetry]\notlp_endpoint = {bad:?}"));
        assert!(
            message.starts_with("cluster.toml:2:17: telemetry.otlp_endpoint: "),
            "{message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
    }
    load("[telemetry]\notlp_endpoint = \"http://localhost:4318\"").unwrap();
    refusal("[telemetry]\nsample_ratio = 1.5");
    let config = load_with("", &[("HOLDFAST_TELEMETRY__SAMPLE_RATIO", "0.5")]).unwrap();
    assert!((config.telemetry.sample_ratio - 0.5).abs() < f64::EPSILON);
    refusal_of_variable("HOLDFAST_TELEMETRY__SAMPLE_RATIO", "half");
}
