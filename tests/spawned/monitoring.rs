//! Prometheus and Alertmanager, the real ones, beside a cluster of processes.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use holdfast_node::{process::spawn_bound, terminal};
use nix::sys::signal::Signal;
use reqwest::{Client, Url};
use serde_json::Value;

use super::shoppers::Shoppers;
use crate::{
    harness::{Person, launched::Launched, patiently},
    monitoring::{Query, queries, repository},
};

/// How long something may take that Prometheus or Alertmanager has to notice first.
const NOTICED_WITHIN: Duration = Duration::from_mins(1);
const STOCK: u32 = 1_000_000;

/// Where the programs are.
struct Tools {
    prometheus: PathBuf,
    alertmanager: PathBuf,
}

impl Tools {
    /// Finds them; where they are missing the test is skipped, but not in CI.
    fn find() -> Option<Self> {
        // Debian calls the latter by a name of its own.
        let found = program(&["prometheus"]).zip(program(&["prometheus-alertmanager", "alertmanager"]));
        if found.is_none() {
            let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!is_ci, "Prometheus and Alertmanager are required in CI");
            terminal::remark("skipped: Prometheus and Alertmanager are not installed");
        }
        let (prometheus, alertmanager) = found?;
        Some(Self {
            prometheus,
            alertmanager,
        })
    }
}

fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(name)))
        .find(|file| file.is_file())
}

/// A program that ends with the test.
struct Running(Child);

