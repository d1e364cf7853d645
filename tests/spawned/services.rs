//! Services apart, as processes: `holdfast up` with the file that is shipped for it.

use nix::sys::signal::Signal;

use super::shoppers::Shoppers;
use crate::harness::launched::{Launched, Site};

const STOCK: u32 = 1_000_000;
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster.services.toml");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_apart_may_be_killed_under_load_and_nothing_is_lost() {
    let up = Launched::start_at(Site::new(), &["--config", FILE]).await;
    let edges: Vec<String> = ["edge1", "edge2"].map(|name| up.node(name).api).into();
    let admin = up.admin().await;
    let products = vec![admin.lists("mug", STOCK).await, admin.lists("bowl", STOCK).await];
    let customer = up.stranger(0).sign_up("customer").await;
    let shoppers = Shoppers::start(&customer, &edges, &products);
    shoppers.place(20).await;
    for name in ["orders1", "products1", "sessions1"] {
        let node = up.node(name);
        node.process.signal(Signal::SIGKILL);
        up.is_back(&node).await;
        shoppers.place(20).await;
    }
    let ledger = shoppers.stop().await;
    let only_away = ledger.refusals.iter().all(|refusal| refusal == "503 unavailable");
    assert!(only_away && ledger.unanswered.is_empty(), "{ledger:?}");
    let customer = customer.sign_in().await;
    for edge in &edges {
        ledger
            .check(&customer.at(edge), &products, i64::from(STOCK))
            .await;
    }
}
