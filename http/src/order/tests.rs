use holdfast_domain::{OrderStatus, ProductId, Refusal, Role, Shortage, Timestamp};
use serde_json::{Value, json};

use crate::{
    shop::{Mood, VERSION},
    testing::Client,
};

const AN_ORDER: &str = "/v1/orders/0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d";
const KEY: &str = "order-0001";

fn mug() -> ProductId {
    ProductId::mint(Timestamp::from_unix_micros(1_000_000), [7; 10])
}

fn one_mug() -> Value {
    json!({"lines": [{"product_id": mug(), "quantity": 1}], "note": "hello"})
}

#[tokio::test]
async fn a_placed_order_is_created_with_its_place_and_version() {
    let buyer = Client::of(Role::Customer, Mood::Serves);
    let placed = buyer.post("/v1/orders", KEY, one_mug()).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    let order = placed.json();
    assert_eq!(
        placed.header("location"),
        format!("/v1/orders/{}", order["id"].as_str().expect("an id"))
    );
    assert_eq!(placed.header("etag"), format!("\"{VERSION}\""));
    assert_eq!(placed.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(placed.header("idempotent-replayed"), "");
    assert_eq!(order["version"], VERSION);
    assert_eq!(order["total"], json!({"amount": 1999, "currency": "EUR"}));
    assert_eq!(order["payment"], Value::Null);
    let id = order["id"]
        .as_str()
        .and_then(|id| id.parse::<holdfast_domain::OrderId>().ok())
        .expect("an id");
    assert_eq!(
        id.shard(),
        mug().shard(),
        "an order lives where its lowest product does"
    );
}

#[tokio::test]
async fn a_repeated_request_is_the_same_operation_however_it_is_written() {
    let buyer = Client::of(Role::Customer, Mood::Serves);
    let reordered = json!({"note": "hello", "lines": [{"quantity": 1, "product_id": mug()}]});
    buyer.post("/v1/orders", KEY, one_mug()).await;
    let again = buyer.post("/v1/orders", "\"order-0001\"", reordered).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed")),
        (201, "true")
    );
    buyer
        .post(
            "/v1/orders",
            KEY,
            json!({"lines": [{"product_id": mug(), "quantity": 2}]}),
        )
        .await;
    let operations = buyer.edge.shop().operations();
    assert_eq!(operations[0], operations[1]);
    assert_eq!(operations[0].route, "POST /v1/orders");
    assert!(operations[0].named_by_client);
    assert_ne!(operations[0].fingerprint, operations[2].fingerprint);
}

#[tokio::test]
async fn calls_on_different_orders_differ_though_their_bodies_do_not() {
    let buyer = Client::of(Role::Customer, Mood::Serves);
    buyer.post(&format!("{AN_ORDER}/cancel"), KEY, Value::Null).await;
    buyer
        .post(
            "/v1/orders/0199c2a1-0000-7c3a-8d2b-1f6e5a4b3c2d/cancel",
            KEY,
            json!({}),
        )
        .await;
    let operations = buyer.edge.shop().operations();
    assert_eq!(operations[0].route, "POST /v1/orders/{id}/cancel");
    assert_eq!(operations[0].route, operations[1].route);
    assert_ne!(operations[0].fingerprint, operations[1].fingerprint);
}

#[tokio::test]
async fn a_refusal_that_is_remembered_says_so_when_it_comes_again() {
    let shortage = Shortage {
        product_id: mug(),
        requested: 2,
        available: 1,
    };
    let buyer = Client::of(
        Role::Customer,
        Mood::Refuses(Refusal::InsufficientStock(vec![shortage])),
    );
    let first = buyer.post("/v1/orders", KEY, one_mug()).await;
    assert_eq!(first.problem(), "insufficient-stock");
    assert_eq!(
        first.json()["lines"],
        json!([{"product_id": mug(), "requested": 2, "available": 1}])
    );
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = buyer.post("/v1/orders", KEY, one_mug()).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed")),
        (409, "true")
    );
}