impl Running {
    fn start(program: &Path, arguments: &[String], log: &Path) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(log).expect("a file"));
        Self(spawn_bound(command, Signal::SIGKILL).expect("the program starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Neither fails: it is a child of ours, and was not waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Prometheus and Alertmanager, with what is shipped for them, only quicker.
struct Monitoring {
    http: Client,
    prometheus: String,
    alertmanager: String,
    began: SystemTime,
    _running: [Running; 2],
}

impl Monitoring {
    async fn start(up: &Launched, tools: &Tools) -> Self {
        let home = up.site().path("monitoring");
        fs::create_dir_all(home.join("rules")).expect("a directory");
        let [at_prometheus, at_alertmanager] = [free_address(), free_address()];
        let write = |name: &str, text: &str| {
            let file = home.join(name);
            fs::write(&file, text).expect("a file");
            file.display().to_string()
        };
        for name in ["expected.yml", "recording.yml", "alerts.yml"] {
            let rules = fs::read_to_string(repository("deploy/prometheus/rules").join(name)).expect("rules");
            let eager = rules.lines().map(|line| match line.trim_start() {
                waits if waits.starts_with("for: ") => line.replace(waits, "for: 0s"),
                _ => line.to_owned(),
            });
            write(&format!("rules/{name}"), &eager.collect::<Vec<_>>().join("\n"));
        }
        let mut config = fs::read_to_string(repository("deploy/prometheus/prometheus.yml")).expect("a text");
        for (slow, quick) in [
            ("scrape_interval: 10s", "scrape_interval: 1s"),
            ("scrape_timeout: 5s", "scrape_timeout: 1s"),
            ("evaluation_interval: 10s", "evaluation_interval: 1s"),
            ("127.0.0.1:9093", &at_alertmanager),
        ] {
            assert!(config.contains(slow), "{slow}");
            config = config.replace(slow, quick);
        }
        for (port, node) in (9_080..).zip(up.nodes()) {
            let usual = format!("127.0.0.1:{port}");
            assert!(config.contains(&usual), "{usual}");
            config = config.replace(&usual, node.ops.trim_start_matches("http://"));
        }
        let told_at_once = "route: { receiver: test, group_by: [alertname, instance], group_wait: 0s, \
                            group_interval: 1s }\nreceivers: [{ name: test }]\n";
        let alertmanager = Running::start(
            &tools.alertmanager,
            &[
                format!("--config.file={}", write("alertmanager.yml", told_at_once)),
                format!("--storage.path={}", home.join("alertmanager").display()),
                format!("--web.listen-address={at_alertmanager}"),
                "--cluster.listen-address=".to_owned(),
            ],
            &home.join("alertmanager.log"),
        );
        let prometheus = Running::start(
            &tools.prometheus,
            &[
                format!("--config.file={}", write("prometheus.yml", &config)),
                format!("--storage.tsdb.path={}", home.join("prometheus").display()),
                format!("--web.listen-address={at_prometheus}"),
                format!("--web.external-url=http://{at_prometheus}"),
                format!("--web.user-assets={}", repository("docs/runbooks").display()),
            ],
            &home.join("prometheus.log"),
        );
        let monitoring = Self {
            http: Client::builder().no_proxy().build().expect("a client"),
            prometheus: format!("http://{at_prometheus}"),
            alertmanager: format!("http://{at_alertmanager}"),
            began: SystemTime::now(),
            _running: [alertmanager, prometheus],
        };
        patiently(NOTICED_WITHIN, "every node is scraped", || async {
            let found = monitoring.ask("sum(up)").await?;
            let is_all = values(&found).any(|value| (value - 3.0).abs() < 0.1);
            is_all.then_some(())
        })
        .await;
        monitoring
    }

    /// Evaluates a query for every second since the start.
    async fn ask(&self, query: &str) -> Option<Value> {
        let seconds = |at: SystemTime| {
            at.duration_since(UNIX_EPOCH)
                .expect("a time")
                .as_secs()
                .to_string()
        };
        let parameters = [
            ("query", query),
            ("start", &seconds(self.began)),
            ("end", &seconds(SystemTime::now())),
            ("step", "1"),
        ];
        let url = format!("{}/api/v1/query_range", self.prometheus);
        let url = Url::parse_with_params(&url, parameters).expect("a URL");
        let answer: Value = self.http.get(url).send().await.ok()?.json().await.ok()?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        Some(answer)
    }

    /// Tells whether Alertmanager has an alert about a node that has not been resolved.
    async fn is_alerted(&self, alert: &str, node: &str) -> Option<bool> {
        let url = format!("{}/api/v2/alerts?active=true", self.alertmanager);
        let alerts: Value = self.http.get(url).send().await.ok()?.json().await.ok()?;
        let is_it = |found: &Value| {
            let labels = &found["labels"];
            labels["alertname"] == alert && labels["node"] == node
        };
        Some(alerts.as_array()?.iter().any(is_it))
    }

    /// Follows the link of an alert that is shown to the page of what to do.
    async fn runbook(&self, alert: &str) -> Option<String> {
        let url = format!("{}/api/v2/alerts?active=true", self.alertmanager);
        let alerts: Value = self.http.get(url).send().await.ok()?.json().await.ok()?;
        let shown = alerts.as_array()?;
        let found = shown.iter().find(|found| found["labels"]["alertname"] == alert)?;
        let link = found["annotations"]["runbook_url"].as_str()?;
        let answer = self.http.get(link).send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    /// Fails unless a panel's query shows something.
    async fn shows(&self, Query { place, expression }: &Query) {
        let expression = expression
            .replace("$instance", ".*")
            .replace("$__rate_interval", "10s");
        assert!(!expression.contains('$'), "{place}: {expression}");
        let what = format!("{place} shows something: {expression}");
        patiently(NOTICED_WITHIN, &what, || async {
            let found = self.ask(&expression).await?;
            values(&found).any(|value| !value.is_nan()).then_some(())
        })
        .await;
    }
}

/// Lists every value of every series of an answer.
fn values(answer: &Value) -> impl Iterator<Item = f64> {
    let series = answer["data"]["result"].as_array().into_iter().flatten();
    let points = series.flat_map(|series| series["values"].as_array().into_iter().flatten());
    points.filter_map(|point| point[1].as_str()?.parse().ok())
}

/// Finds an address on loopback that nobody uses.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").to_string()
}

/// Lets people order and pay at these nodes.
async fn trade(up: &Launched, admin: &Person) -> Shoppers {
    let products = vec![admin.lists("mug", STOCK).await, admin.lists("bowl", STOCK).await];
    let customer = up.stranger(0).sign_up("customer").await;
    customer.log_in("not the password").await.expect(401);
    let placed = customer.orders(&[(&products[0], 1)]).await.expect(201);
    customer
        .pays(placed["id"].as_str().expect("an id"), "card")
        .await
        .expect(201);
    customer
        .orders(&[(&products[0], 9_999), (&products[1], 9_999)])
        .await
        .expect(201);
    let apis: Vec<String> = up.nodes().into_iter().map(|node| node.api).collect();
    let shoppers = Shoppers::start(&customer, &apis, &products);
    shoppers.place(20).await;
    shoppers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_raises_its_alert_until_it_is_back_and_every_panel_shows_something() {
    let Some(tools) = Tools::find() else { return };
    let up = Launched::start().await;
    let monitoring = Monitoring::start(&up, &tools).await;
    let admin = up.admin().await;
    let shoppers = trade(&up, &admin).await;

    // What is empty is seen to be empty, and nobody is called dead who lives.
    let nothing = monitoring.ask("holdfast_nonsense").await.expect("an answer");
    assert_eq!(values(&nothing).count(), 0);
    let victim = up.nodes().remove(2);
    assert_eq!(
        monitoring.is_alerted("HoldfastNodeDown", &victim.name).await,
        Some(false)
    );
    let began = Instant::now();
    let page = patiently(NOTICED_WITHIN, "the alert fires and links its page", || async {
        // `up` starts it again within a second: only a node that keeps dying is down for long.
        // Its pid is looked for among the living, lest it be somebody else's by now.
        let process = up.node(&victim.name).process;
        if up.processes().iter().any(|living| living.pid() == process.pid()) {
            process.signal(Signal::SIGKILL);
        }
        let is_alerted = monitoring.is_alerted("HoldfastNodeDown", &victim.name).await?;
        if is_alerted {
            monitoring.runbook("HoldfastNodeDown").await
        } else {
            None
        }
    })
    .await;
    assert!(page.starts_with("# HoldfastNodeDown\n"), "{page}");
    let fired = began.elapsed();
    up.is_back(&victim).await;
    patiently(NOTICED_WITHIN, "the alert is resolved", || async {
        let is_alerted = monitoring.is_alerted("HoldfastNodeDown", &victim.name).await?;
        (!is_alerted).then_some(())
    })
    .await;
    let resolved = began.elapsed();
    terminal::remark(format!(
        "killed at 0 ms, alert at {} ms, resolved at {} ms",
        fired.as_millis(),
        resolved.as_millis()
    ));
    shoppers.stop().await;

    let shoppers = trade(&up, &admin).await;
    let all = queries();
    assert!(all.len() > 60, "{} queries", all.len());
    for query in &all {
        monitoring.shows(query).await;
    }
    shoppers.stop().await;
}
