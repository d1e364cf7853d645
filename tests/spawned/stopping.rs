//! The end of a cluster, asked for or not: nothing stays behind, and nothing acknowledged is lost.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::shoppers::Shoppers;
use crate::harness::{
    Person,
    launched::{Launched, Process},
};

/// What `up` promises, whatever its nodes are doing.
const STOPS_WITHIN: Duration = Duration::from_secs(10);
const STOCK: u32 = 1_000_000;

/// A customer who orders at every node, and what there is to order.
struct Trade {
    customer: Person,
    products: Vec<String>,
    shoppers: Shoppers,
}

impl Trade {
    async fn start(up: &Launched) -> Self {
        let admin = up.admin().await;
        let products = vec![admin.lists("mug", STOCK).await, admin.lists("bowl", STOCK).await];
        let customer = up.stranger(0).sign_up("customer").await;
        let apis: Vec<String> = up.nodes().into_iter().map(|node| node.api).collect();
        let shoppers = Shoppers::start(&customer, &apis, &products);
        shoppers.place(50).await;
        Self {
            customer,
            products,
            shoppers,
        }
    }

    /// Starts the cluster again and looks for every order.
    async fn finds_every_order(self, up: &mut Launched) {
        let ledger = self.shoppers.stop().await;
        up.start_again().await;
        let customer = self.customer.sign_in().await;
        assert!(ledger.acknowledged.len() >= 50);
        ledger.check(&customer, &self.products, i64::from(STOCK)).await;
    }
}

async fn stops_in_good_order_on(signal: Signal) {
    let mut up = Launched::start().await;
    let trade = Trade::start(&up).await;
    let cluster_file = up.site().data_dir().join("run").join("cluster.json");
    let mut processes: Vec<Process> = up.nodes().into_iter().map(|node| node.process).collect();
    processes.push(up.postgres());
    processes.push(up.up());
    assert!(cluster_file.exists() && !processes.iter().any(Process::is_gone));
    let stopped = up.stop(signal);
    assert_eq!(stopped.status.code(), Some(0), "{}", up.remarked());
    assert!(stopped.took < STOPS_WITHIN, "{stopped:?}: {}", up.remarked());
    assert!(processes.iter().all(Process::is_gone), "{processes:?}");
    assert!(!cluster_file.exists(), "it names nodes that are gone");
    trade.shoppers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_stops_everything_within_ten_seconds_and_leaves_no_process_behind() {
    stops_in_good_order_on(Signal::SIGTERM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_stops_everything_within_ten_seconds_and_leaves_no_process_behind() {
    stops_in_good_order_on(Signal::SIGINT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_everything_was_stopped_and_started_again() {
    let mut up = Launched::start().await;
    let trade = Trade::start(&up).await;
    up.stop(Signal::SIGTERM);
    trade.finds_every_order(&mut up).await;
}

// Linux alone ends the children of a process that was killed.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_up_itself_leaves_no_process_behind_and_loses_no_order() {
    let mut up = Launched::start().await;
    let trade = Trade::start(&up).await;
    up.kill();
    trade.finds_every_order(&mut up).await;
}
