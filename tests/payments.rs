//! Payments that their provider reports: in time, too late, twice, and by somebody else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::{Answer, Cluster, Person, Provider, eventually};

/// How long an order may go unpaid, where it is to expire.
const SOON: Duration = Duration::from_secs(1);

fn path_of(order: &Value) -> String {
    format!("/v1/orders/{}", order["id"].as_str().expect("an id"))
}

async fn see(buyer: &Person, order: &Value) -> Value {
    buyer.get_now(&path_of(order)).await.expect(200)
}

/// Lists what an order's timeline tells, oldest first.
async fn told(buyer: &Person, order: &Value) -> Vec<String> {
    let events = buyer.get(&format!("{}/events", path_of(order))).await.expect(200);
    let events = events["data"].as_array().expect("a list");
    let kind = |event: &Value| event["type"].as_str().map(str::to_owned);
    events.iter().filter_map(kind).collect()
}

/// Waits until an order has expired, and its units are for sale again.
async fn expires(buyer: &Person, order: &Value) {
    eventually("the units of an expired order are for sale again", || async {
        let seen = see(buyer, order).await;
        let lines = seen["lines"].as_array().expect("lines").clone();
        let mut is_back = seen["status"] == "expired";
        for line in lines {
            let product = line["product_id"].as_str().expect("an id");
            is_back &= buyer.stock_of(product).await.1 == 0;
        }
        is_back.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_payment_that_is_reported_in_time_confirms_the_order_once() {
    let cluster = Cluster::start(2).await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = buyer.orders(&[(&mug, 2)]).await.expect(201);
    let declined = json!({
        "id": "evt_1",
        "type": "payment.declined",
        "order_id": order["id"],
        "payment_reference": "pay_1",
        "amount": order["total"],
        "reason": "no money",
    });
    let report = Provider::captured("evt_2", "pay_2", &order);
    let same_payment = Provider::captured("evt_3", "pay_2", &order);
    for node in 0..2 {
        for report in [&declined, &report, &same_payment] {
            cluster.provider(node).report(report).await.expect(204);
        }
    }
    let paid = see(&buyer, &order).await;
    assert_eq!(paid["status"], "confirmed");
    assert_eq!(paid["payment"]["status"], "captured");
    assert_eq!(paid["payment"]["captured"], order["total"]);
    let expected = [
        "order.placed",
        "payment.declined",
        "payment.captured",
        "order.confirmed",
    ];
    assert_eq!(told(&buyer, &order).await, expected);
    let other = Provider::captured("evt_2", "pay_3", &order);
    let other = cluster.provider(1).report(&other).await;
    other.problem(422, "idempotency-key-reuse");
}

#[tokio::test]
async fn a_late_payment_revives_the_order_if_its_units_are_left_and_reserves_them_once() {
    let cluster = Cluster::start_tuned(3, |options| options.payment_deadline = SOON).await;
    let seller = cluster.seller("seller").await;
    let products = cluster.products_of_all_nodes(&seller, 5).await;
    let buyer = cluster.sign_up("buyer").await;
    let lines: Vec<_> = products.iter().map(|id| (id.as_str(), 2)).collect();
    let order = buyer.orders(&lines).await.expect(201);
    expires(&buyer, &order).await;
    buyer
        .pays(order["id"].as_str().expect("an id"), "card")
        .await
        .problem(409, "invalid-transition");

    let report = Provider::captured("evt_1", "pay_1", &order);
    for node in 0..3 {
        cluster.provider(node).report(&report).await.expect(204);
    }
    let revived = see(&buyer, &order).await;
    assert_eq!(revived["status"], "confirmed");
    assert_eq!(revived["expires_at"], Value::Null);
    assert_eq!(revived["payment"]["captured"], order["total"]);
    assert_eq!(revived["payment"]["refunded"]["amount"], 0);
    for product in &products {
        assert_eq!(buyer.stock_of(product).await, (5, 2, 3));
    }
    let expected = [
        "order.placed",
        "order.expired",
        "payment.captured",
        "order.confirmed",
    ];
    assert_eq!(told(&buyer, &order).await, expected);

    // It goes on as any other: some units are shipped, and one that is called off gives its units back.
    let shipment = json!({ "lines": [{ "product_id": products[0], "quantity": 1 }] });
    let path = format!("{}/fulfilments", path_of(&order));
    seller.post(&path, shipment).await.expect(201);
    eventually("the unit has left", || async {
        (buyer.stock_of(&products[0]).await == (4, 1, 3)).then_some(())
    })
    .await;
    let other = buyer.orders(&[(&products[1], 3)]).await.expect(201);
    expires_but(&buyer, &other, 2).await;
    let report = Provider::captured("evt_2", "pay_2", &other);
    cluster.provider(1).report(&report).await.expect(204);
    assert_eq!(buyer.stock_of(&products[1]).await, (5, 5, 0));
    let cancelled = buyer
        .post(&format!("{}/cancel", path_of(&other)), json!({}))
        .await;
    assert_eq!(cancelled.expect(200)["payment"]["status"], "refunded");
    eventually("the units are back", || async {
        (buyer.stock_of(&products[1]).await == (5, 2, 3)).then_some(())
    })
    .await;
}

/// Waits until an order of one product has expired, and no more than `others` of its units are reserved.
async fn expires_but(buyer: &Person, order: &Value, others: i64) {
    let product = order["lines"][0]["product_id"].as_str().expect("an id");
    eventually("the units of an expired order are for sale again", || async {
        let is_expired = see(buyer, order).await["status"] == "expired";
        (is_expired && buyer.stock_of(product).await.1 == others).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_late_payment_is_refunded_once_if_one_product_was_sold_meanwhile() {
    let cluster = Cluster::start_tuned(3, |options| options.payment_deadline = SOON).await;
    let seller = cluster.seller("seller").await;
    let products = cluster.products_of_all_nodes(&seller, 2).await;
    let buyer = cluster.sign_up("buyer").await;
    let lines: Vec<_> = products.iter().map(|id| (id.as_str(), 2)).collect();
    let order = buyer.orders(&lines).await.expect(201);
    expires(&buyer, &order).await;
    let rival = cluster.sign_up("rival").await;
    let sold = rival.orders(&[(&products[1], 1)]).await.expect(201);
    rival
        .pays(sold["id"].as_str().expect("an id"), "card")
        .await
        .expect(201);

    let report = Provider::captured("evt_1", "pay_1", &order);
    let same_payment = Provider::captured("evt_2", "pay_1", &order);
    for node in 0..3 {
        for report in [&report, &same_payment] {
            cluster.provider(node).report(report).await.expect(204);
        }
    }
    let refunded = see(&buyer, &order).await;
    assert_eq!(refunded["status"], "expired");
    assert_eq!(refunded["payment"]["status"], "refunded");
    assert_eq!(refunded["payment"]["refunded"], order["total"]);
    let expected = [
        "order.placed",
        "order.expired",
        "payment.captured",
        "payment.refunded",
    ];
    assert_eq!(told(&buyer, &order).await, expected);
    for (product, reserved) in products.iter().zip([0, 1, 0]) {
        eventually("what was reserved is given back", || async {
            (buyer.stock_of(product).await == (2, reserved, 2 - reserved)).then_some(())
        })
        .await;
    }

    // Once the units are there again, another payment has another try.
    rival
        .post(&format!("{}/cancel", path_of(&sold)), json!({}))
        .await
        .expect(200);
    eventually("the unit is back", || async {
        (buyer.stock_of(&products[1]).await == (2, 0, 2)).then_some(())
    })
    .await;
    let again = Provider::captured("evt_3", "pay_2", &order);
    cluster.provider(2).report(&again).await.expect(204);
    assert_eq!(see(&buyer, &order).await["status"], "confirmed");
    for product in &products {
        assert_eq!(buyer.stock_of(product).await, (2, 2, 0));
    }
}

#[tokio::test]
async fn money_that_does_not_pay_the_order_is_refunded_once_and_the_order_stays() {
    let cluster = Cluster::start(2).await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = buyer.orders(&[(&mug, 2)]).await.expect(201);
    let mut cheap = Provider::captured("evt_1", "pay_1", &order);
    cheap["amount"]["amount"] = 1.into();
    cluster.provider(1).report(&cheap).await.expect(204);
    assert_eq!(see(&buyer, &order).await["status"], "pending_payment");
    pays_as(&cluster, &order, "card", "pay_0").await.expect(201);
    let paid = see(&buyer, &order).await;
    for id in ["evt_2", "evt_3"] {
        let second = Provider::captured(id, "pay_2", &order);
        cluster.provider(0).report(&second).await.expect(204);
    }
    let seen = see(&buyer, &order).await;
    assert_eq!(
        (&seen["status"], &seen["payment"]),
        (&paid["status"], &paid["payment"])
    );
    let expected = [
        "order.placed",
        "payment.captured",
        "payment.refunded",
        "payment.captured",
        "order.confirmed",
        "payment.captured",
        "payment.refunded",
    ];
    assert_eq!(told(&buyer, &order).await, expected);
}

#[tokio::test]
async fn a_report_that_changes_nothing_is_remembered_by_its_name() {
    let cluster = Cluster::start(2).await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = buyer.orders(&[(&mug, 2)]).await.expect(201);
    let captured = Provider::captured("evt_1", "pay_1", &order);
    cluster.provider(0).report(&captured).await.expect(204);
    let told_before = told(&buyer, &order).await;

    let repeat = Provider::captured("evt_2", "pay_1", &order);
    let mut declined = Provider::captured("evt_3", "pay_0", &order);
    declined["type"] = "payment.declined".into();
    for idle in [&repeat, &declined] {
        for node in 0..2 {
            cluster.provider(node).report(idle).await.expect(204);
        }
        let mut other = idle.clone();
        other["payment_reference"] = "pay_2".into();
        other["type"] = "payment.captured".into();
        for node in 0..2 {
            let answer = cluster.provider(node).report(&other).await;
            answer.problem(422, "idempotency-key-reuse");
        }
    }
    assert_eq!(told(&buyer, &order).await, told_before);
}

/// Has an administrator take note of a payment that its provider knows by this name.
async fn pays_as(cluster: &Cluster, order: &Value, method: &str, reference: &str) -> Answer {
    let body = json!({ "provider": "test", "method": method, "reference": reference });
    let path = format!("{}/payments", path_of(order));
    cluster.admin().post(&path, body).await
}

#[tokio::test]
async fn a_name_that_a_customer_makes_up_is_refused_and_decides_nothing() {
    let cluster = Cluster::start(1).await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = buyer.orders(&[(&mug, 1)]).await.expect(201);
    let path = format!("{}/payments", path_of(&order));
    let named = json!({ "provider": "test", "method": "card", "reference": "made up" });
    buyer.post(&path, named).await.problem(403, "forbidden");
    let nameless = json!({ "provider": "test", "method": "card" });
    cluster
        .admin()
        .post(&path, nameless.clone())
        .await
        .problem(403, "forbidden");
    buyer.post(&path, nameless).await.expect(201);
    // The only money, by the provider's own name.
    let report = Provider::captured("evt_1", "pay_1", &order);
    cluster.provider(0).report(&report).await.expect(204);
    assert_eq!(see(&buyer, &order).await["payment"]["status"], "captured");
    assert!(
        !told(&buyer, &order)
            .await
            .contains(&"payment.refunded".to_owned())
    );
}

#[tokio::test]
async fn a_payment_that_was_made_in_the_shop_is_not_refunded_when_it_is_reported() {
    let cluster = Cluster::start(2).await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let named = buyer.orders(&[(&mug, 1)]).await.expect(201);
    let nameless = buyer.orders(&[(&mug, 2)]).await.expect(201);
    pays_as(&cluster, &named, "card", "pay_1").await.expect(201);
    buyer
        .pays(nameless["id"].as_str().expect("an id"), "card")
        .await
        .expect(201);

    for (order, first, told_of_it) in [
        (&named, "pay_1", None),
        (&nameless, "pay_2", Some("order.updated")),
    ] {
        let paid = see(&buyer, order).await;
        let double = format!("{first} again");
        for (id, reference) in [
            ("a", first),
            ("b", first),
            ("c", &double),
            ("d", &double),
            ("e", first),
        ] {
            let report = Provider::captured(&format!("{first}-{id}"), reference, order);
            for node in 0..2 {
                cluster.provider(node).report(&report).await.expect(204);
            }
        }
        let seen = see(&buyer, order).await;
        assert_eq!(
            (&seen["status"], &seen["payment"]),
            (&paid["status"], &paid["payment"])
        );
        let before = ["order.placed", "payment.captured", "order.confirmed"];
        let double = ["payment.captured", "payment.refunded"];
        let expected: Vec<_> = before.into_iter().chain(told_of_it).chain(double).collect();
        assert_eq!(told(&buyer, order).await, expected);
    }
}

fn declined(id: &str, payment: &str, order: &Value) -> Value {
    let mut report = Provider::captured(id, payment, order);
    report["type"] = "payment.declined".into();
    report["reason"] = "no money".into();
    report
}

#[tokio::test]
async fn an_order_whose_payment_is_declined_waits_for_another_until_it_expires() {
    let cluster = Cluster::start_tuned(1, |options| options.payment_deadline = SOON).await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = buyer.orders(&[(&mug, 2)]).await.expect(201);
    let report = declined("evt_1", "pay_1", &order);
    cluster.provider(0).report(&report).await.expect(204);
    let waiting = see(&buyer, &order).await;
    assert_eq!(waiting["expires_at"], order["expires_at"]);
    assert_eq!(waiting["payment"], Value::Null);
    expires(&buyer, &order).await;
    let expected = ["order.placed", "payment.declined", "order.expired"];
    assert_eq!(told(&buyer, &order).await, expected);
}

#[tokio::test]
async fn an_order_whose_promised_payment_is_declined_is_paid_once_more_before_it_is_shipped() {
    let cluster = Cluster::start(2).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = buyer.orders(&[(&mug, 2)]).await.expect(201);
    pays_as(&cluster, &order, "authorize", "pay_2").await.expect(201);
    // One that was tried before, and one that was promised; each is told to both nodes.
    for (id, reference, status) in [("evt_1", "pay_1", "authorised"), ("evt_2", "pay_2", "voided")] {
        for node in 0..2 {
            let report = declined(id, reference, &order);
            cluster.provider(node).report(&report).await.expect(204);
        }
        let seen = see(&buyer, &order).await;
        assert_eq!(
            (&seen["status"], &seen["payment"]["status"]),
            (&"confirmed".into(), &status.into())
        );
    }
    let shipment = json!({ "lines": [{ "product_id": mug, "quantity": 2 }] });
    let path = format!("{}/fulfilments", path_of(&order));
    let refused = seller.post(&path, shipment.clone()).await;
    refused.problem(409, "invalid-transition");
    assert_eq!(
        buyer.stock_of(&mug).await,
        (10, 2, 8),
        "its units are reserved still"
    );
    pays_as(&cluster, &order, "card", "pay_3").await.expect(201);
    seller.post(&path, shipment).await.expect(201);
    let report = Provider::captured("evt_3", "pay_3", &order);
    cluster.provider(0).report(&report).await.expect(204);
    let expected = [
        "order.placed",
        "order.confirmed",
        "payment.declined",
        "payment.captured",
        "order.fulfilled",
    ];
    assert_eq!(told(&buyer, &order).await, expected);
}

#[tokio::test]
async fn an_owner_of_an_older_release_is_not_sent_what_it_does_not_know() {
    // As between nodes of this release and of the one before: they speak what both know.
    let cluster = Cluster::start_tuned(2, |options| options.wire_version = 1).await;
    let seller = cluster.seller("seller").await;
    let buyer = cluster.sign_up("buyer").await;
    for (owner, product) in cluster
        .products_of_all_nodes(&seller, 10)
        .await
        .iter()
        .enumerate()
    {
        let order = buyer.orders(&[(product, 1)]).await.expect(201);
        let path = format!("{}/payments", path_of(&order));
        let body = json!({ "provider": "test", "method": "card", "reference": "pay_1" });
        let elsewhere = cluster.admin().at(cluster.api(1 - owner));
        elsewhere
            .post(&path, body.clone())
            .await
            .problem(503, "unavailable");
        cluster
            .admin()
            .at(cluster.api(owner))
            .post(&path, body)
            .await
            .expect(201);
    }
}

#[tokio::test]
async fn money_that_was_reported_and_given_back_pays_no_order_again() {
    let cluster = Cluster::start(1).await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = buyer.orders(&[(&mug, 2)]).await.expect(201);
    let mut cheap = Provider::captured("evt_1", "pay_1", &order);
    cheap["amount"]["amount"] = 1.into();
    cluster.provider(0).report(&cheap).await.expect(204);
    let refused = pays_as(&cluster, &order, "card", "pay_1").await;
    refused.problem(422, "validation");
    assert_eq!(see(&buyer, &order).await["status"], "pending_payment");
    pays_as(&cluster, &order, "card", "pay_2").await.expect(201);
}

#[tokio::test]
async fn a_report_that_its_provider_did_not_sign_changes_nothing() {
    let cluster = Cluster::start(1).await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = buyer.orders(&[(&mug, 2)]).await.expect(201);
    let report = Provider::captured("evt_1", "pay_1", &order);
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let provider = cluster.provider(0);
    for (secret, time_s) in [
        ("a secret of somebody else", now_s),
        ("a secret of the test provider", now_s - 400),
    ] {
        let answer = provider.report_signed(&report, secret, time_s).await;
        answer.problem(401, "invalid-signature");
    }
    let stranger = cluster.stranger(0);
    let unsigned = stranger.post("/v1/payment-webhooks/test", report.clone()).await;
    unsigned.problem(401, "invalid-signature");
    let nobody = stranger.post("/v1/payment-webhooks/manual", report.clone()).await;
    nobody.problem(404, "not-found");
    assert_eq!(told(&buyer, &order).await, ["order.placed"]);

    let mut lost = report;
    lost["order_id"] = "0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d".into();
    provider.report(&lost).await.problem(404, "not-found");
}
