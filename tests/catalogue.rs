//! The catalogue: who sees and edits what, and how it is found.

use serde_json::json;

use crate::harness::{Cluster, eventually, product};

#[tokio::test]
async fn a_draft_is_seen_by_its_seller_and_admins_alone() {
    let cluster = Cluster::start(2).await;
    let (seller, rival) = (cluster.seller("seller").await, cluster.seller("rival").await);
    let mut body = product("mug", 1);
    body["status"] = json!("draft");
    let draft = seller.post("/v1/products", body).await.expect(201);
    let path = format!("/v1/products/{}", draft["id"].as_str().expect("an id"));
    for node in 0..2 {
        cluster.stranger(node).get(&path).await.problem(404, "not-found");
        rival
            .at(cluster.api(node))
            .get(&path)
            .await
            .problem(404, "not-found");
        rival
            .at(cluster.api(node))
            .patch(&path, 1, json!({ "name": "mine" }))
            .await
            .problem(404, "not-found");
        seller.at(cluster.api(node)).get(&path).await.expect(200);
    }
    cluster.admin().get(&path).await.expect(200);
    let listed = cluster.stranger(0).get("/v1/products").await.expect(200);
    assert_eq!(listed["data"], json!([]));
    let own = seller.get("/v1/products?status=draft").await.expect(200);
    assert_eq!(own["data"][0]["id"], draft["id"]);
}

#[tokio::test]
async fn a_price_that_changes_on_one_node_is_read_on_another() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 1).await;
    let path = format!("/v1/products/{mug}");
    cluster.stranger(2).get(&path).await.expect(200);
    seller
        .at(cluster.api(1))
        .patch(&path, 1, json!({ "price": { "amount": 5, "currency": "EUR" } }))
        .await
        .expect(200);
    eventually("the price is news everywhere", || async {
        let found = cluster.stranger(2).get(&path).await.expect(200);
        (found["price"]["amount"] == 5).then_some(())
    })
    .await;
}

#[tokio::test]
async fn products_are_found_by_words_and_listed_in_pages() {
    let cluster = Cluster::start(2).await;
    let seller = cluster.seller("seller").await;
    for name in ["blue mug", "red mug", "blue hat"] {
        seller.lists(name, 1).await;
    }
    let stranger = cluster.stranger(1);
    let found = stranger.get("/v1/products?q=blue&sort=name").await.expect(200);
    let names: Vec<_> = found["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|found| found["name"].clone())
        .collect();
    assert_eq!(names, [json!("blue hat"), json!("blue mug")]);
    let mut names = Vec::new();
    let mut path = "/v1/products?sort=name&limit=1".to_owned();
    loop {
        let page = stranger.get(&path).await.expect(200);
        names.extend(
            page["data"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|found| found["name"].clone()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/products?sort=name&limit=1&cursor={cursor}");
    }
    assert_eq!(names, [json!("blue hat"), json!("blue mug"), json!("red mug")]);
    stranger
        .get("/v1/products?cursor=nonsense")
        .await
        .problem(400, "invalid-cursor");
}

#[tokio::test]
async fn an_archived_product_is_gone_for_customers_and_cannot_be_ordered() {
    let cluster = Cluster::start(2).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 1).await;
    let path = format!("/v1/products/{mug}");
    seller
        .send(reqwest::Method::DELETE, &path, &[("if-match", "\"1\"")], None)
        .await
        .expect(204);
    cluster.stranger(1).get_now(&path).await.problem(404, "not-found");
    cluster
        .sign_up("buyer")
        .await
        .orders(&[(&mug, 1)])
        .await
        .expect(422);
    assert_eq!(seller.get_now(&path).await.expect(200)["status"], "archived");
}

#[tokio::test]
async fn an_unchanged_product_is_not_sent_again() {
    let cluster = Cluster::start(1).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 1).await;
    let path = format!("/v1/products/{mug}");
    let first = seller.get(&path).await;
    let etag = first.header("etag").expect("an etag").to_owned();
    let again = seller
        .send(reqwest::Method::GET, &path, &[("if-none-match", &etag)], None)
        .await;
    assert_eq!(again.status, 304);
    seller
        .send(reqwest::Method::PATCH, &path, &[], Some(json!({ "name": "x" })))
        .await
        .problem(428, "precondition-required");
}

#[tokio::test]
async fn an_adjustment_gives_its_reason_in_up_to_two_hundred_characters() {
    let cluster = Cluster::start(1).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 1).await;
    let path = format!("/v1/products/{mug}/stock/adjustments");
    let adjust = |chars: usize| json!({ "delta": 1, "reason": "x".repeat(chars) });
    seller.post(&path, adjust(200)).await.expect(201);
    seller.post(&path, adjust(201)).await.problem(422, "validation");
}
