//! An edge without a cluster or a socket, for tests.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::StreamExt;
use holdfast_domain::{Caller, Role, SessionId, UserId};
use hyper::Request;
use serde_json::Value;
use uuid::Uuid;
use warp::http::{HeaderMap, StatusCode};

use crate::{
    admission::Admission,
    edge::Edge,
    metrics::HttpMetrics,
    operations,
    options::EdgeOptions,
    payment,
    reply::Response,
    route::{Route, RouteTable},
    service::EdgeService,
    shop::{Mood, Shop},
    start,
    token::AccessTokens,
};

/// A body as tests send it.
pub(crate) type TestBody = warp::hyper::body::Bytes;

/// Makes an edge of a shop in this mood.
pub(crate) fn edge(mood: Mood) -> Edge {
    let options = EdgeOptions {
        payment_webhooks: payment::tests::keys(),
        ..EdgeOptions::default()
    };
    Edge::new(Shop::new(mood), AccessTokens::for_tests(&options), options)
}

/// Signs an access token of somebody with this role.
pub(crate) fn token(edge: &Edge, role: Role) -> String {
    let caller = Caller {
        user_id: UserId(Uuid::now_v7()),
        session_id: SessionId(Uuid::now_v7()),
        role,
    };
    edge.tokens().sign(&caller).expect("a token").text
}

/// Lists the routes of both listeners.
pub(crate) fn all_routes(edge: &Edge) -> Vec<Route> {
    let mut routes = start::api_routes(edge);
    routes.extend(operations::ops_routes(edge));
    routes
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Bytes,
}

impl Answered {
    /// Returns a header's text, or the empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// Returns the last part of the problem's type.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        assert_eq!(body["request_id"], self.header("x-request-id"));
        let problem = body["type"]
            .as_str()
            .and_then(|kind| kind.strip_prefix("/problems/"));
        problem.expect("a type").to_owned()
    }
}

/// A listener without a socket.
pub(crate) struct Listener {
    service: EdgeService,
}

impl Listener {
    /// Serves these routes.
    pub(crate) fn of(routes: Vec<Route>, options: &EdgeOptions) -> Self {
        let service =
            EdgeService::new(RouteTable::new(routes), options).admitted_by(Arc::new(Admission::new(options)));
        Self { service }
    }

    /// Knows callers by the tokens that `edge` has verified.
    pub(crate) fn telling_callers_by(self, edge: &Edge) -> Self {
        Self {
            service: self.service.telling_callers_by(edge.clone()),
        }
    }

    /// Serves the routes of both listeners, and measures.
    pub(crate) fn measured(edge: &Edge) -> Self {
        let metrics = HttpMetrics::new(&edge.shop().metrics()).expect("the only edge of its shop");
        let Self { service } = Self::whole(edge);
        Self {
            service: service.measured(metrics.of("test")),
        }
    }

    /// Serves the routes of both listeners.
    pub(crate) fn whole(edge: &Edge) -> Self {
        let Self { service } = Self::of(all_routes(edge), edge.options());
        Self {
            service: service.limited_by(edge.shop()),
        }
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: Request<TestBody>) -> Answered {
        let request = request.map(FullBody::from);
        let response = self
            .service
            .answer(request, IpAddr::V4(Ipv4Addr::LOCALHOST))
            .await;
        read(response).await
    }
}

/// Somebody who is signed in, and sends JSON.
pub(crate) struct Client {
    /// The edge that is asked.
    pub(crate) edge: Edge,
    listener: Listener,
    token: String,
}

impl Client {
    /// Signs in with this role at a shop in this mood.
    pub(crate) fn of(role: Role, mood: Mood) -> Self {
        let edge = edge(mood);
        Self {
            listener: Listener::whole(&edge),
            token: token(&edge, role),
            edge,
        }
    }

    /// Sends a request with these headers; a body that is null is none.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answered {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}", self.token));
        if !body.is_null() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            TestBody::new()
        } else {
            body.to_string().into()
        };
        self.listener.send(request.body(body).expect("a request")).await
    }

    /// Reads a resource.
    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send("GET", path, &[], Value::Null).await
    }

    /// Posts a body under an idempotency key.
    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> Answered {
        self.send("POST", path, &[("idempotency-key", key)], body).await
    }
}

/// A whole body, as hyper would hand it in.
struct FullBody(Option<TestBody>);

impl From<TestBody> for FullBody {
    fn from(bytes: TestBody) -> Self {
        Self(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl hyper::body::Body for FullBody {
    type Data = TestBody;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<TestBody>, Self::Error>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(hyper::body::Frame::data(bytes))))
    }
}

async fn read(response: Response) -> Answered {
    let (parts, body) = response.into_parts();
    let mut body = std::pin::pin!(body);
    let frames = futures_util::stream::poll_fn(|cx| hyper::body::Body::poll_frame(body.as_mut(), cx));
    let chunks: Vec<Bytes> = frames
        .filter_map(async |frame| frame.ok()?.into_data().ok())
        .collect()
        .await;
    Answered {
        status: parts.status,
        headers: parts.headers,
        body: chunks.concat().into(),
    }
}
