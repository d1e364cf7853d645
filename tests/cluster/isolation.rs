//! Nodes that reach Postgres but not their peers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_actors::{
    Ended, Node,
    client::NodeState,
    link::{Direction, FaultState},
};

use crate::harness::{Cluster, eventually};

/// How long a vote takes at most, on a machine that is busy.
const VOTED_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_from_its_peers_is_outvoted_and_they_serve_what_it_had() {
    let cluster = Cluster::start(3).await;
    let mug = cluster.seller("seller").await.lists("mug", 100).await;
    let owner = cluster.owner_of_product(&mug).await;
    let buyer = cluster.sign_up("buyer").await.at(cluster.api(owner + 1));
    let cut_off = &cluster.node(owner).node;
    let faults = cut_off.link().faults();
    for direction in [Direction::Inbound, Direction::Outbound] {
        faults.set(None, direction, FaultState::Cut);
    }
    // Its heart beats: only the others' word ends it, and its own ends none of them.
    let ended = tokio::time::timeout(VOTED_WITHIN, cut_off.ended()).await;
    assert_eq!(ended, Ok(Ended::Superseded));
    eventually("the others serve what it had", || async {
        let answer = buyer.orders(&[(&mug, 1)]).await;
        (answer.status == 201).then_some(())
    })
    .await;
    let nodes = cluster.store.nodes().await.expect("nodes");
    let living = nodes.iter().filter(|node| !node.state.is_over()).count();
    assert_eq!(living, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_without_a_session_neither_is_outvoted() {
    let cluster = Cluster::start(2).await;
    let mug = cluster.seller("seller").await.lists("mug", 100).await;
    let owner = cluster.owner_of_product(&mug).await;
    let buyer = cluster.sign_up("buyer").await.at(cluster.api(owner));
    let faults = cluster.node(owner).node.link().faults();
    for direction in [Direction::Inbound, Direction::Outbound] {
        faults.set(None, direction, FaultState::Cut);
    }
    eventually("both have voted", || async {
        (cluster.count("SELECT count(*) FROM suspicion").await == 2).then_some(())
    })
    .await;
    buyer.orders(&[(&mug, 1)]).await.expect(201);
    let nodes = cluster.store.nodes().await.expect("nodes");
    assert!(nodes.iter().all(|node| !node.state.is_over()), "{nodes:?}");
    faults.heal();
    let other = buyer.at(cluster.api(owner + 1));
    eventually("both reach each other again", || async {
        (other.orders(&[(&mug, 1)]).await.status == 201).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_a_black_hole_swallows_is_replaced_within_the_budget_of_one_request() {
    let cluster = Cluster::start(3).await;
    let mug = cluster.seller("seller").await.lists("mug", 100).await;
    let owner = cluster.owner_of_product(&mug).await;
    let buyer = cluster.sign_up("buyer").await;
    let others = [buyer.at(cluster.api(owner + 1)), buyer.at(cluster.api(owner + 2))];
    let swallowed = &cluster.node(owner).node;
    let began = Instant::now();
    swallowed
        .link()
        .faults()
        .set(None, Direction::Both, FaultState::BlackHole);
    // Nothing breaks and its heart beats: only the silence tells.
    let lines = [(mug.as_str(), 1)];
    let (one, two) = tokio::join!(others[0].orders(&lines), others[1].orders(&lines));
    one.expect(201);
    two.expect(201);
    println!(
        "answered {} ms after the link fell silent",
        began.elapsed().as_millis()
    );
    let ended = tokio::time::timeout(VOTED_WITHIN, swallowed.ended()).await;
    assert_eq!(ended, Ok(Ended::Superseded));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_joins_owns_nothing_before_it_reaches_a_majority() {
    let mut cluster = Cluster::start(2).await;
    let there: Vec<Arc<Node>> = (0..2).map(|n| Arc::clone(&cluster.node(n).node)).collect();
    for node in &there {
        node.link().faults().set(None, Direction::Both, FaultState::Cut);
    }
    let store = cluster.store.clone();
    let joiner = || async {
        let nodes = store.nodes().await.ok()?;
        nodes.into_iter().find(|node| node.name == "n3")
    };
    let heal = async {
        eventually("its heart has beaten for a second", || async {
            joiner().await.filter(|node| node.seq > 5)
        })
        .await;
        let row = joiner().await.expect("a joiner");
        assert_eq!(row.state, NodeState::Joining);
        for node in &there {
            node.link().faults().heal();
        }
    };
    tokio::join!(cluster.restart("n3"), heal);
    cluster.settled().await;
}
