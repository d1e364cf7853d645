//! Orders after they were placed: who sees them, and how they move.

use serde_json::{Value, json};

use crate::harness::{Cluster, Person, eventually, random_key};

async fn order_of(buyer: &Person, product: &str, units: u32) -> String {
    let order = buyer.orders(&[(product, units)]).await.expect(201);
    order["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn another_customers_order_is_not_found() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 5).await;
    let (ada, bob) = (cluster.sign_up("ada").await, cluster.sign_up("bob").await);
    let order = order_of(&ada, &mug, 1).await;
    let path = format!("/v1/orders/{order}");
    for node in 0..3 {
        let bob = bob.at(cluster.api(node));
        bob.get(&path).await.problem(404, "not-found");
        bob.get(&format!("{path}/events")).await.problem(404, "not-found");
        bob.post(&format!("{path}/cancel"), json!({}))
            .await
            .problem(404, "not-found");
        bob.pays(&order, "card").await.problem(404, "not-found");
        bob.patch(&path, 1, json!({ "note": "mine now" }))
            .await
            .problem(404, "not-found");
    }
    ada.get(&path).await.expect(200);
    seller.get(&path).await.expect(200);
    cluster.admin().get(&path).await.expect(200);
}

#[tokio::test]
async fn an_order_is_paid_and_shipped_in_parts() {
    let cluster = Cluster::start(3).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = order_of(&buyer, &mug, 3).await;
    let path = format!("/v1/orders/{order}");
    let ship = |units: u32| {
        let body = json!({ "lines": [{ "product_id": mug, "quantity": units }], "carrier": "post", "tracking": "1Z" });
        let (seller, path) = (
            seller.at(cluster.api(units as usize)),
            format!("{path}/fulfilments"),
        );
        async move { seller.post(&path, body).await }
    };
    ship(1).await.problem(409, "invalid-transition");
    let payment = buyer.at(cluster.api(1)).pays(&order, "card").await.expect(201);
    assert_eq!(
        (payment["status"].as_str(), payment["captured"]["amount"].as_i64()),
        (Some("captured"), Some(3 * 1_999))
    );
    assert_eq!(buyer.get_now(&path).await.expect(200)["status"], "confirmed");
    ship(1).await.expect(201);
    assert_eq!(
        buyer.get_now(&path).await.expect(200)["status"],
        "partially_fulfilled"
    );
    ship(3).await.expect(422);
    ship(2).await.expect(201);
    let shipped = buyer.get_now(&path).await.expect(200);
    assert_eq!(
        (
            shipped["status"].as_str(),
            shipped["lines"][0]["fulfilled"].as_i64()
        ),
        (Some("fulfilled"), Some(3))
    );
    eventually("the units have left the stock", || async {
        (buyer.stock_of(&mug).await == (7, 0, 7)).then_some(())
    })
    .await;
    buyer
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .problem(409, "invalid-transition");
    let events = buyer.get(&format!("{path}/events")).await.expect(200);
    let types: Vec<_> = events["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["type"].clone())
        .collect();
    let expected = [
        "order.placed",
        "payment.captured",
        "order.confirmed",
        "order.fulfilled",
        "order.fulfilled",
    ];
    assert_eq!(types, expected.map(Value::from));
    let sequence: Vec<_> = events["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["seq"].clone())
        .collect();
    assert_eq!(sequence, (1..=5).map(Value::from).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_declined_payment_can_be_tried_again_and_is_remembered_by_its_key() {
    let cluster = Cluster::start(2).await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = order_of(&buyer, &mug, 1).await;
    let (path, key) = (format!("/v1/orders/{order}/payments"), random_key());
    let declined = json!({ "provider": "test", "method": "decline" });
    buyer
        .post_with_key(&path, &key, declined.clone())
        .await
        .problem(402, "payment-declined");
    let again = buyer
        .at(cluster.api(1))
        .post_with_key(&path, &key, declined)
        .await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    again.problem(402, "payment-declined");
    buyer.pays(&order, "card").await.expect(201);
    buyer
        .pays(&order, "card")
        .await
        .problem(409, "invalid-transition");
}

#[tokio::test]
async fn why_a_card_was_declined_is_not_for_the_seller_to_know() {
    let cluster = Cluster::start(1).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = order_of(&buyer, &mug, 1).await;
    buyer
        .pays(&order, "decline")
        .await
        .problem(402, "payment-declined");
    let path = format!("/v1/orders/{order}/events");
    let declined = async |person: &Person| person.get(&path).await.expect(200)["data"][1].clone();
    assert_eq!(declined(&buyer).await["data"]["provider"], "test");
    let seen = declined(&seller).await;
    assert_eq!(seen["type"], "payment.declined");
    assert_eq!(seen["data"], json!({}));
}

#[tokio::test]
async fn cancelling_a_paid_order_refunds_it() {
    let cluster = Cluster::start(1).await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = order_of(&buyer, &mug, 2).await;
    buyer.pays(&order, "card").await.expect(201);
    let cancelled = buyer
        .post(&format!("/v1/orders/{order}/cancel"), json!({}))
        .await
        .expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["payment"]["refunded"], cancelled["payment"]["captured"]);
}

#[tokio::test]
async fn sellers_see_and_ship_their_own_lines_only() {
    let cluster = Cluster::start(1).await;
    let (potter, hatter) = (cluster.seller("potter").await, cluster.seller("hatter").await);
    let (mug, hat) = (potter.lists("mug", 5).await, hatter.lists("hat", 5).await);
    let buyer = cluster.sign_up("buyer").await;
    let order = buyer.orders(&[(&mug, 1), (&hat, 2)]).await.expect(201);
    let path = format!("/v1/orders/{}", order["id"].as_str().expect("an id"));
    let seen = potter.get(&path).await.expect(200);
    assert_eq!(seen["lines"].as_array().map(Vec::len), Some(1));
    assert_eq!(seen["lines"][0]["product_id"], mug);
    potter
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .problem(403, "forbidden");
    buyer
        .pays(order["id"].as_str().expect("an id"), "card")
        .await
        .expect(201);
    let others = json!({ "lines": [{ "product_id": hat, "quantity": 1 }] });
    potter
        .post(&format!("{path}/fulfilments"), others)
        .await
        .expect(422);
    let listed = hatter.get("/v1/orders?as=seller").await.expect(200);
    assert_eq!(listed["data"][0]["lines"].as_array().map(Vec::len), Some(1));
    buyer
        .post(&format!("{path}/fulfilments"), json!({ "lines": [] }))
        .await
        .expect(403);
}

#[tokio::test]
async fn an_order_that_is_not_paid_in_time_expires_and_gives_its_stock_back() {
    let cluster = Cluster::start_tuned(2, |options| {
        options.payment_deadline = std::time::Duration::from_secs(1);
    })
    .await;
    let mug = cluster.seller("seller").await.lists("mug", 5).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = order_of(&buyer, &mug, 4).await;
    assert_eq!(buyer.stock_of(&mug).await, (5, 4, 1));
    eventually("the stock is back", || async {
        (buyer.stock_of(&mug).await == (5, 0, 5)).then_some(())
    })
    .await;
    let expired = buyer.get_now(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(expired["status"], "expired");
    buyer
        .pays(&order, "card")
        .await
        .problem(409, "invalid-transition");
}

#[tokio::test]
async fn an_order_keeps_what_its_products_were_when_it_was_placed() {
    let cluster = Cluster::start(2).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 5).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = order_of(&buyer, &mug, 1).await;
    let price = json!({ "price": { "amount": 5, "currency": "EUR" }, "name": "Cup" });
    seller
        .patch(&format!("/v1/products/{mug}"), 1, price)
        .await
        .expect(200);
    let found = buyer.get_now(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(
        (&found["lines"][0]["name"], &found["total"]["amount"]),
        (&json!("mug"), &json!(1_999))
    );
    let expected = json!({
        "lines": [{ "product_id": mug, "quantity": 1 }],
        "expected_total": { "amount": 1_999, "currency": "EUR" },
    });
    buyer
        .post("/v1/orders", expected)
        .await
        .problem(409, "price-changed");
}

#[tokio::test]
async fn an_address_that_is_too_deep_is_refused_by_name_and_changes_nothing() {
    let cluster = Cluster::start(1).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 5).await;
    let buyer = cluster.sign_up("buyer").await;
    let nested = |depth| (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
    let ordered =
        |address| json!({ "lines": [{ "product_id": mug, "quantity": 1 }], "shipping_address": address });
    let placed = buyer.post("/v1/orders", ordered(nested(32))).await.expect(201);
    let order = format!("/v1/orders/{}", placed["id"].as_str().expect("an id"));
    let too_deep = [
        buyer.post("/v1/orders", ordered(nested(33))).await,
        buyer
            .patch(&order, 1, json!({ "shipping_address": nested(33) }))
            .await,
    ];
    for answer in too_deep {
        let refused = answer.problem(422, "validation");
        assert_eq!(refused["errors"][0]["field"], "/shipping_address", "{refused:#}");
    }
    let found = buyer.get_now(&order).await.expect(200);
    assert_eq!(
        (&found["version"], &found["shipping_address"]),
        (&json!(1), &nested(32))
    );
    assert_eq!(seller.stock_of(&mug).await, (5, 1, 4));
}

#[tokio::test]
async fn an_address_is_edited_until_the_first_shipment() {
    let cluster = Cluster::start(1).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 5).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = order_of(&buyer, &mug, 1).await;
    let path = format!("/v1/orders/{order}");
    let edited = buyer
        .patch(&path, 1, json!({ "shipping_address": { "city": "Delft" } }))
        .await
        .expect(200);
    assert_eq!(
        (&edited["shipping_address"]["city"], &edited["version"]),
        (&json!("Delft"), &json!(2))
    );
    buyer
        .patch(&path, 1, json!({ "note": "late" }))
        .await
        .problem(412, "version-mismatch");
    buyer.pays(&order, "card").await.expect(201);
    let ship = json!({ "lines": [{ "product_id": mug, "quantity": 1 }] });
    seller
        .post(&format!("{path}/fulfilments"), ship)
        .await
        .expect(201);
    let version = buyer.get_now(&path).await.expect(200)["version"]
        .as_i64()
        .expect("a version");
    buyer
        .patch(&path, version, json!({ "note": "too late" }))
        .await
        .problem(409, "invalid-transition");
}
