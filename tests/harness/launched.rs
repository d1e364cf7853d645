//! A cluster that `holdfast up` runs, as processes.

mod process;
mod site;
mod view;

use std::{
    fs::{self, File},
    process::{Child, ExitStatus, Output},
    time::{Duration, Instant},
};

use holdfast_node::{cluster_file::ClusterFile, process::spawn_bound, terminal};
use nix::sys::signal::Signal;
use serde_json::Value;

pub(crate) use process::Process;
pub(crate) use site::{Site, free_port};
pub(crate) use view::View;

use super::{Person, eventually};
use process::{wait_for, wait_for_end};

/// How long a cluster may take to get ready, making its database included.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// How long `up` may take to end before it counts as stuck. What it promises is less.
const END_WITHIN: Duration = Duration::from_secs(30);
/// How long the processes of an `up` that was killed may take to end: Postgres shuts down in order.
const ORPHANS_GONE_WITHIN: Duration = Duration::from_secs(10);
/// Lines of a log that are shown beside a test that fails.
const LAST_WORDS: usize = 15;

/// A cluster of processes. Dropped, it is audited and stopped, and has to leave no process behind.
pub(crate) struct Launched {
    site: Site,
    options: Vec<String>,
    up: Option<Child>,
    http: reqwest::Client,
}

/// One node of it.
#[derive(Clone, Debug)]
pub(crate) struct LaunchedNode {
    /// Its name.
    pub(crate) name: String,
    /// Its latest process.
    pub(crate) process: Process,
    /// Where its API answers; nowhere if it is no edge.
    pub(crate) api: String,
    /// Where its operators' listener answers.
    pub(crate) ops: String,
}

/// How `up` ended.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// How long it took from the signal to the end.
    pub(crate) took: Duration,
}

impl Launched {
    /// Launches three nodes and waits until `up` says that they are ready.
    pub(crate) async fn start() -> Self {
        Self::start_at(Site::new(), &[]).await
    }

