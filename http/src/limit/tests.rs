use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use holdfast_actors::budget::{Policy, Rate};
use holdfast_domain::Role;
use hyper::Request;
use serde_json::{Value, json};
use warp::http::StatusCode;

use super::*;
use crate::{
    edge::Edge,
    options::EdgeOptions,
    request::TrustedProxy,
    route::RouteTable,
    shop::Mood,
    testing::{Client, Listener, TestBody, all_routes, edge},
    token::AccessTokens,
};

/// Admits or refuses by a policy of sixty in a minute.
fn admission(class: Class, subject: Subject, is_admitted: bool, remaining: u32) -> Admission {
    Admission {
        policy: Policy {
            class,
            scope: subject.scope(),
        },
        rate: Rate::per_minute(60, 10),
        is_admitted,
        remaining,
        wait: Duration::from_millis(2_100),
    }
}

#[test]
fn every_call_belongs_to_a_class_and_nothing_else_does() {
    let table = RouteTable::new(all_routes(&edge(Mood::Serves)));
    for (method, template) in table.rows() {
        let is_limited = template.starts_with("/v1/") && !template.starts_with("/v1/cluster");
        assert_eq!(
            class_of(&method, template).is_some(),
            is_limited,
            "{method} {template}"
        );
    }
    let rows = table.rows();
    let of = |class: Class| -> BTreeSet<String> {
        let rows = rows.iter();
        let rows = rows.filter(|(method, template)| class_of(method, template) == Some(class));
        rows.map(|(method, template)| format!("{method} {template}"))
            .collect()
    };
    assert_eq!(of(Class::Register), ["POST /v1/auth/register".to_owned()].into());
    assert_eq!(
        of(Class::Login),
        [
            "POST /v1/auth/login",
            "POST /v1/auth/refresh",
            "POST /v1/me/password"
        ]
        .map(str::to_owned)
        .into()
    );
    assert_eq!(
        of(Class::Orders),
        ["POST /v1/orders", "POST /v1/orders/{id}/payments"]
            .map(str::to_owned)
            .into()
    );
    assert_eq!(
        of(Class::Webhooks),
        ["POST /v1/payment-webhooks/{provider}".to_owned()].into()
    );
    assert!(of(Class::Reads).iter().all(|row| row.starts_with("GET ")));
    assert!(of(Class::Writes).contains("POST /v1/orders/{id}/cancel"));
}

#[tokio::test]
async fn a_request_is_counted_by_its_address_and_then_by_its_caller() {
    let client = Client::of(Role::Customer, Mood::Serves);
    client.edge.shop().limit(|class, subject| {
        let remaining = match subject.scope() {
            Scope::Address => 9,
            Scope::Caller => 3,
        };
        Some(admission(class, subject, true, remaining))
    });
    let answered = client.get("/v1/orders").await;
    assert_eq!(answered.status, StatusCode::OK);
    assert_eq!(
        answered.header("ratelimit-policy"),
        "\"reads-address\";q=60;w=60, \"reads-caller\";q=60;w=60"
    );
    assert_eq!(
        answered.header("ratelimit"),
        "\"reads-address\";r=9;t=3, \"reads-caller\";r=3;t=3"
    );
    assert_eq!(answered.header("retry-after"), "");
    let counted = client.edge.shop().counted();
    let scopes: Vec<_> = counted
        .iter()
        .map(|(class, subject)| (*class, subject.scope()))
        .collect();
    assert_eq!(
        scopes,
        [(Class::Reads, Scope::Address), (Class::Reads, Scope::Caller)]
    );
}

async fn refused_by(scope: Scope) -> (Client, crate::testing::Answered) {
    let client = Client::of(Role::Customer, Mood::Serves);
    let verdict: fn(Class, Subject) -> Option<Admission> = match scope {
        Scope::Address => |class, subject| Some(admission(class, subject, false, 0)),
        Scope::Caller => |class, subject| {
            let is_admitted = subject.scope() == Scope::Address;
            Some(admission(class, subject, is_admitted, u32::from(is_admitted)))
        },
    };
    client.edge.shop().limit(verdict);
    let order = json!({ "lines": [{ "product_id": "0199c2a0-1111-7abc-9def-001122334455", "quantity": 1 }] });
    let answered = client.post("/v1/orders", "a-key-of-tests", order).await;
    (client, answered)
}

