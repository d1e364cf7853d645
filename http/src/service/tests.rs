use std::sync::Arc;

use holdfast_domain::Role;
use serde_json::json;
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
};
use warp::{Filter, http::StatusCode};

use super::*;
use crate::{
    problem::ProblemKind,
    reply::Reply,
    shop::Mood,
    testing::{Answered, Listener, TestBody, edge, token},
};

fn get(path: &str) -> Request<TestBody> {
    Request::builder()
        .uri(path)
        .body(TestBody::new())
        .expect("a request")
}

fn route<F, R>(template: &'static str, handler: F) -> Route
where
    F: Fn() -> R + Clone + Send + Sync + 'static,
    R: Future<Output = crate::route::Answer> + Send,
{
    Route::new(
        Method::GET,
        template,
        crate::request::context().then(move |_| handler()),
    )
}

async fn answered(listener: &Listener, request: Request<TestBody>) -> Answered {
    listener.send(request).await
}

#[tokio::test]
async fn an_unknown_path_is_a_problem_with_the_requests_id() {
    let listener = Listener::whole(&edge(Mood::Down));
    for path in [
        "/",
        "/v1",
        "/v1/orders/",
        "/v2/orders",
        "/v1/orders/x/y/z",
        "/problems/nonsense",
        "/docs/nonsense.js",
    ] {
        let answer = answered(&listener, get(path)).await;
        assert_eq!(answer.problem(), "not-found", "{path}");
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn another_method_is_told_which_ones_there_are() {
    let listener = Listener::whole(&edge(Mood::Down));
    for (method, path, allow) in [
        ("DELETE", "/v1/orders", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/me", "GET, HEAD, PATCH"),
        ("GET", "/v1/auth/login", "POST"),
        (
            "PUT",
            "/v1/products/0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d",
            "DELETE, GET, HEAD, PATCH",
        ),
        (
            "HEAD",
            "/v1/orders/0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d/cancel",
            "POST",
        ),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(TestBody::new())
            .expect("a request");
        let answer = answered(&listener, request).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn a_sane_request_id_comes_back_and_another_is_replaced() {
    let listener = Listener::whole(&edge(Mood::Down));
    let send = async |id: &str| {
        let mut request = get("/livez");
        request
            .headers_mut()
            .insert("x-request-id", HeaderValue::from_str(id).expect("a header value"));
        answered(&listener, request)
            .await
            .header("x-request-id")
            .to_owned()
    };
    assert_eq!(send("my-request:7").await, "my-request:7");
    assert_eq!(send("a b").await.len(), 36);
}

#[tokio::test]
async fn every_response_carries_headers_that_keep_browsers_from_guessing() {
    let listener = Listener::whole(&edge(Mood::Down));
    for path in ["/livez", "/nonsense", "/v1/me", "/openapi.json"] {
        let answer = answered(&listener, get(path)).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'none'"),
            "{path}"
        );
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let listener = Listener::whole(&edge(Mood::Down));
    let whole = answered(&listener, get("/openapi.json")).await;
    let request = Request::builder()
        .method("HEAD")
        .uri("/openapi.json")
        .body(TestBody::new())
        .expect("a request");
    let head = answered(&listener, request).await;
    assert_eq!(head.status, StatusCode::OK);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
    assert_eq!(head.header("content-type"), "application/json; charset=utf-8");
}

#[tokio::test]
async fn every_kind_of_problem_has_a_page() {
    let listener = Listener::whole(&edge(Mood::Down));
    for kind in ProblemKind::ALL {
        let answer = answered(&listener, get(kind.type_path())).await;
        assert_eq!(answer.status, StatusCode::OK, "{kind:?}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        let page = String::from_utf8_lossy(&answer.body);
        assert!(page.contains("<h1>") && page.contains("What to do"), "{kind:?}");
    }
}

#[tokio::test]
async fn the_documentation_needs_nothing_from_elsewhere() {
    let listener = Listener::whole(&edge(Mood::Down));
    let page = answered(&listener, get("/docs")).await;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert_eq!(page.header("content-type"), "text/html");
    assert!(text.contains("<base href=\"/docs/\">"));
    assert!(!text.contains("https://") && !text.contains("http://"));
    for file in [
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
        "swagger-initializer.js",
    ] {
        assert!(text.contains(file), "{file} is not asked for");
        let answer = answered(&listener, get(&format!("/docs/{file}"))).await;
        assert_eq!(answer.status, StatusCode::OK, "{file}");
    }
    let initializer = answered(&listener, get("/docs/swagger-initializer.js")).await;
    assert!(String::from_utf8_lossy(&initializer.body).contains("\"/openapi.json\""));
}

#[tokio::test]
async fn liveness_asks_nobody_and_readiness_tells_why_not() {
    let listener = Listener::whole(&edge(Mood::Down));
    let live = answered(&listener, get("/livez")).await;
    assert_eq!(
        (live.status, live.json()),
        (StatusCode::OK, json!({"status": "ok"}))
    );
    let ready = answered(&listener, get("/readyz")).await;
    assert_eq!(ready.problem(), "unavailable");
    assert!(ready.json().get("checks").is_none());
    let verbose = answered(&listener, get("/readyz?verbose")).await;
    assert!(verbose.json()["checks"]["database"].is_boolean());
}

#[tokio::test]
async fn a_handler_that_panics_answers_500_and_nothing_of_the_panic() {
    let listener = Listener::of(
        vec![route("/broken", async || panic!("secret"))],
        &EdgeOptions::default(),
    );
    let answer = answered(&listener, get("/broken")).await;
    assert_eq!(answer.problem(), "internal");
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_given_up() {
    let listener = Listener::of(
        vec![route("/slow", std::future::pending)],
        &EdgeOptions::default(),
    );
    let answer = answered(&listener, get("/slow")).await;
    assert_eq!(answer.problem(), "unavailable");
    assert!(!answer.header("retry-after").is_empty());
}

/// Requests of one address that are in progress cannot take the room of who is signed in there.
#[tokio::test]
async fn a_caller_is_told_apart_from_its_address_by_a_token_that_is_known() {
    let options = EdgeOptions {
        max_in_flight: 18,
        ..EdgeOptions::default()
    };
    let edge = edge(Mood::Down);
    let [known, unknown] = [(); 2].map(|()| token(&edge, Role::Customer));
    edge.tokens().verify(&known).await.expect("is good");
    let entered = Arc::new(Semaphore::new(0));
    let held = {
        let entered = entered.clone();
        route("/held", move || {
            entered.add_permits(1);
            std::future::pending()
        })
    };
    let quick = route("/quick", async || Ok(Reply::no_content()));
    let listener = Arc::new(Listener::of(vec![held, quick], &options).telling_callers_by(&edge));
    let mut held = JoinSet::new();
    for _ in 0..16 {
        let listener = listener.clone();
        held.spawn(async move { listener.send(get("/held")).await });
    }
    let _all = entered.acquire_many(16).await.expect("open");
    let by = |token: &str| {
        Request::builder()
            .uri("/quick")
            .header("authorization", format!("Bearer {token}"))
            .body(TestBody::new())
            .expect("a request")
    };
    for stranger in [get("/quick"), by(&unknown)] {
        assert_eq!(answered(&listener, stranger).await.problem(), "unavailable");
    }
    assert_eq!(
        answered(&listener, by(&known)).await.status,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn a_node_with_too_much_to_do_says_so_but_still_answers_probes() {
    let options = EdgeOptions {
        max_in_flight: 1,
        ..EdgeOptions::default()
    };
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let held = {
        let (entered, release) = (entered.clone(), release.clone());
        route("/held", move || {
            let (entered, release) = (entered.clone(), release.clone());
            async move {
                entered.notify_one();
                release.notified().await;
                Ok(Reply::no_content())
            }
        })
    };
    let vital = route("/vital", async || Ok(Reply::no_content())).vital();
    let listener = Arc::new(Listener::of(vec![held, vital], &options));
    let first = tokio::spawn({
        let listener = listener.clone();
        async move { listener.send(get("/held")).await.status }
    });
    entered.notified().await;
    let second = answered(&listener, get("/held")).await;
    assert_eq!(second.problem(), "unavailable");
    assert!(!second.header("retry-after").is_empty());
    assert_eq!(
        answered(&listener, get("/vital")).await.status,
        StatusCode::NO_CONTENT
    );
    release.notify_one();
    assert_eq!(first.await.expect("an answer"), StatusCode::NO_CONTENT);
}
