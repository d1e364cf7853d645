//! What every call does with a request that breaks a rule of all calls, found by the document.

use holdfast_domain::Role;

use super::*;
use crate::testing::{Answered, Listener, TestBody, token};

/// One byte more than is read.
static LARGE: [u8; 256 * 1024 + 1] = [b' '; 256 * 1024 + 1];

/// Sends a request to every operation for which `make` makes one, and hands on what it answers.
async fn ask_all(
    make: impl Fn(&Operation, &str) -> Option<Request<TestBody>>,
    check: impl Fn(&Operation, Answered),
) {
    let edge = edge(Mood::Down);
    let token = token(&edge, Role::Admin);
    let listener = Listener::whole(&edge);
    let mut asked = 0;
    for operation in operations() {
        if let Some(request) = make(&operation, &token) {
            let answered = listener.send(request).await;
            let status = answered.status.as_u16();
            assert!(
                operation.statuses().contains(&status),
                "{}: {status} is not documented",
                operation.name()
            );
            check(&operation, answered);
            asked += 1;
        }
    }
    assert!(asked > 0, "no operation was asked");
}

#[tokio::test]
async fn calls_for_signed_in_users_refuse_everybody_else() {
    ask_all(
        |operation, token| {
            let mut request = operation.needs_token().then(|| operation.request(token))?;
            request.headers_mut()?.remove("authorization");
            request.body(TestBody::new()).ok()
        },
        |operation, answered| {
            assert_eq!(answered.problem(), "unauthenticated", "{}", operation.name());
            assert!(
                answered.header("www-authenticate").starts_with("Bearer"),
                "{}",
                operation.name()
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_token_that_is_not_ours_is_refused_wherever_one_may_be_sent() {
    ask_all(
        |operation, _| {
            operation
                .details
                .contains_key("security")
                .then(|| operation.request("not-ours").body(TestBody::new()).ok())?
        },
        |operation, answered| {
            assert_eq!(answered.problem(), "unauthenticated", "{}", operation.name());
            assert!(
                answered.header("www-authenticate").contains("invalid_token"),
                "{}",
                operation.name()
            );
        },
    )
    .await;
}

#[tokio::test]
async fn edits_must_say_what_they_are_based_on() {
    let without = |header: &'static str, value: Option<&'static str>| {
        move |operation: &Operation, token: &str| {
            let mut request = operation
                .has("header", "If-Match")
                .then(|| operation.request(token))?;
            let headers = request.headers_mut()?;
            headers.remove(header);
            if let Some(value) = value {
                headers.insert(header, warp::http::HeaderValue::from_static(value));
            }
            request.body(TestBody::from_static(b"{}")).ok()
        }
    };
    ask_all(without("if-match", None), |operation, answered| {
        assert_eq!(
            answered.problem(),
            "precondition-required",
            "{}",
            operation.name()
        );
    })
    .await;
    ask_all(without("if-match", Some("7")), |operation, answered| {
        assert_eq!(answered.problem(), "malformed-request", "{}", operation.name());
    })
    .await;
}

#[tokio::test]
async fn orders_and_payments_must_be_named() {
    let unnamed = |key: Option<&'static str>| {
        move |operation: &Operation, token: &str| {
            let mut request = operation
                .has("header", "Idempotency-Key")
                .then(|| operation.request(token))?;
            request.headers_mut()?.remove("idempotency-key");
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            request.body(TestBody::from_static(b"{}")).ok()
        }
    };
    ask_all(unnamed(None), |operation, answered| {
        let must = ["/v1/orders", "/v1/orders/{id}/payments"].contains(&operation.path.as_str());
        let is_missed = answered.problem() == "idempotency-key-required";
        assert_eq!(is_missed, must, "{}", operation.name());
    })
    .await;
    ask_all(unnamed(Some("short")), |operation, answered| {
        assert_eq!(answered.problem(), "malformed-request", "{}", operation.name());
    })
    .await;
}

#[tokio::test]
async fn bodies_are_strict_wherever_there_is_one() {
    let sends = |content_type: Option<&'static str>, body: &'static [u8]| {
        move |operation: &Operation, token: &str| {
            let is_read = operation.has_body() && !operation.is_signed();
            let mut request = is_read.then(|| operation.request(token))?;
            let headers = request.headers_mut()?;
            headers.remove("content-type");
            if let Some(content_type) = content_type {
                headers.insert("content-type", warp::http::HeaderValue::from_static(content_type));
            }
            request.body(TestBody::from_static(body)).ok()
        }
    };
    let json = Some("application/json");
    ask_all(sends(json, b"{nonsense"), |operation, answered| {
        assert_eq!(answered.problem(), "malformed-request", "{}", operation.name());
    })
    .await;
    ask_all(sends(json, b""), |operation, answered| {
        let expected = if operation.body_may_be_absent() {
            "unavailable"
        } else {
            "malformed-request"
        };
        assert_eq!(answered.problem(), expected, "{}", operation.name());
    })
    .await;
    ask_all(sends(json, br#"{"surprise":1}"#), |operation, answered| {
        assert_eq!(answered.problem(), "validation", "{}", operation.name());
        assert_eq!(
            answered.json()["errors"][0]["field"],
            "/surprise",
            "{}",
            operation.name()
        );
    })
    .await;
    ask_all(sends(Some("text/plain"), b"{}"), |operation, answered| {
        assert_eq!(
            answered.problem(),
            "unsupported-media-type",
            "{}",
            operation.name()
        );
    })
    .await;
    ask_all(sends(None, b"{}"), |operation, answered| {
        assert_eq!(
            answered.problem(),
            "unsupported-media-type",
            "{}",
            operation.name()
        );
    })
    .await;
    ask_all(sends(json, &LARGE), |operation, answered| {
        assert_eq!(answered.problem(), "body-too-large", "{}", operation.name());
    })
    .await;
    ask_all(
        |operation, token| {
            let request = operation.has_body().then(|| operation.request(token))?;
            request
                .header("content-length", "262145")
                .body(TestBody::new())
                .ok()
        },
        |operation, answered| assert_eq!(answered.problem(), "body-too-large", "{}", operation.name()),
    )
    .await;
}

#[tokio::test]
async fn only_edits_read_merge_patches() {
    ask_all(
        |operation, token| {
            let is_read = operation.has_body() && !operation.is_signed();
            let mut request = is_read.then(|| operation.request(token))?;
            let merge_patch = warp::http::HeaderValue::from_static("application/merge-patch+json");
            request.headers_mut()?.insert("content-type", merge_patch);
            request.body(TestBody::from_static(br#"{"surprise":1}"#)).ok()
        },
        |operation, answered| {
            let expected = if operation.method == "PATCH" {
                "validation"
            } else {
                "unsupported-media-type"
            };
            assert_eq!(answered.problem(), expected, "{}", operation.name());
        },
    )
    .await;
}

#[tokio::test]
async fn an_id_that_is_no_uuid_names_nothing() {
    ask_all(
        |operation, token| {
            let path = operation
                .path
                .contains("{id}")
                .then(|| operation.path.replace("{id}", "7"))?;
            let request = Request::builder().method(operation.method.as_str()).uri(path);
            request
                .header("authorization", format!("Bearer {token}"))
                .body(TestBody::new())
                .ok()
        },
        |operation, answered| assert_eq!(answered.problem(), "not-found", "{}", operation.name()),
    )
    .await;
}

#[tokio::test]
async fn lists_refuse_bad_cursors_limits_and_unknown_filters() {
    let asks = |query: &'static str| {
        move |operation: &Operation, token: &str| {
            let request = operation
                .has("query", "cursor")
                .then(|| operation.request(token))?;
            let uri = format!("{}?{query}", request.uri_ref()?);
            request.uri(uri).body(TestBody::new()).ok()
        }
    };
    for (query, expected) in [
        ("cursor=nonsense", "invalid-cursor"),
        ("cursor=e30", "invalid-cursor"),
        ("limit=0", "validation"),
        ("limit=201", "validation"),
        ("limit=many", "validation"),
        ("surprise=1", "validation"),
        ("limit=200", "unavailable"),
    ] {
        ask_all(asks(query), |operation, answered| {
            assert_eq!(answered.problem(), expected, "{} ?{query}", operation.name());
        })
        .await;
    }
}

#[tokio::test]
async fn calls_for_some_roles_refuse_customers() {
    let edge = edge(Mood::Down);
    let customer = token(&edge, Role::Customer);
    let listener = Listener::whole(&edge);
    for operation in operations() {
        let roles = &operation
            .details
            .get("security")
            .map_or(&Value::Null, |schemes| &schemes[0]["bearer"]);
        if roles.as_array().is_some_and(|roles| !roles.is_empty()) {
            let answered = listener
                .send(
                    operation
                        .request(&customer)
                        .body(TestBody::new())
                        .expect("a request"),
                )
                .await;
            assert_eq!(answered.problem(), "forbidden", "{}", operation.name());
            assert!(operation.statuses().contains(&403), "{}", operation.name());
        }
    }
}