#[tokio::test]
async fn an_address_that_asks_too_much_is_refused_before_anything_is_done() {
    let (client, answered) = refused_by(Scope::Address).await;
    assert_eq!(answered.problem(), "rate-limited");
    assert_eq!(answered.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answered.header("retry-after"), "3");
    assert_eq!(
        answered.header("ratelimit-policy"),
        "\"orders-address\";q=60;w=60"
    );
    assert_eq!(answered.header("ratelimit"), "\"orders-address\";r=0;t=3");
    assert_eq!(answered.json()["policy"], "orders-address");
    assert_eq!(client.edge.shop().counted().len(), 1, "no token was looked at");
    assert!(client.edge.shop().operations().is_empty());
}

#[tokio::test]
async fn a_refusal_is_not_what_a_key_is_answered_with_later() {
    let (client, answered) = refused_by(Scope::Caller).await;
    assert_eq!(answered.problem(), "rate-limited");
    assert_eq!(
        answered.header("ratelimit"),
        "\"orders-address\";r=1;t=3, \"orders-caller\";r=0;t=3"
    );
    assert!(
        client.edge.shop().operations().is_empty(),
        "the shop has not heard of it"
    );
    client.edge.shop().limit(|_, _| None);
    let order = json!({ "lines": [{ "product_id": "0199c2a0-1111-7abc-9def-001122334455", "quantity": 1 }] });
    let again = client.post("/v1/orders", "a-key-of-tests", order).await;
    assert_eq!(again.status, StatusCode::CREATED);
    assert_eq!(again.header("idempotent-replayed"), "");
    assert_eq!(again.header("ratelimit"), "");
}

#[tokio::test]
async fn probes_documents_and_pages_are_not_counted() {
    let client = Client::of(Role::Admin, Mood::Serves);
    client
        .edge
        .shop()
        .limit(|class, subject| Some(admission(class, subject, false, 0)));
    for path in [
        "/livez",
        "/readyz",
        "/docs",
        "/openapi.json",
        "/problems/rate-limited",
        "/.well-known/jwks.json",
        "/v1/cluster",
    ] {
        let answered = client.send("GET", path, &[], Value::Null).await;
        assert_eq!(answered.status, StatusCode::OK, "{path}");
        assert_eq!(answered.header("ratelimit"), "", "{path}");
    }
    assert!(client.edge.shop().counted().is_empty());
}

#[test]
fn what_is_waited_for_is_told_in_whole_seconds_and_never_too_early() {
    for (millis, told) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_999, 60)] {
        assert_eq!(fields::seconds(Duration::from_millis(millis)), told);
    }
}

#[tokio::test]
async fn a_client_behind_a_trusted_proxy_is_counted_by_its_own_network() {
    let counted_as = async |trusted_proxies: Vec<TrustedProxy>| {
        let options = EdgeOptions {
            trusted_proxies,
            ..EdgeOptions::default()
        };
        let tokens = AccessTokens::for_tests(&options);
        let edge = Edge::new(Shop::new(Mood::Serves), tokens, options);
        edge.shop().limit(|_, _| None);
        let request = Request::builder()
            .uri("/v1/products")
            .header("x-forwarded-for", "203.0.113.9, 2001:db8:1:2::77")
            .body(TestBody::new())
            .expect("a request");
        Listener::whole(&edge).send(request).await;
        let counted = edge.shop().counted();
        assert_eq!(counted.len(), 1, "nobody is signed in");
        counted[0].1
    };
    let of = |text: &str| Subject::address(text.parse().expect("an address"));
    // The listener of tests is asked from loopback.
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert_eq!(counted_as(vec![loopback.into()]).await, of("2001:db8:1:2::1"));
    assert_eq!(counted_as(vec![]).await, of("127.0.0.1"));
}
