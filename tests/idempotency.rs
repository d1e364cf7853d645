//! One key, one effect - whoever asks again, and wherever.

use serde_json::json;

use crate::harness::{Cluster, PASSWORD, eventually, product, random_key};

#[tokio::test]
async fn a_key_that_is_used_for_another_order_is_refused_on_every_node() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let products = cluster.products_of_all_nodes(&seller, 5).await;
    let (buyer, key) = (cluster.sign_up("buyer").await, random_key());
    buyer
        .orders_with_key(&key, &[(&products[0], 1)])
        .await
        .expect(201);
    for node in 0..3 {
        let other = buyer
            .at(cluster.api(node))
            .orders_with_key(&key, &[(&products[1], 1)])
            .await;
        other.problem(422, "idempotency-key-reuse");
    }
    assert_eq!(buyer.stock_of(&products[1]).await, (5, 0, 5));
}

#[tokio::test]
async fn a_refusal_is_remembered_by_its_key_and_a_new_key_tries_anew() {
    let cluster = Cluster::start(2).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 1).await;
    let (buyer, key) = (cluster.sign_up("buyer").await, random_key());
    let refused = buyer
        .orders_with_key(&key, &[(&mug, 2)])
        .await
        .problem(409, "insufficient-stock");
    let path = format!("/v1/products/{mug}/stock/adjustments");
    seller
        .post(&path, json!({ "delta": 5, "reason": "received" }))
        .await
        .expect(201);
    let again = buyer.at(cluster.api(1)).orders_with_key(&key, &[(&mug, 2)]).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(
        again.problem(409, "insufficient-stock")["lines"],
        refused["lines"]
    );
    buyer.orders(&[(&mug, 2)]).await.expect(201);
}

#[tokio::test]
async fn a_repeat_shows_the_order_as_it_was_placed_whatever_became_of_it() {
    let cluster = Cluster::start(2).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 5).await;
    let (buyer, key) = (cluster.sign_up("buyer").await, random_key());
    let first = buyer.orders_with_key(&key, &[(&mug, 1)]).await;
    assert_eq!(first.header("idempotent-replayed"), None);
    let first = first.expect(201);
    buyer
        .pays(first["id"].as_str().expect("an id"), "card")
        .await
        .expect(201);
    seller
        .send(
            reqwest::Method::DELETE,
            &format!("/v1/products/{mug}"),
            &[("if-match", "\"1\"")],
            None,
        )
        .await
        .expect(204);
    let again = buyer.at(cluster.api(1)).orders_with_key(&key, &[(&mug, 1)]).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(201), first);
}

#[tokio::test]
async fn orders_and_payments_need_a_key() {
    let cluster = Cluster::start(1).await;
    let mug = cluster.seller("seller").await.lists("mug", 5).await;
    let buyer = cluster.sign_up("buyer").await;
    let body = crate::harness::order(&[(&mug, 1)]);
    let keyless = buyer
        .send(reqwest::Method::POST, "/v1/orders", &[], Some(body.clone()))
        .await;
    keyless.problem(400, "idempotency-key-required");
    buyer.post_with_key("/v1/orders", "short", body).await.expect(400);
}

#[tokio::test]
async fn an_adjustment_that_is_sent_twice_counts_once() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let (mug, key) = (seller.lists("mug", 10).await, random_key());
    let path = format!("/v1/products/{mug}/stock/adjustments");
    let body = json!({ "delta": 5, "reason": "received" });
    let first = seller.post_with_key(&path, &key, body.clone()).await.expect(201);
    for node in 0..3 {
        let again = seller
            .at(cluster.api(node))
            .post_with_key(&path, &key, body.clone())
            .await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.expect(201), first);
    }
    assert_eq!(seller.stock_of(&mug).await, (15, 0, 15));
}

#[tokio::test]
async fn a_product_that_is_created_twice_is_one_product() {
    let cluster = Cluster::start(2).await;
    let (seller, key, body) = (cluster.seller("seller").await, random_key(), product("mug", 1));
    let first = seller
        .post_with_key("/v1/products", &key, body.clone())
        .await
        .expect(201);
    let again = seller
        .at(cluster.api(1))
        .post_with_key("/v1/products", &key, body.clone())
        .await
        .expect(201);
    assert_eq!(first, again);
    seller.post("/v1/products", body).await.problem(409, "sku-taken");
}

#[tokio::test]
async fn a_repeat_while_the_first_still_runs_waits_and_is_told_so_at_its_deadline() {
    let cluster = Cluster::start(2).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 5).await;
    let (buyer, key) = (cluster.sign_up("buyer").await, random_key());
    // Commits wait for these locks, and no longer than a statement may take.
    let locks = cluster.hold("LOCK TABLE orders IN EXCLUSIVE MODE").await;
    let first = {
        let (buyer, key, mug) = (buyer.clone(), key.clone(), mug.clone());
        tokio::spawn(async move { buyer.orders_with_key(&key, &[(&mug, 1)]).await })
    };
    eventually("the first waits for its commit", || async {
        let waiting = "SELECT count(*) FROM pg_stat_activity 
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        (cluster.count(waiting).await > 0).then_some(())
    })
    .await;
    let again = buyer.at(cluster.api(1)).orders_with_key(&key, &[(&mug, 1)]).await;
    assert!(again.header("retry-after").is_some());
    again.problem(409, "request-in-progress");
    drop(locks);
    let first = first.await.expect("no panic");
    let order = eventually("the repeat has the order", || async {
        let again = buyer.at(cluster.api(1)).orders_with_key(&key, &[(&mug, 1)]).await;
        (again.status == 201).then(|| again.body.clone())
    })
    .await;
    if first.status == 201 {
        assert_eq!(first.body["id"], order["id"]);
    }
    assert_eq!(buyer.stock_of(&mug).await, (5, 1, 4));
}

#[tokio::test]
async fn the_same_key_with_another_password_is_another_request() {
    let cluster = Cluster::start(2).await;
    let (ada, key) = (cluster.sign_up("ada").await, random_key());
    let change = |new: &str| json!({ "current_password": PASSWORD, "new_password": new });
    let path = "/v1/me/password";
    ada.post_with_key(path, &key, change("another long secret"))
        .await
        .expect(204);
    let other = ada
        .at(cluster.api(1))
        .post_with_key(path, &key, change("a third long secret"))
        .await;
    other.problem(422, "idempotency-key-reuse");
    let again = ada
        .at(cluster.api(1))
        .post_with_key(path, &key, change("another long secret"))
        .await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    again.expect(204);
    ada.log_in("another long secret").await.expect(200);
}

#[tokio::test]
async fn ending_all_sessions_again_under_its_key_leaves_newer_ones_alone() {
    let cluster = Cluster::start(2).await;
    let (ada, key) = (cluster.sign_up("ada").await, random_key());
    let path = "/v1/auth/logout-all";
    ada.post_with_key(path, &key, json!({})).await.expect(204);
    let newer = ada.sign_in().await;
    let again = newer
        .at(cluster.api(1))
        .post_with_key(path, &key, json!({}))
        .await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    again.expect(204);
    newer.get("/v1/me").await.expect(200);
}
