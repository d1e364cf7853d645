//! Nodes that an operator drains: they stay up, pass requests on, and own nothing.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::faults::Load;
use crate::harness::{Cluster, Person, eventually};

/// Waits until a node owns nothing, as `operator`'s node sees it.
async fn owns_nothing(operator: &Person, id: &str) {
    eventually("the node owns nothing", || async {
        let view = operator.get("/v1/cluster").await.expect(200);
        let shards = view["shards"].as_array()?;
        let is_owner = shards.iter().any(|shard| shard["owner"] == id);
        (!is_owner).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_node_owns_nothing_answers_on_and_fails_no_request() {
    let mut cluster = Cluster::start(3).await;
    let mug = cluster.seller("seller").await.lists("mug", 1_000_000).await;
    let owner = cluster.owner_of_product(&mug).await;
    let apis: Vec<String> = (0..3).map(|n| cluster.api(n).to_owned()).collect();
    let (name, id) = {
        let running = cluster.node(owner);
        (running.name.clone(), running.node.node_id().to_string())
    };
    // Told to another node, it reaches the one that is meant.
    let operator = cluster.admin().at(&cluster.node((owner + 1) % 3).ops);
    let buyer = cluster.sign_up("buyer").await;
    let load = Load::start(&buyer, &apis, &mug);
    load.flows().await;
    let path = format!("/v1/cluster/nodes/{name}/drain");
    for _ in 0..2 {
        let node = operator.post(&path, Value::Null).await.expect(202);
        assert_eq!(
            (&node["name"], &node["state"]),
            (&json!(name), &json!("draining"))
        );
    }
    owns_nothing(&operator, &id).await;
    let drained = operator.at(&cluster.node(owner).ops);
    let ready = drained.get("/readyz?verbose").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.body["checks"]["draining"], true, "{ready:?}");
    load.flows().await;
    load.ends_well(1_000_000).await;
    // Started anew, it gets its share back.
    cluster.stop(owner).await;
    cluster.restart(&name).await;
    cluster.settled().await;
}

#[tokio::test]
async fn only_admins_drain_and_only_nodes_that_are_there() {
    let cluster = Cluster::start(1).await;
    let operator = cluster.admin().at(&cluster.node(0).ops);
    let drain = "/v1/cluster/nodes/n9/drain";
    operator.post(drain, Value::Null).await.problem(404, "not-found");
    let customer = cluster.sign_up("customer").await.at(&cluster.node(0).ops);
    customer.post(drain, Value::Null).await.problem(403, "forbidden");
    let elsewhere = cluster.admin().at(cluster.api(0));
    assert_eq!(
        elsewhere.post(drain, Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_joins_under_load_gets_its_share_and_no_request_fails() {
    let mut cluster = Cluster::start(2).await;
    let mug = cluster.seller("seller").await.lists("mug", 1_000_000).await;
    let apis: Vec<String> = (0..2).map(|n| cluster.api(n).to_owned()).collect();
    let buyer = cluster.sign_up("buyer").await;
    let load = Load::start(&buyer, &apis, &mug);
    load.flows().await;
    cluster.restart("n3").await;
    cluster.settled().await;
    load.flows().await;
    load.ends_well(1_000_000).await;
}