#[tokio::test]
async fn lines_are_judged_before_anybody_is_asked() {
    let buyer = Client::of(Role::Customer, Mood::Down);
    let line = |quantity: i64| json!({"product_id": mug(), "quantity": quantity});
    let many: Vec<_> = (0..101).map(|_| line(1)).collect();
    for (lines, field) in [
        (json!([]), "/lines"),
        (json!(many), "/lines"),
        (json!([line(0)]), "/lines/0/quantity"),
        (json!([line(10_001)]), "/lines/0/quantity"),
        (json!([line(6_000), line(6_000)]), "/lines/1/quantity"),
        (json!([line(-1)]), "/lines/0/quantity"),
        (
            json!([{"product_id": "mug", "quantity": 1}]),
            "/lines/0/product_id",
        ),
        (json!([{"product_id": mug()}]), "/lines/0/quantity"),
    ] {
        let refused = buyer.post("/v1/orders", KEY, json!({"lines": lines})).await;
        assert_eq!(refused.problem(), "validation", "{field}");
        assert_eq!(refused.json()["errors"][0]["field"], field);
    }
    let bad = json!({"lines": [line(1)], "note": "x".repeat(2_001), "expected_total": {"amount": 1, "currency": "EURO"}});
    let errors = buyer.post("/v1/orders", KEY, bad).await.json()["errors"].clone();
    assert_eq!(errors[0]["field"], "/expected_total/currency");
}

#[tokio::test]
async fn an_order_that_has_not_changed_is_not_sent_again() {
    let buyer = Client::of(Role::Customer, Mood::Serves);
    let whole = buyer.get(AN_ORDER).await;
    assert_eq!(
        (whole.status.as_u16(), whole.header("x-staleness-ms")),
        (200, "40")
    );
    let etag = whole.header("etag");
    let unchanged = buyer
        .send("GET", AN_ORDER, &[("if-none-match", etag)], Value::Null)
        .await;
    assert_eq!(unchanged.status, 304);
    assert!(unchanged.body.is_empty());
    assert_eq!(unchanged.header("etag"), etag);
    let changed = buyer
        .send("GET", AN_ORDER, &[("if-none-match", "\"6\"")], Value::Null)
        .await;
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn a_reader_may_ask_for_the_latest_or_a_version() {
    let buyer = Client::of(Role::Customer, Mood::Serves);
    buyer
        .send(
            "GET",
            AN_ORDER,
            &[("cache-control", "no-cache"), ("x-min-version", "9")],
            Value::Null,
        )
        .await;
    let freshness = buyer.edge.shop().freshness();
    assert!(freshness.linearizable);
    assert_eq!(freshness.min_version, Some(9));
    let bad = buyer
        .send("GET", AN_ORDER, &[("x-min-version", "soon")], Value::Null)
        .await;
    assert_eq!(bad.problem(), "malformed-request");
}

#[tokio::test]
async fn an_edit_is_based_on_a_version_and_makes_the_next() {
    let buyer = Client::of(Role::Customer, Mood::Serves);
    let edited = buyer
        .send("PATCH", AN_ORDER, &[("if-match", "\"7\"")], json!({"note": null}))
        .await;
    assert_eq!((edited.status.as_u16(), edited.header("etag")), (200, "\"8\""));
    let stale = Client::of(
        Role::Customer,
        Mood::Refuses(Refusal::VersionMismatch { current_version: 9 }),
    );
    let refused = stale
        .send("PATCH", AN_ORDER, &[("if-match", "\"7\"")], json!({"note": "x"}))
        .await;
    assert_eq!(refused.problem(), "version-mismatch");
    assert_eq!(refused.json()["current_version"], 9);
}

#[tokio::test]
async fn a_payment_is_created_or_declined() {
    let path = format!("{AN_ORDER}/payments");
    let buyer = Client::of(Role::Customer, Mood::Serves);
    let paid = buyer
        .post(&path, KEY, json!({"provider": "test", "method": "card"}))
        .await;
    assert_eq!((paid.status.as_u16(), paid.header("location")), (201, AN_ORDER));
    assert_eq!(
        paid.json()["captured"],
        json!({"amount": 1999, "currency": "EUR"})
    );
    for (provider, method, field) in [("gold", "card", "/provider"), ("test", "", "/method")] {
        let refused = buyer
            .post(&path, KEY, json!({"provider": provider, "method": method}))
            .await;
        assert_eq!(refused.problem(), "validation");
        assert_eq!(refused.json()["errors"][0]["field"], field);
    }
    for (reference, is_fit) in [("", false), ("pay_1", true), (&"x".repeat(201), false)] {
        let body = json!({"provider": "test", "method": "card", "reference": reference});
        let answered = buyer.post(&path, KEY, body).await;
        assert_eq!(
            answered.status.as_u16(),
            if is_fit { 201 } else { 422 },
            "{reference}"
        );
    }
    let declined = Client::of(
        Role::Customer,
        Mood::Refuses(Refusal::PaymentDeclined { reason: "no".into() }),
    );
    let refused = declined
        .post(&path, KEY, json!({"provider": "test", "method": "decline"}))
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.problem().as_str()),
        (402, "payment-declined")
    );
}

