//! Requests find their owner over real sessions.

use serde_json::json;

use crate::harness::{Cluster, eventually};

#[tokio::test]
async fn a_request_for_another_nodes_product_crosses_the_link() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 5).await;
    let owner = cluster.owner_of_product(&mug).await;
    let edge = (owner + 1) % cluster.len();
    let buyer = cluster.sign_up("buyer").await;
    let owner_id = cluster.node(owner).node.node_id().0;
    let link = cluster.node(edge).node.link();
    let before = link.peer_counters(owner_id).expect("a session");
    buyer.at(cluster.api(edge)).orders(&[(&mug, 1)]).await.expect(201);
    let after = link.peer_counters(owner_id).expect("a session");
    assert!(after.calls_out > before.calls_out, "{before:?} {after:?}");
    assert!(after.bytes_out > before.bytes_out && after.bytes_in > before.bytes_in);
}

#[tokio::test]
async fn shards_are_spread_over_the_nodes_and_move_to_one_that_joins() {
    let mut cluster = Cluster::start(2).await;
    cluster.restart("n3").await;
    cluster.settled().await;
    for node in 0..3 {
        let operator = cluster.admin().at(&cluster.node(node).ops);
        eventually("every node sees three of them", || async {
            let view = operator.get("/v1/cluster").await.expect(200);
            (view["nodes"].as_array().map(Vec::len) == Some(3)).then_some(())
        })
        .await;
    }
    let mug = cluster.seller("seller").await.lists("mug", 5).await;
    let buyer = cluster.sign_up("buyer").await;
    for node in 0..3 {
        buyer.at(cluster.api(node)).orders(&[(&mug, 1)]).await.expect(201);
    }
}

#[tokio::test]
async fn an_entity_that_disagrees_with_the_database_is_loaded_anew() {
    let cluster = Cluster::start(1).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 5).await;
    let buyer = cluster.sign_up("buyer").await;
    buyer.orders(&[(&mug, 1)]).await.expect(201);
    // Somebody repairs the shop by hand: the owner's memory is now wrong.
    cluster
        .execute(&format!(
            "UPDATE stock SET on_hand = on_hand + 5, version = version + 1 WHERE product_id = '{mug}';
             INSERT INTO stock_movement (product_id, version, movement_id, kind, delta_on_hand, delta_reserved,
                                         on_hand, reserved, actor_id, at)
             SELECT product_id, version, gen_random_uuid(), 'adjustment', 5, 0, on_hand, reserved,
                    '{}', now() FROM stock WHERE product_id = '{mug}'",
            seller.id
        ))
        .await;
    buyer.orders(&[(&mug, 1)]).await.expect(201);
    assert_eq!(buyer.stock_of(&mug).await, (10, 2, 8));
}

#[tokio::test]
async fn a_read_on_any_node_sees_what_was_acknowledged_before_it() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 100).await;
    let path = format!("/v1/products/{mug}");
    for version in 1..=10 {
        let name = format!("mug {version}");
        seller
            .patch(&path, version, json!({ "name": name }))
            .await
            .expect(200);
        for node in 0..cluster.len() {
            let found = seller.at(cluster.api(node)).get_now(&path).await;
            assert_eq!(found.header("x-staleness-ms"), Some("0"));
            assert_eq!(found.expect(200)["name"], name);
        }
    }
}

#[tokio::test]
async fn idle_entities_are_stopped_and_come_back_when_asked() {
    let cluster = Cluster::start_tuned(1, |options| options.entities_max = 1).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 5).await;
    let buyer = cluster.sign_up("buyer").await;
    eventually(
        "an order still goes through after every entity was stopped once",
        || async {
            buyer.orders(&[(&mug, 1)]).await;
            (buyer.stock_of(&mug).await.2 == 0).then_some(())
        },
    )
    .await;
}
