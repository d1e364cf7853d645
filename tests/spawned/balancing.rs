//! The load balancer that is shipped, in front of a cluster: its clients do not see nodes
//! die, stop and come back.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use holdfast_node::process::spawn_bound;
use nix::sys::signal::Signal;
use tokio::task::JoinSet;

use super::shoppers::Shoppers;
use crate::harness::{
    Person, eventually,
    launched::{Launched, LaunchedNode, Site, free_port},
};

const STOCK: u32 = 1_000_000;
/// Where Debian puts what only administrators are thought to call.
const PLACES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// Lines that need root, or users that only a real installation has.
const NOT_HERE: [&str; 2] = ["user ", "group "];

/// `HAProxy`, as the file in `deploy/` has it but for addresses.
struct Balancer {
    process: Child,
    api: String,
    figures: String,
    http: reqwest::Client,
}

impl Balancer {
    /// Finds the program; `None` on somebody's machine that has none.
    fn program() -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .chain(PLACES.map(PathBuf::from))
            .map(|directory| directory.join("haproxy"))
            .find(|program| program.is_file());
        let is_required = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(found.is_some() || !is_required, "HAProxy is required in CI");
        found
    }

    async fn start(program: PathBuf, up: &Launched) -> Self {
        let (api, figures) = (free_port(), free_port());
        let file = up.site().path("haproxy.cfg");
        fs::write(&file, configuration(&up.nodes(), api, figures)).expect("a file");
        let log = || File::create(up.site().path("haproxy.log")).expect("a file");
        let mut command = Command::new(program);
        command
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log());
        let balancer = Self {
            process: spawn_bound(command, Signal::SIGKILL).expect("the program starts"),
            api: format!("http://127.0.0.1:{api}"),
            figures: format!("http://127.0.0.1:{figures}/;csv"),
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
        };
        eventually("HAProxy serves", || async {
            let answer = balancer.http.get(format!("{}/livez", balancer.api)).send().await;
            answer.is_ok_and(|answer| answer.status() == 200).then_some(())
        })
        .await;
        balancer
    }

    /// Tells how many requests each node has answered well, of the nodes that are held to be up.
    async fn answered(&self) -> Option<BTreeMap<String, u64>> {
        let answer = self.http.get(&self.figures).send().await.ok()?;
        let text = answer.text().await.ok()?;
        let mut rows = text
            .trim_start_matches("# ")
            .lines()
            .map(|line| line.split(',').collect::<Vec<_>>());
        let head = rows.next()?;
        let column = |name| head.iter().position(|column| *column == name).expect("a column");
        let (proxy, server) = (column("pxname"), column("svname"));
        let (status, good) = (column("status"), column("hrsp_2xx"));
        let nodes = rows.filter(|row| row.len() > good && row[proxy] == "nodes" && row[server] != "BACKEND");
        nodes
            .filter(|row| row[status] == "UP")
            .map(|row| Some((row[server].to_owned(), row[good].parse().ok()?)))
            .collect()
    }

    /// Waits until each of three nodes answers more requests than it has so far.
    async fn reaches_all_nodes(&self) {
        let before = eventually("all nodes are up", || async {
            self.answered().await.filter(|nodes| nodes.len() == 3)
        })
        .await;
        eventually("every node answers requests", || async {
            let now = self.answered().await?;
            let more = |(node, count): (&String, &u64)| now.get(node).is_some_and(|now| now > count);
            before.iter().all(more).then_some(())
        })
        .await;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Neither fails: it is a child of ours, and was not waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Puts ports of this machine in the place of the shipped file's addresses.
fn configuration(nodes: &[LaunchedNode], api: u16, figures: u16) -> String {
    let shipped = include_str!("../../deploy/haproxy/haproxy.cfg");
    let mut text: String = shipped
        .lines()
        .filter(|line| !NOT_HERE.iter().any(|word| line.trim_start().starts_with(word)))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut replace = |from: &str, to: &str| {
        assert_eq!(
            text.matches(from).count(),
            1,
            "`{from}` is in the shipped file once"
        );
        text = text.replace(from, to);
    };
    replace("bind :80\n", &format!("bind 127.0.0.1:{api}\n"));
    replace("bind 127.0.0.1:8404\n", &format!("bind 127.0.0.1:{figures}\n"));
    for (index, node) in (1..).zip(nodes) {
        let address = |url: &str| url.trim_start_matches("http://").to_owned();
        let ops = address(&node.ops);
        let (_, ops_port) = ops.rsplit_once(':').expect("an address with a port");
        replace(
            &format!("server n{index} 10.0.0.{index}:8080 port 9080\n"),
            &format!("server {} {} port {ops_port}\n", node.name, address(&node.api)),
        );
    }
    text
}

/// People who look at a product without a pause.
struct Readers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<(usize, Vec<String>)>,
}

impl Readers {
    fn start(person: &Person, product: &str) -> Self {
        let mut readers = Self {
            stop: Arc::default(),
            tasks: JoinSet::new(),
        };
        for _ in 0..2 {
            let (stop, person) = (Arc::clone(&readers.stop), person.clone());
            let path = format!("/v1/products/{product}");
            readers.tasks.spawn(async move {
                let (mut reads, mut failed) = (0, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    match person.try_send(reqwest::Method::GET, &path, &[], None).await {
                        Ok(answer) if answer.status == 200 => reads += 1,
                        Ok(answer) => failed.push(answer.verdict()),
                        Err(error) => failed.push(error.to_string()),
                    }
                }
                (reads, failed)
            });
        }
        readers
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for (reads, failed) in self.tasks.join_all().await {
            assert!(
                reads > 0 && failed.is_empty(),
                "{reads} reads went well, but {failed:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_the_shipped_haproxy_do_not_see_nodes_die_stop_and_come_back() {
    let Some(program) = Balancer::program() else {
        eprintln!("skipped: HAProxy is not installed");
        return;
    };
    let up = Launched::start_at(Site::new(), &[]).await;
    let balancer = Balancer::start(program, &up).await;
    let products = vec![up.admin().await.lists("mug", STOCK).await];
    let customer = up.stranger(0).at(&balancer.api).sign_up("customer").await;
    let shoppers = Shoppers::start(&customer, &vec![balancer.api.clone(); 3], &products);
    let readers = Readers::start(&customer, &products[0]);
    balancer.reaches_all_nodes().await;
    for (name, signal) in [("n2", Signal::SIGKILL), ("n3", Signal::SIGTERM)] {
        let node = up.node(name);
        node.process.signal(signal);
        shoppers.place(50).await;
        up.is_back(&node).await;
        balancer.reaches_all_nodes().await;
    }
    readers.stop().await;
    let ledger = shoppers.stop().await;
    assert!(
        ledger.refusals.is_empty() && ledger.unanswered.is_empty(),
        "clients of HAProxy saw {:?} {:?}",
        ledger.refusals,
        ledger.unanswered
    );
    ledger.check(&customer, &products, i64::from(STOCK)).await;
}
