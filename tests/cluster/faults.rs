//! Owners that die, are paused or cut off: no acknowledged order is lost, and none is made twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use holdfast_actors::{
    Ended,
    link::{Direction, FaultState},
};
use tokio::task::JoinSet;

use crate::harness::{Cluster, Person, eventually, random_key};

/// Buyers that order until they are told to stop, and what they were told.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    buyers: JoinSet<Ledger>,
    buyer: Person,
    product: String,
}

/// What a buyer was told: the order of each key, and keys whose outcome stayed unknown.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeMap<String, String>,
    unanswered: Vec<String>,
}

impl Load {
    pub(super) fn start(buyer: &Person, apis: &[String], product: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut buyers = JoinSet::new();
        for n in 0..8 {
            let (buyer, stop) = (buyer.at(&apis[n % apis.len()]), Arc::clone(&stop));
            let product = product.to_owned();
            buyers.spawn(async move {
                let mut ledger = Ledger::default();
                while !stop.load(Ordering::Relaxed) {
                    let key = random_key();
                    let answer = buyer.orders_with_key(&key, &[(&product, 1)]).await;
                    match (answer.status.as_u16(), answer.body["id"].as_str()) {
                        (201, Some(id)) => drop(ledger.acknowledged.insert(key, id.to_owned())),
                        (503, _) => ledger.unanswered.push(key),
                        _ => panic!("{answer:?}"),
                    }
                }
                ledger
            });
        }
        Self {
            stop,
            buyers,
            buyer: buyer.clone(),
            product: product.to_owned(),
        }
    }

    /// Waits until orders have flowed for a while from now on.
    pub(super) async fn flows(&self) {
        let reserved = || async { self.buyer.stock_of(&self.product).await.1 };
        let before = reserved().await;
        eventually("orders flow", || async {
            (reserved().await > before + 50).then_some(())
        })
        .await;
    }

    /// Stops, and checks that no request failed and what was told is so.
    pub(super) async fn ends_well(self, stock: i64) {
        let (buyer, product) = (self.buyer.clone(), self.product.clone());
        let ledger = self.stop().await;
        assert!(
            ledger.unanswered.is_empty(),
            "{} requests failed",
            ledger.unanswered.len()
        );
        check(&ledger, &buyer, &product, stock).await;
    }

    async fn stop(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Ledger::default();
        for ledger in self.buyers.join_all().await {
            all.acknowledged.extend(ledger.acknowledged);
            all.unanswered.extend(ledger.unanswered);
        }
        all
    }
}