    /// Launches a cluster at a site, with more options of `up`.
    pub(crate) async fn start_at(site: Site, options: &[&str]) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(15))
            .build()
            .expect("a client");
        let mut launched = Self {
            options: site.up(options),
            site,
            up: None,
            http,
        };
        launched.start_again().await;
        launched
    }

    /// Launches the cluster again, after its end, on the same files and ports.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.up.is_none(), "it still runs");
        let mut command = self.site.command(&self.options);
        command
            .stdout(File::create(self.site.path("stdout")).expect("a file"))
            .stderr(File::create(self.site.path("stderr")).expect("a file"));
        // Should this process be killed, `up` is asked to stop.
        self.up = Some(spawn_bound(command, Signal::SIGTERM).expect("the program starts"));
        let deadline = Instant::now() + READY_WITHIN;
        while !self.said().starts_with("ready in ") {
            let up = self.up.as_mut().expect("it was launched just now");
            if let Some(status) = up.try_wait().expect("a child of ours") {
                self.up = None;
                panic!("`up` ended ({status}): {}", self.remarked());
            }
            assert!(
                Instant::now() < deadline,
                "`up` is not ready: {}",
                self.remarked()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where it is.
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Returns what `up` has printed for its user so far.
    pub(crate) fn said(&self) -> String {
        self.site.read("stdout")
    }

    /// Returns what `up` has remarked so far.
    pub(crate) fn remarked(&self) -> String {
        self.site.read("stderr")
    }

    /// Returns the process of `up`.
    pub(crate) fn up(&self) -> Process {
        Process::of(self.up.as_ref().expect("it runs").id())
    }

    /// Returns the process of its Postgres.
    pub(crate) fn postgres(&self) -> Process {
        let pid_file = self.site.read("data/postgres/data/postmaster.pid");
        let pid = pid_file.lines().next().expect("a server that runs");
        Process::of(pid.parse().expect("a pid"))
    }

    /// Lists every process that it has started and that runs now.
    pub(crate) fn processes(&self) -> Vec<Process> {
        self.up().descendants()
    }

    /// Lists the nodes, with the processes that they have now.
    pub(crate) fn nodes(&self) -> Vec<LaunchedNode> {
        let file = ClusterFile::path_in(&self.site.data_dir());
        let cluster = ClusterFile::read(&file).expect("a cluster that runs");
        let node = |node: holdfast_node::cluster_file::ClusterNode| LaunchedNode {
            name: node.name,
            process: Process::of(node.pid),
            api: node.api.unwrap_or_default(),
            ops: node.ops,
        };
        cluster.nodes.into_iter().map(node).collect()
    }

    /// Returns the node of this name, with the process that it has now.
    pub(crate) fn node(&self, name: &str) -> LaunchedNode {
        let nodes = self.nodes();
        nodes
            .into_iter()
            .find(|node| node.name == name)
            .expect("a node of that name")
    }

    /// Waits until a node has another process than `before`, and this one is ready.
    pub(crate) async fn is_back(&self, before: &LaunchedNode) -> LaunchedNode {
        eventually("the node is back", || async {
            let node = self.node(&before.name);
            (node.process.pid() != before.process.pid() && self.is_ready(&node).await).then_some(node)
        })
        .await
    }

    /// Tells whether a node is ready for requests.
    pub(crate) async fn is_ready(&self, node: &LaunchedNode) -> bool {
        let answer = self.http.get(format!("{}/readyz", node.ops)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// Returns somebody without an account, at a node counted from 0.
    pub(crate) fn stranger(&self, index: usize) -> Person {
        Person::stranger(self.http.clone(), &self.nodes()[index].api)
    }

    /// Returns the administrator that `up` has made, at the first node.
    pub(crate) async fn admin(&self) -> Person {
        let file = fs::read(self.site.path("data/run/admin.json")).expect("an administrator");
        let credentials: Value = serde_json::from_slice(&file).expect("JSON");
        let text = |field: &str| credentials[field].as_str().expect("a text").to_owned();
        let nobody = Person {
            email: text("email"),
            ..self.stranger(0)
        };
        let tokens = nobody.log_in(&text("password")).await.expect(200);
        Person {
            token: tokens["access_token"].as_str().map(str::to_owned),
            ..nobody
        }
    }

    /// Returns the node that owns a product, once the shards are spread over all nodes; `asker`, an
    /// admin, talks to an operators' listener.
    pub(crate) async fn owner_of_product(&self, asker: &Person, product: &str) -> LaunchedNode {
        let nodes = self.nodes();
        eventually("the product's owner is known", || async {
            let view = View::of(asker).await;
            let name = view.name_of(view.owner_of_product(product)?)?;
            let node = nodes.iter().find(|node| node.name == name)?;
            view.looks_settled(nodes.len()).then(|| node.clone())
        })
        .await
    }

    /// Looks for rows that break what the shop promises.
    pub(crate) fn audit(&self) -> Output {
        let data_dir = self.site.data_dir();
        self.site
            .run(&["audit".as_ref(), "--data-dir".as_ref(), data_dir.as_os_str()])
    }

    /// Ends `up` by a signal that asks it to stop, and sees to it that no process is left.
    pub(crate) fn stop(&mut self, signal: Signal) -> Stopped {
        let mut processes = self.processes();
        let up = self.up();
        processes.push(up.clone());
        let began = Instant::now();
        up.signal(signal);
        let mut child = self.up.take().expect("it runs");
        let status = wait_for_end(&mut child, END_WITHIN);
        let took = began.elapsed();
        let left: Vec<_> = processes
            .into_iter()
            .filter(|process| !process.is_gone())
            .collect();
        for process in &left {
            process.signal(Signal::SIGKILL);
        }
        let Some(status) = status else {
            panic!("`up` does not end: {}", self.remarked());
        };
        assert!(left.is_empty(), "`up` has left {left:?} behind");
        Stopped { status, took }
    }

    /// Kills `up`, without warning, and sees to it that no process is left.
    pub(crate) fn kill(&mut self) {
        let left = self.end_by_force();
        assert!(left.is_empty(), "{left:?} outlive `up`");
    }

    /// Kills `up` and, if need be, its processes. Returns those that did not end by themselves.
    fn end_by_force(&mut self) -> Vec<Process> {
        let Some(mut child) = self.up.take() else {
            return Vec::new();
        };
        let mut left = Process::of(child.id()).descendants();
        // Neither fails: it is a child of ours, and was not waited for.
        let _ = child.kill();
        let _ = child.wait();
        wait_for(ORPHANS_GONE_WITHIN, || {
            left.retain(|process| !process.is_gone());
            left.is_empty().then_some(())
        });
        for process in &left {
            process.signal(Signal::SIGKILL);
        }
        left
    }

    /// Shows what `up` and its nodes said last, beside the test that fails.
    fn last_words(&self) -> String {
        let logs = fs::read_dir(self.site.path("data/logs")).into_iter().flatten();
        let logs = logs.filter_map(|entry| Some(entry.ok()?.path()));
        let mut words = String::new();
        for path in [self.site.path("stderr")].into_iter().chain(logs) {
            let text = self.site.read(&path);
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n");
            words.extend(["== ", &path.display().to_string(), "\n", &last, "\n"]);
        }
        words
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            terminal::remark(self.last_words());
            self.end_by_force();
        } else if self.up.is_some() {
            let audit = self.audit();
            let stopped = self.stop(Signal::SIGTERM);
            assert!(audit.status.success(), "{audit:?}");
            assert!(stopped.status.success(), "{stopped:?}");
        }
    }
}