#[tokio::test]
async fn cancelling_and_shipping_answer_what_became_of_it() {
    let seller = Client::of(Role::Seller, Mood::Serves);
    let cancelled = seller.post(&format!("{AN_ORDER}/cancel"), KEY, Value::Null).await;
    assert_eq!(
        (cancelled.status.as_u16(), cancelled.json()["status"].as_str()),
        (200, Some("cancelled"))
    );
    let shipment =
        json!({"lines": [{"product_id": mug(), "quantity": 1}, {"product_id": mug(), "quantity": 2}]});
    let shipped = seller
        .post(&format!("{AN_ORDER}/fulfilments"), "other-key", shipment)
        .await;
    assert_eq!(
        (shipped.status.as_u16(), shipped.header("location")),
        (201, AN_ORDER)
    );
    assert_eq!(
        shipped.json()["lines"],
        json!([{"product_id": mug(), "quantity": 3}])
    );
    let moved = Refusal::InvalidTransition {
        from: OrderStatus::Fulfilled,
        requested: OrderStatus::Cancelled,
    };
    let late = Client::of(Role::Customer, Mood::Refuses(moved));
    let refused = late
        .post(&format!("{AN_ORDER}/cancel"), KEY, json!({"reason": "late"}))
        .await;
    assert_eq!(refused.problem(), "invalid-transition");
}

#[tokio::test]
async fn lists_of_orders_go_on_page_by_page() {
    let buyer = Client::of(Role::Customer, Mood::Serves);
    for path in [
        "/v1/orders?status=confirmed".to_owned(),
        format!("{AN_ORDER}/events?limit=1"),
    ] {
        let first = buyer.get(&path).await;
        assert_eq!(
            (first.status.as_u16(), first.header("x-staleness-ms")),
            (200, "0")
        );
        let cursor = first.json()["next_cursor"].as_str().expect("a cursor").to_owned();
        let last = buyer.get(&format!("{path}&cursor={cursor}")).await;
        assert_eq!(last.status, 200, "{path}");
        assert_eq!(last.json()["next_cursor"], Value::Null);
        let other = buyer
            .get(&format!("/v1/orders?status=expired&cursor={cursor}"))
            .await;
        assert_eq!(other.problem(), "invalid-cursor");
    }
}

#[tokio::test]
async fn whose_orders_are_listed_is_a_question_of_role() {
    let someone = "0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d";
    let theirs = format!("/v1/orders?user_id={someone}");
    for (role, path, status) in [
        (Role::Customer, "/v1/orders", 200),
        (Role::Customer, "/v1/orders?as=seller", 403),
        (Role::Customer, "/v1/orders?as=admin", 403),
        (Role::Customer, &theirs, 403),
        (Role::Seller, "/v1/orders?as=seller", 200),
        (Role::Seller, &theirs, 403),
        (Role::Admin, &theirs, 200),
        (Role::Admin, "/v1/orders?as=admin", 200),
        (Role::Admin, "/v1/orders?as=nobody", 422),
        (Role::Admin, "/v1/orders?status=lost", 422),
    ] {
        let listed = Client::of(role, Mood::Serves).get(path).await;
        assert_eq!(listed.status, status, "{role} {path}");
    }
}
