//! The rules and dashboards that are shipped: they speak of metrics that exist, and lead somewhere.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The uid of the datasource that is provisioned.
const DATASOURCE: &str = "holdfast-prometheus";

/// Names something in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A query of a dashboard.
pub(crate) struct Query {
    /// Dashboard and panel, for people.
    pub(crate) place: String,
    /// The expression, with its variables.
    pub(crate) expression: String,
}

/// Reads all dashboards.
pub(crate) fn dashboards() -> Vec<Value> {
    let files = fs::read_dir(repository("deploy/grafana/dashboards")).expect("dashboards");
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(entry.expect("a file").path()).expect("a text");
        serde_json::from_str(&text).expect("JSON")
    };
    files.map(read).collect()
}

/// Lists every query of every panel.
pub(crate) fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for dashboard in dashboards() {
        for panel in items(&dashboard["panels"]) {
            for target in items(&panel["targets"]) {
                queries.push(Query {
                    place: format!("{} / {}", text(&dashboard["title"]), text(&panel["title"])),
                    expression: text(&target["expr"]).to_owned(),
                });
            }
        }
    }
    queries
}

fn items(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).expect("a text")
}

/// Lists the metrics that a text names; what rules record has a colon in its name.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("holdfast_") && !word.contains(':'))
        .map(|word| {
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| word.strip_suffix(suffix));
            family.unwrap_or(word).to_owned()
        })
        .collect()
}

#[test]
fn rules_and_dashboards_speak_of_metrics_that_exist() {
    let page = read("docs/METRICS.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let queries: String = queries()
        .iter()
        .flat_map(|query| [query.expression.clone(), "\n".to_owned()])
        .collect();
    let rules = [
        read("deploy/prometheus/rules/expected.yml"),
        read("deploy/prometheus/rules/recording.yml"),
        read("deploy/prometheus/rules/alerts.yml"),
    ];
    // What is said in comments is not asked for, and a group's name is no metric.
    let rules: Vec<&str> = rules.iter().flat_map(|rules| rules.lines()).collect();
    let rules: String = rules
        .iter()
        .filter(|line| !line.trim_start().starts_with('#') && !line.contains("name: "))
        .flat_map(|line| [line, "\n"])
        .collect();
    let used = metrics_in(&(queries + &rules));
    assert!(used.len() > 30, "{used:?}");
    for metric in used {
        assert!(documented.contains(metric.as_str()), "nobody exports {metric}");
    }
}

#[test]
fn every_alert_has_a_runbook_and_cases_in_which_it_fires_and_does_not() {
    let rules = read("deploy/prometheus/rules/alerts.yml");
    let cases = read("deploy/prometheus/tests/alerts.yml");
    let index = read("docs/runbooks/README.md");
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() >= 10, "{alerts:?}");
    for alert in &alerts {
        // Prometheus serves them: its `--web.user-assets` is docs/runbooks.
        let link = format!("runbook_url: \"{{{{ $externalURL }}}}/user/{alert}.md\"\n");
        assert!(rules.contains(&link), "{alert}");
        let page = read(&format!("docs/runbooks/{alert}.md"));
        assert!(
            page.contains("## Where to look") && page.contains("## What to do"),
            "{alert}"
        );
        assert!(index.contains(&format!("]({alert}.md)")), "{alert}");
        for case in ["fires", "does not fire"] {
            assert!(
                cases.contains(&format!("- name: {alert} {case}\n")),
                "{alert} {case}"
            );
        }
    }
    // And no page without an alert.
    let pages = fs::read_dir(repository("docs/runbooks"))
        .expect("runbooks")
        .count();
    assert_eq!(pages, alerts.len() + 1);
}

#[test]
fn dashboards_have_lasting_names_and_units_and_the_datasource_that_is_provisioned() {
    let provisioned = read("deploy/grafana/provisioning/datasources/prometheus.yaml");
    assert!(provisioned.contains(&format!("uid: {DATASOURCE}\n")));
    let mut uids = BTreeSet::new();
    for dashboard in dashboards() {
        let (uid, title) = (text(&dashboard["uid"]), text(&dashboard["title"]));
        assert!(
            uid.starts_with("holdfast-") && uids.insert(uid.to_owned()),
            "{uid}"
        );
        assert!(title.starts_with("Holdfast: "), "{title}");
        let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
        for panel in items(&dashboard["panels"]) {
            let name = text(&panel["title"]);
            assert!(
                ids.insert(panel["id"].as_u64().expect("an id")),
                "{title} / {name}"
            );
            assert!(name.len() > 3 && titles.insert(name), "{title} / {name}");
            let unit = text(&panel["fieldConfig"]["defaults"]["unit"]);
            assert!(!unit.is_empty(), "{title} / {name}");
            assert!(!items(&panel["targets"]).is_empty(), "{title} / {name}");
            for target in items(&panel["targets"]) {
                assert_eq!(text(&target["datasource"]["uid"]), DATASOURCE, "{title} / {name}");
            }
        }
    }
    let expected = ["cluster", "hot-products", "overview", "shop"].map(|name| format!("holdfast-{name}"));
    assert_eq!(uids, BTreeSet::from(expected));
}
