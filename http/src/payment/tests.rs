use std::time::Duration;

use aws_lc_rs::hmac;
use holdfast_actors::budget::{Admission, Class, Policy, Rate, Scope, Subject};
use holdfast_domain::{PaymentProvider, Refusal};
use hyper::Request;
use serde_json::{Value, json};

use super::*;
use crate::{
    shop::Mood,
    testing::{Answered, Listener, edge},
};

const SECRET: &str = "a secret of the test provider";
const NEXT_SECRET: &str = "the next secret of the provider";
const PATH: &str = "/v1/payment-webhooks/test";
/// The time of the shop that is asked, in seconds.
const NOW_S: i64 = 1_700_000_000;

/// The keys of the provider whose secret is just being exchanged.
pub(crate) fn keys() -> Vec<WebhookKeys> {
    vec![WebhookKeys::new(PaymentProvider::Test, [SECRET, NEXT_SECRET])]
}

fn captured() -> Value {
    json!({
        "id": "evt_1",
        "type": "payment.captured",
        "order_id": "0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d",
        "payment_reference": "pay_1",
        "amount": {"amount": 1999, "currency": "EUR"},
    })
}

fn tag(secret: &str, time_s: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{time_s}.{body}").as_bytes());
    tag.as_ref().iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write;
        write!(text, "{byte:02x}").expect("a String takes every write");
        text
    })
}

fn signature(time_s: i64, body: &str) -> String {
    format!("t={time_s},v1={}", tag(SECRET, time_s, body))
}

/// A provider that reports to a shop.
struct Provider {
    edge: Edge,
    listener: Listener,
}

impl Provider {
    fn of(mood: Mood) -> Self {
        let edge = edge(mood);
        let listener = Listener::whole(&edge);
        Self { edge, listener }
    }

    async fn sends(&self, path: &str, signature: Option<&str>, body: &str) -> Answered {
        let mut request = Request::builder().method("POST").uri(path);
        request = request.header("content-type", "application/json");
        if let Some(signature) = signature {
            request = request.header("payment-signature", signature);
        }
        let body = body.to_owned().into();
        self.listener.send(request.body(body).expect("a request")).await
    }

    async fn reports(&self, body: &Value) -> Answered {
        let body = body.to_string();
        self.sends(PATH, Some(&signature(NOW_S, &body)), &body).await
    }
}

#[tokio::test]
async fn a_report_is_one_operation_of_its_provider_however_often_it_is_sent() {
    let provider = Provider::of(Mood::Serves);
    for _ in 0..2 {
        assert_eq!(provider.reports(&captured()).await.status, 204);
    }
    let mut other = captured();
    other["id"] = "\"evt_2".into();
    assert_eq!(provider.reports(&other).await.status, 204);
    let operations = provider.edge.shop().operations();
    assert_eq!(operations[0], operations[1]);
    assert_eq!(operations[0].route, "POST /v1/payment-webhooks/{provider}");
    assert!(operations[0].named_by_client);
    assert_eq!(operations[0].principal, operations[2].principal);
    assert_ne!(operations[0].key, operations[2].key);
}

#[tokio::test]
async fn any_of_several_signatures_under_any_secret_will_do() {
    let provider = Provider::of(Mood::Serves);
    let body = captured().to_string();
    let (wrong, next) = ("0".repeat(64), tag(NEXT_SECRET, NOW_S, &body));
    let header = format!("t={NOW_S},v1={wrong},v0=old,v1={next}");
    assert_eq!(provider.sends(PATH, Some(&header), &body).await.status, 204);
}

#[tokio::test]
async fn nothing_is_believed_that_is_not_signed_and_timely() {
    let provider = Provider::of(Mood::Serves);
    let body = captured().to_string();
    let other = captured().to_string().replace("1999", "1998");
    let resigned = format!("t={},v1={}", NOW_S + 1, tag(SECRET, NOW_S, &body));
    let foreign = format!("t={NOW_S},v1={}", tag("another secret altogether", NOW_S, &body));
    for header in [
        None,
        Some("nonsense".to_owned()),
        Some(format!("t={NOW_S},v1={}", "0".repeat(64))),
        Some(signature(NOW_S, &other)),
        Some(signature(NOW_S - 301, &body)),
        Some(signature(NOW_S + 301, &body)),
        Some(resigned),
        Some(foreign),
    ] {
        let answered = provider.sends(PATH, header.as_deref(), &body).await;
        assert_eq!(answered.problem(), "invalid-signature", "{header:?}");
        assert!(
            answered
                .header("www-authenticate")
                .starts_with("Payment-Signature")
        );
    }
    assert_eq!(provider.edge.shop().operations(), []);
    for time_s in [NOW_S - 300, NOW_S + 300] {
        let header = signature(time_s, &body);
        assert_eq!(provider.sends(PATH, Some(&header), &body).await.status, 204);
    }
}

#[tokio::test]
async fn one_header_that_can_be_read_has_to_sign() {
    let provider = Provider::of(Mood::Serves);
    let body = captured().to_string();
    let good = signature(NOW_S, &body);
    let stale = signature(NOW_S - 400, &body);
    let latin = [good.as_bytes(), b",x=\xe9"].concat();
    for (headers, expected) in [
        (
            vec![good.as_bytes(), good.as_bytes()],
            "send one Payment-Signature header",
        ),
        (
            vec![stale.as_bytes(), good.as_bytes()],
            "send one Payment-Signature header",
        ),
        (vec![&latin[..]], "send Payment-Signature: t="),
    ] {
        let mut request = Request::builder().method("POST").uri(PATH);
        request = request.header("content-type", "application/json");
        for header in headers {
            request = request.header("payment-signature", header);
        }
        let request = request.body(body.clone().into()).expect("a request");
        let answered = provider.listener.send(request).await;
        assert_eq!(answered.problem(), "invalid-signature");
        let detail = answered.json()["detail"].clone();
        assert!(
            detail.as_str().is_some_and(|detail| detail.starts_with(expected)),
            "{detail}"
        );
    }
    assert_eq!(provider.edge.shop().operations(), []);
}

