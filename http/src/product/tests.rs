use holdfast_actors::client::{ProductKey, ProductPosition, ProductSort};
use holdfast_domain::{Refusal, Role};
use serde_json::{Value, json};

use crate::{
    request::{ListRequest, query_of},
    shop::{Mood, VERSION},
    testing::Client,
};

const A_PRODUCT: &str = "/v1/products/0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d";
const KEY: &str = "product-0001";

fn mug() -> Value {
    json!({"sku": "MUG-1", "name": "Mug", "price": {"amount": 1999, "currency": "EUR"}})
}

#[tokio::test]
async fn a_product_is_created_with_its_place_and_version() {
    let seller = Client::of(Role::Seller, Mood::Serves);
    let made = seller.post("/v1/products", KEY, mug()).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        made.header("location"),
        format!("/v1/products/{}", made.json()["id"].as_str().expect("an id"))
    );
    assert_eq!(made.header("etag"), format!("\"{VERSION}\""));
    let taken = Client::of(Role::Seller, Mood::Refuses(Refusal::SkuTaken));
    assert_eq!(
        taken.post("/v1/products", KEY, mug()).await.problem(),
        "sku-taken"
    );
}

#[tokio::test]
async fn a_search_or_a_cursor_that_no_database_can_take_is_refused() {
    let anybody = Client::of(Role::Customer, Mood::Serves);
    let found = anybody.get("/v1/products?q=mug%00").await;
    assert_eq!(found.problem(), "validation");
    let position = ProductPosition::Name("\0".to_owned());
    let key = ProductKey {
        sort: ProductSort::Name,
        position,
        product_id: "0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d".parse().expect("an id"),
    };
    let mut query = query_of(&[("sort", "name")]);
    let list = ListRequest::<ProductKey>::take(&mut query).expect("a list");
    let cursor = list.cursor_after(key).expect("a cursor");
    let found = anybody
        .get(&format!("/v1/products?sort=name&cursor={cursor}"))
        .await;
    assert_eq!(found.problem(), "invalid-cursor");
}

#[tokio::test]
async fn a_product_is_judged_before_anybody_is_asked() {
    let seller = Client::of(Role::Seller, Mood::Down);
    for (member, value, field) in [
        ("sku", json!("two words"), "/sku"),
        ("name", json!(""), "/name"),
        ("price", json!({"amount": -1, "currency": "EUR"}), "/price/amount"),
        (
            "price",
            json!({"amount": 1, "currency": "XAU"}),
            "/price/currency",
        ),
        (
            "price",
            json!({"amount": 19.99, "currency": "EUR"}),
            "/price/amount",
        ),
        ("price", json!({"amount": 1}), "/price/currency"),
        ("status", json!("archived"), "/status"),
        ("stock", json!(-1), "/stock"),
        ("stock", json!(1_000_000_001), "/stock"),
        (
            "low_stock_threshold",
            json!(1_000_000_001),
            "/low_stock_threshold",
        ),
        ("attributes", json!([]), "/attributes"),
        ("attributes", json!({"a": "\u{0}"}), "/attributes"),
        ("description", json!("x".repeat(20_001)), "/description"),
    ] {
        let mut body = mug();
        body[member] = value;
        let refused = seller.post("/v1/products", KEY, body).await;
        assert_eq!(refused.problem(), "validation", "{field}");
        assert_eq!(refused.json()["errors"][0]["field"], field);
    }
}

#[tokio::test]
async fn a_product_that_has_not_changed_is_not_sent_again() {
    let reader = Client::of(Role::Customer, Mood::Serves);
    let whole = reader.get(A_PRODUCT).await;
    assert_eq!(
        (whole.status.as_u16(), whole.header("x-staleness-ms")),
        (200, "40")
    );
    assert_eq!(whole.header("cache-control"), "private, no-cache");
    let unchanged = reader
        .send(
            "GET",
            A_PRODUCT,
            &[("if-none-match", whole.header("etag"))],
            Value::Null,
        )
        .await;
    assert_eq!(unchanged.status, 304);
    let stock = reader.get(&format!("{A_PRODUCT}/stock")).await;
    assert_eq!(stock.json()["available"], 97);
}

