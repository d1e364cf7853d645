//! Selling: nothing is sold twice, wherever it is bought.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Cluster, eventually, random_key};

#[tokio::test]
async fn of_two_buyers_of_the_last_unit_on_different_nodes_one_gets_it() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let (ada, bob) = (
        cluster.sign_up("ada").await,
        cluster.sign_up("bob").await.at(cluster.api(1)),
    );
    for _ in 0..10 {
        let mug = seller.lists("mug", 1).await;
        let lines = [(mug.as_str(), 1)];
        let (first, second) = tokio::join!(ada.orders(&lines), bob.orders(&lines));
        let mut verdicts = [first.verdict(), second.verdict()];
        verdicts.sort();
        assert_eq!(verdicts, ["201", "409 insufficient-stock"]);
        assert_eq!(ada.stock_of(&mug).await, (1, 1, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_orders_on_a_stock_of_one_hundred_sell_exactly_one_hundred() {
    let cluster = Cluster::start(3).await;
    let mug = cluster.seller("seller").await.lists("mug", 100).await;
    let buyer = cluster.sign_up("buyer").await;
    let orders = (0..500).map(|n| {
        let (buyer, mug) = (buyer.at(cluster.api(n)), mug.clone());
        async move { buyer.orders(&[(&mug, 1)]).await.verdict() }
    });
    let mut tally = BTreeMap::<String, u32>::new();
    for verdict in join_all(orders).await {
        *tally.entry(verdict).or_default() += 1;
    }
    let expected = BTreeMap::from([
        ("201".to_owned(), 100),
        ("409 insufficient-stock".to_owned(), 400),
    ]);
    assert_eq!(tally, expected);
    assert_eq!(buyer.stock_of(&mug).await, (100, 100, 0));
}

#[tokio::test]
async fn a_refusal_names_what_is_short_and_reserves_nothing() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let products = cluster.products_of_all_nodes(&seller, 2).await;
    let buyer = cluster.sign_up("buyer").await;
    let lines: Vec<(&str, u32)> = products
        .iter()
        .zip([2, 3, 2])
        .map(|(id, units)| (id.as_str(), units))
        .collect();
    let refused = buyer.orders(&lines).await.problem(409, "insufficient-stock");
    let short = json!([{ "product_id": products[1], "requested": 3, "available": 2 }]);
    assert_eq!(refused["lines"], short);
    for product in &products {
        eventually("nothing is reserved", || async {
            (buyer.stock_of(product).await == (2, 0, 2)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_order_over_products_of_several_nodes_reserves_all_of_them() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let products = cluster.products_of_all_nodes(&seller, 5).await;
    let buyer = cluster.sign_up("buyer").await;
    for node in 0..cluster.len() {
        let lines: Vec<(&str, u32)> = products.iter().map(|id| (id.as_str(), 1)).collect();
        let order = buyer.at(cluster.api(node)).orders(&lines).await.expect(201);
        assert_eq!(order["status"], "pending_payment");
        assert_eq!(order["total"], json!({ "amount": 3 * 1_999, "currency": "EUR" }));
        assert_eq!(order["lines"].as_array().map(Vec::len), Some(3));
    }
    for product in &products {
        assert_eq!(buyer.stock_of(product).await, (5, 3, 2));
    }
}

#[tokio::test]
async fn an_edit_of_a_stale_version_is_refused_while_selling_goes_on() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 50).await;
    let (path, buyer) = (format!("/v1/products/{mug}"), cluster.sign_up("buyer").await);
    for n in 0..10 {
        buyer.at(cluster.api(n)).orders(&[(&mug, 1)]).await.expect(201);
    }
    // Ten sales later the catalogue's version is what it was.
    seller.patch(&path, 1, json!({ "name": "Cup" })).await.expect(200);
    let refused = seller
        .at(cluster.api(1))
        .patch(&path, 1, json!({ "name": "Bowl" }))
        .await;
    assert_eq!(refused.problem(412, "version-mismatch")["current_version"], 2);
    buyer.orders(&[(&mug, 1)]).await.expect(201);
    let found = buyer.get_now(&path).await.expect(200);
    assert_eq!(
        (found["name"].as_str(), found["version"].as_i64()),
        (Some("Cup"), Some(2))
    );
    assert_eq!(buyer.stock_of(&mug).await, (50, 11, 39));
}

#[tokio::test]
async fn cancelling_returns_the_stock_to_every_node() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let products = cluster.products_of_all_nodes(&seller, 3).await;
    let buyer = cluster.sign_up("buyer").await;
    let lines: Vec<(&str, u32)> = products.iter().map(|id| (id.as_str(), 2)).collect();
    let order = buyer.orders(&lines).await.expect(201);
    let path = format!("/v1/orders/{}/cancel", order["id"].as_str().expect("an id"));
    let cancelled = buyer
        .at(cluster.api(2))
        .post(&path, json!({ "reason": "changed my mind" }))
        .await
        .expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    for product in &products {
        eventually("the stock is back", || async {
            (buyer.stock_of(product).await == (3, 0, 3)).then_some(())
        })
        .await;
    }
    buyer
        .post(&path, json!({}))
        .await
        .problem(409, "invalid-transition");
}

#[tokio::test]
async fn adjustments_on_different_nodes_add_up() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 10).await;
    let path = format!("/v1/products/{mug}/stock/adjustments");
    let adjust = |n: usize, delta: i64| {
        let (seller, path) = (seller.at(cluster.api(n)), path.clone());
        async move {
            seller
                .post(&path, json!({ "delta": delta, "reason": "received" }))
                .await
        }
    };
    let answers = join_all((0..30).map(|n| adjust(n, 1))).await;
    assert!(answers.iter().all(|answer| answer.status == 201));
    adjust(1, -40).await.expect(201);
    adjust(2, -1).await.problem(409, "insufficient-stock");
    assert_eq!(seller.stock_of(&mug).await, (0, 0, 0));
    let ledger = seller
        .get(&format!("/v1/products/{mug}/stock/movements?limit=200"))
        .await
        .expect(200);
    assert_eq!(ledger["data"].as_array().map(Vec::len), Some(32));
}

#[tokio::test]
async fn what_is_reserved_cannot_be_written_off() {
    let cluster = Cluster::start(1).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 3).await;
    cluster
        .sign_up("buyer")
        .await
        .orders(&[(&mug, 2)])
        .await
        .expect(201);
    let path = format!("/v1/products/{mug}/stock/adjustments");
    seller
        .post(&path, json!({ "delta": -2, "reason": "broken" }))
        .await
        .problem(409, "insufficient-stock");
    seller
        .post(&path, json!({ "delta": -1, "reason": "broken" }))
        .await
        .expect(201);
    assert_eq!(seller.stock_of(&mug).await, (2, 2, 0));
}