/// Asks again under every key: acknowledged ones answer with the same order, the others make one at
/// most, and the stock tells how many there are.
async fn check(ledger: &Ledger, buyer: &Person, product: &str, stock: i64) {
    let mut orders: BTreeSet<String> = ledger.acknowledged.values().cloned().collect();
    assert_eq!(orders.len(), ledger.acknowledged.len(), "two keys made one order");
    for (key, id) in &ledger.acknowledged {
        let again = buyer.orders_with_key(key, &[(product, 1)]).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{again:?}");
        assert_eq!(again.expect(201)["id"].as_str(), Some(id.as_str()));
    }
    for key in &ledger.unanswered {
        let made = buyer.orders_with_key(key, &[(product, 1)]).await.expect(201);
        orders.insert(made["id"].as_str().expect("an id").to_owned());
    }
    let sold = i64::try_from(orders.len()).expect("a small number");
    assert_eq!(buyer.stock_of(product).await, (stock, sold, stock - sold));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_an_owner_under_load_loses_no_order_and_doubles_none() {
    let mut cluster = Cluster::start(3).await;
    let mug = cluster.seller("seller").await.lists("mug", 1_000_000).await;
    let owner = cluster.owner_of_product(&mug).await;
    let survivors: Vec<String> = (0..3)
        .filter(|n| *n != owner)
        .map(|n| cluster.api(n).to_owned())
        .collect();
    let buyer = cluster.sign_up("buyer").await.at(&survivors[0]);
    let load = Load::start(&buyer, &survivors, &mug);
    load.flows().await;
    let name = cluster.crash(owner).await;
    load.flows().await;
    cluster.restart(&name).await;
    cluster.settled().await;
    load.flows().await;
    load.ends_well(1_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_hands_over_and_the_others_fail_no_request() {
    let mut cluster = Cluster::start(3).await;
    let mug = cluster.seller("seller").await.lists("mug", 1_000_000).await;
    let owner = cluster.owner_of_product(&mug).await;
    let survivors: Vec<String> = (0..3)
        .filter(|n| *n != owner)
        .map(|n| cluster.api(n).to_owned())
        .collect();
    let buyer = cluster.sign_up("buyer").await.at(&survivors[0]);
    let load = Load::start(&buyer, &survivors, &mug);
    load.flows().await;
    cluster.stop(owner).await;
    load.flows().await;
    load.ends_well(1_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_owner_that_wakes_cannot_write() {
    let cluster = Cluster::start(3).await;
    let mug = cluster.seller("seller").await.lists("mug", 1_000).await;
    let owner = cluster.owner_of_product(&mug).await;
    let other = (owner + 1) % 3;
    let buyer = cluster.sign_up("buyer").await;
    buyer
        .at(cluster.api(owner))
        .orders(&[(&mug, 1)])
        .await
        .expect(201);
    let paused = &cluster.node(owner).node;
    paused.hold_heartbeats(true);
    let owner_id = paused.node_id();
    eventually("the others declare it dead", || async {
        let nodes = cluster.store.nodes().await.ok()?;
        nodes
            .iter()
            .all(|node| node.node_id != owner_id || node.state.is_over())
            .then_some(())
    })
    .await;
    // It does not know yet, and still believes that it owns the product: the fence stops it, and the
    // order is placed by the new owner.
    let placed = buyer.at(cluster.api(owner)).orders(&[(&mug, 1)]).await;
    assert!(matches!(placed.status.as_u16(), 201 | 503), "{placed:?}");
    buyer
        .at(cluster.api(other))
        .orders(&[(&mug, 1)])
        .await
        .expect(201);
    paused.hold_heartbeats(false);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), paused.ended()).await;
    assert_eq!(ended, Ok(Ended::Superseded), "it finds out and stops");
    let (_, reserved, _) = buyer.at(cluster.api(other)).stock_of(&mug).await;
    assert_eq!(reserved, if placed.status == 201 { 3 } else { 2 });
}

async fn orders_through_a_fault(direction: Direction, state: FaultState) {
    let cluster = Cluster::start(3).await;
    let mug = cluster.seller("seller").await.lists("mug", 1_000_000).await;
    let owner = cluster.owner_of_product(&mug).await;
    let (edge, third) = ((owner + 1) % 3, (owner + 2) % 3);
    let buyer = cluster.sign_up("buyer").await.at(cluster.api(third));
    let load = Load::start(&buyer, &[cluster.api(third).to_owned()], &mug);
    let cut_off = buyer.at(cluster.api(edge));
    let (key, lines) = (random_key(), [(mug.as_str(), 1)]);
    let faults = cluster.node(edge).node.link().faults();
    faults.set(Some(cluster.node(owner).node.node_id().0), direction, state);
    // The edge cannot reach the owner: it says so, and acknowledges nothing that could be lost.
    let refused = cut_off.orders_with_key(&key, &lines).await;
    assert!(matches!(refused.status.as_u16(), 201 | 503), "{refused:?}");
    faults.heal();
    let healed = eventually("the edge reaches the owner again", || async {
        let answer = cut_off.orders_with_key(&key, &lines).await;
        (answer.status == 201).then_some(answer)
    })
    .await;
    let mut ledger = load.stop().await;
    let id = healed.body["id"].as_str().expect("an id").to_owned();
    ledger.acknowledged.insert(key, id);
    check(&ledger, &buyer, &mug, 1_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_cannot_send_to_the_owner_loses_and_doubles_nothing() {
    orders_through_a_fault(Direction::Outbound, FaultState::BlackHole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_cannot_hear_the_owner_loses_and_doubles_nothing() {
    orders_through_a_fault(Direction::Inbound, FaultState::BlackHole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_whose_session_with_the_owner_is_cut_loses_and_doubles_nothing() {
    orders_through_a_fault(Direction::Outbound, FaultState::Cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_an_orders_home_leaves_no_units_behind() {
    let mut cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let products = cluster.products_of_all_nodes(&seller, 10_000).await;
    let lowest = products.iter().min().expect("three").clone();
    let home = cluster.owner_of_product(&lowest).await;
    let edge = (home + 1) % 3;
    let buyer = cluster.sign_up("buyer").await.at(cluster.api(edge));
    let lines: Vec<(String, u32)> = products.iter().map(|id| (id.clone(), 1)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    for _ in 0..6 {
        let (buyer, lines, stop) = (buyer.clone(), lines.clone(), Arc::clone(&stop));
        buyers.spawn(async move {
            let mut orders = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let lines: Vec<(&str, u32)> = lines.iter().map(|(id, units)| (id.as_str(), *units)).collect();
                let (key, mut answer) = (random_key(), None);
                while answer.is_none() {
                    let told = buyer.orders_with_key(&key, &lines).await;
                    answer = (told.status == 201).then_some(told);
                }
                orders.extend(answer.and_then(|answer| answer.body["id"].as_str().map(str::to_owned)));
            }
            orders
        });
    }
    let reserved = || async { buyer.stock_of(&lowest).await.1 };
    eventually("orders flow", || async { (reserved().await > 20).then_some(()) }).await;
    cluster.crash(home).await;
    let at_death = reserved().await;
    eventually("orders flow again", || async {
        (reserved().await > at_death + 20).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let orders: BTreeSet<String> = buyers.join_all().await.into_iter().flatten().collect();
    let sold = i64::try_from(orders.len()).expect("a small number");
    for product in &products {
        eventually("every product has reserved exactly what was ordered", || async {
            (buyer.stock_of(product).await.1 == sold).then_some(())
        })
        .await;
    }
}