#[tokio::test]
async fn a_list_says_how_old_it_is_and_may_be_asked_for_as_it_is_now() {
    let reader = Client::of(Role::Customer, Mood::Serves);
    let page = reader.get("/v1/products").await;
    assert_eq!(page.header("x-staleness-ms"), "40");
    assert!(!reader.edge.shop().freshness().linearizable);
    let now = [("cache-control", "no-cache")];
    let page = reader.send("GET", "/v1/products", &now, Value::Null).await;
    assert_eq!(page.status, 200);
    assert!(reader.edge.shop().freshness().linearizable);
}

#[tokio::test]
async fn edits_are_based_on_a_version_and_make_the_next() {
    let seller = Client::of(Role::Seller, Mood::Serves);
    let based = [("if-match", "\"7\"")];
    let edited = seller
        .send("PATCH", A_PRODUCT, &based, json!({"name": "Cup"}))
        .await;
    assert_eq!((edited.status.as_u16(), edited.header("etag")), (200, "\"8\""));
    let stated = seller
        .send(
            "PUT",
            &format!("{A_PRODUCT}/stock"),
            &based,
            json!({"on_hand": 5}),
        )
        .await;
    assert_eq!((stated.status.as_u16(), stated.header("etag")), (200, "\"8\""));
    let archived = seller.send("DELETE", A_PRODUCT, &based, Value::Null).await;
    assert_eq!((archived.status.as_u16(), archived.body.len()), (204, 0));
}

#[tokio::test]
async fn an_adjustment_needs_a_reason_and_makes_a_movement() {
    let seller = Client::of(Role::Seller, Mood::Serves);
    let path = format!("{A_PRODUCT}/stock/adjustments");
    let adjusted = seller
        .post(&path, KEY, json!({"delta": 5, "reason": "received"}))
        .await;
    assert_eq!(adjusted.status, 201);
    assert_eq!(
        adjusted.header("location"),
        format!("{A_PRODUCT}/stock/movements")
    );
    assert!(adjusted.json()["movement_id"].is_string());
    for (body, field) in [
        (json!({"delta": 0, "reason": "x"}), "/delta"),
        (json!({"delta": i64::MAX, "reason": "x"}), "/delta"),
        (json!({"delta": 1, "reason": ""}), "/reason"),
        (json!({"delta": 1}), "/reason"),
    ] {
        let refused = seller.post(&path, KEY, body).await;
        assert_eq!(refused.json()["errors"][0]["field"], field);
    }
}

#[tokio::test]
async fn lists_of_products_go_on_page_by_page_in_their_own_order() {
    let reader = Client::of(Role::Seller, Mood::Serves);
    for path in [
        "/v1/products?sort=price".to_owned(),
        "/v1/products?sort=name&q=mug&status=active".to_owned(),
        "/v1/products?limit=1".to_owned(),
        format!("{A_PRODUCT}/stock/movements?limit=1"),
    ] {
        let first = reader.get(&path).await;
        let cursor = first.json()["next_cursor"].as_str().expect("a cursor").to_owned();
        let last = reader.get(&format!("{path}&cursor={cursor}")).await;
        assert_eq!(last.status, 200, "{path}");
        assert_eq!(last.json()["next_cursor"], Value::Null);
        let other = reader
            .get(&format!("/v1/products?sort=-price&cursor={cursor}"))
            .await;
        assert_eq!(other.problem(), "invalid-cursor", "{path}");
    }
    for query in ["sort=size", "status=sold", "seller_id=me", "q="] {
        let status = reader.get(&format!("/v1/products?{query}")).await.status;
        assert_eq!(status, if query == "q=" { 200 } else { 422 }, "{query}");
    }
}