#[tokio::test]
async fn a_count_is_taken_only_if_nothing_has_moved_since() {
    let cluster = Cluster::start(1).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 3).await;
    let path = format!("/v1/products/{mug}/stock");
    let set = |version: i64| {
        let headers = [("if-match", format!("\"{version}\""))];
        let (seller, path) = (seller.clone(), path.clone());
        async move {
            let headers = [(headers[0].0, headers[0].1.as_str())];
            seller
                .send(
                    reqwest::Method::PUT,
                    &path,
                    &headers,
                    Some(json!({ "on_hand": 20 })),
                )
                .await
        }
    };
    cluster
        .sign_up("buyer")
        .await
        .orders(&[(&mug, 1)])
        .await
        .expect(201);
    assert_eq!(
        set(1).await.problem(412, "version-mismatch")["current_version"],
        2
    );
    assert_eq!(set(2).await.expect(200)["available"], 19);
}

#[tokio::test]
async fn one_key_makes_one_order_on_whichever_node_it_is_used() {
    let cluster = Cluster::start(3).await;
    let mug = cluster.seller("seller").await.lists("mug", 50).await;
    let (buyer, key) = (cluster.sign_up("buyer").await, random_key());
    let attempts = (0..30).map(|n| {
        let (buyer, mug, key) = (buyer.at(cluster.api(n)), mug.clone(), key.clone());
        async move { buyer.orders_with_key(&key, &[(&mug, 1)]).await.expect(201) }
    });
    let orders = join_all(attempts).await;
    assert!(orders.iter().all(|order| order == &orders[0]));
    assert_eq!(buyer.stock_of(&mug).await, (50, 1, 49));
}