#[tokio::test]
async fn a_provider_without_a_secret_is_not_there() {
    let provider = Provider::of(Mood::Serves);
    let body = captured().to_string();
    for name in ["manual", "nobody", "te%73t"] {
        let path = format!("/v1/payment-webhooks/{name}");
        let header = signature(NOW_S, &body);
        let answered = provider.sends(&path, Some(&header), &body).await;
        assert_eq!(answered.problem(), "not-found", "{name}");
    }
}

#[tokio::test]
async fn a_signed_body_is_read_strictly() {
    let provider = Provider::of(Mood::Serves);
    for (body, expected) in [("{nonsense", "malformed-request"), ("", "malformed-request")] {
        let header = signature(NOW_S, body);
        let answered = provider.sends(PATH, Some(&header), body).await;
        assert_eq!(answered.problem(), expected, "{body}");
    }
    for (field, value, pointer) in [
        ("surprise", json!(1), "/surprise"),
        ("id", json!(""), "/id"),
        ("id", json!("evt 1"), "/id"),
        ("id", json!("x".repeat(201)), "/id"),
        ("type", json!("payment.refunded"), "/type"),
        ("order_id", json!("7"), "/order_id"),
        ("payment_reference", json!(""), "/payment_reference"),
        (
            "amount",
            json!({"amount": -1, "currency": "EUR"}),
            "/amount/amount",
        ),
        (
            "amount",
            json!({"amount": 1, "currency": "EURO"}),
            "/amount/currency",
        ),
        ("reason", json!("no money"), "/reason"),
    ] {
        let mut body = captured();
        body[field] = value;
        let answered = provider.reports(&body).await;
        assert_eq!(answered.problem(), "validation", "{body}");
        assert_eq!(answered.json()["errors"][0]["field"], pointer, "{body}");
    }
    let mut declined = captured();
    declined["type"] = "payment.declined".into();
    declined["reason"] = "no money".into();
    assert_eq!(provider.reports(&declined).await.status, 204);
}

/// Admits those of `scope` alone.
fn admission(subject: Subject, class: Class, scope: Scope) -> Admission {
    Admission {
        policy: Policy {
            class,
            scope: subject.scope(),
        },
        rate: Rate::per_minute(60, 10),
        is_admitted: subject.scope() == scope,
        remaining: 0,
        wait: Duration::from_secs(1),
    }
}

#[tokio::test]
async fn what_a_provider_has_signed_is_counted_as_its_own_wherever_it_comes_from() {
    let provider = Provider::of(Mood::Serves);
    let shop = provider.edge.shop();
    shop.limit(|class, subject| Some(admission(subject, class, Scope::Caller)));
    let answered = provider.reports(&captured()).await;
    assert_eq!(answered.status, 204);
    assert_eq!(
        answered.header("ratelimit-policy"),
        "\"webhooks-provider\";q=60;w=60"
    );
    let counted = shop.counted();
    let [(Class::Webhooks, subject)] = counted[..] else {
        panic!("{counted:?}")
    };
    assert_eq!(subject, Subject::provider(shop.operations()[0].principal));

    shop.limit(|class, subject| Some(admission(subject, class, Scope::Address)));
    let refused = provider.reports(&captured()).await;
    assert_eq!(refused.problem(), "rate-limited");
    assert_eq!(refused.json()["policy"], "webhooks-provider");
    assert_eq!(shop.operations().len(), 1, "the shop has not heard of it");
}

#[tokio::test]
async fn what_nobody_has_signed_is_counted_by_its_address() {
    let provider = Provider::of(Mood::Serves);
    let shop = provider.edge.shop();
    let body = captured().to_string();
    let late = signature(NOW_S - 301, &body);
    for (scope, is_counted_out) in [(Scope::Address, false), (Scope::Caller, true)] {
        let verdict: fn(Class, Subject) -> Option<Admission> = match scope {
            Scope::Address => |class, subject| Some(admission(subject, class, Scope::Address)),
            Scope::Caller => |class, subject| Some(admission(subject, class, Scope::Caller)),
        };
        shop.limit(verdict);
        for (path, header, expected) in [
            (PATH, None, "invalid-signature"),
            (PATH, Some(late.as_str()), "invalid-signature"),
            ("/v1/payment-webhooks/nobody", Some(late.as_str()), "not-found"),
        ] {
            let before = shop.counted().len();
            let answered = provider.sends(path, header, &body).await;
            let expected = if is_counted_out { "rate-limited" } else { expected };
            assert_eq!(answered.problem(), expected, "{path} {header:?}");
            let counted = shop.counted()[before..].to_vec();
            assert!(
                matches!(counted[..], [(Class::Webhooks, Subject::Address(_))]),
                "{counted:?}"
            );
        }
    }
    assert_eq!(shop.operations(), []);
}

#[tokio::test]
async fn what_the_shop_refuses_is_told() {
    let provider = Provider::of(Mood::Refuses(Refusal::NotFound));
    assert_eq!(provider.reports(&captured()).await.problem(), "not-found");
    let provider = Provider::of(Mood::Down);
    assert_eq!(provider.reports(&captured()).await.problem(), "unavailable");
}

#[test]
fn keys_are_not_shown() {
    let shown = format!("{:?}", keys());
    assert_eq!(shown, "[2 keys of test]");
}
