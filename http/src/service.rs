//! What happens to every request, whatever its route: identity, admission, time, and the last touch.

use std::{net::IpAddr, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use hyper::{Request, body::Body};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tracing::Instrument;
use warp::http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{self, Entry},
};

use crate::{
    options::EdgeOptions,
    problem::Problem,
    reply::Response,
    request::{RequestContext, RequestId, TraceParent, client_address},
    route::{Found, Route, RouteTable},
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Headers of every response that does not say otherwise.
const DEFAULT_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// A listener's routes, and what stands before and behind them.
pub(crate) struct EdgeService {
    table: RouteTable,
    permits: Option<Semaphore>,
    timeout: Duration,
    trusted_proxies: Vec<IpAddr>,
}

impl EdgeService {
    /// Makes the service of a listener; `max_in_flight` bounds the requests in progress.
    pub(crate) fn new(table: RouteTable, options: &EdgeOptions, max_in_flight: Option<usize>) -> Self {
        Self {
            table,
            permits: max_in_flight.map(Semaphore::new),
            timeout: options.request_timeout,
            trusted_proxies: options.trusted_proxies.clone(),
        }
    }

    /// Answers a request that came from `peer`.
    pub(crate) async fn answer<B>(&self, mut request: Request<B>, peer: IpAddr) -> Response
    where
        B: Body + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        let id = RequestId::from_headers(request.headers());
        let is_head = request.method() == Method::HEAD;
        let response = match self.table.find(request.method(), request.uri().path()) {
            Found::Route(route) => {
                let trace = TraceParent::from_headers(request.headers());
                let client = client_address(peer, request.headers(), &self.trusted_proxies);
                let context = RequestContext::new(trace, client, route.name().clone());
                request.extensions_mut().insert(context);
                if is_head {
                    *request.method_mut() = Method::GET;
                }
                let span = tracing::info_span!("request", %id, route = &**route.name());
                self.admit(route, request).instrument(span).await
            }
            Found::OtherMethods(allow) => Problem::method_not_allowed(allow.clone()).into_response(),
            Found::Nothing => Problem::not_found().into_response(),
        };
        let mut response = Problem::render(response, id.as_str());
        for (name, value) in DEFAULT_HEADERS {
            if let Entry::Vacant(vacant) = response.headers_mut().entry(name) {
                vacant.insert(value);
            }
        }
        id.put(response.headers_mut());
        if is_head { without_body(response) } else { response }
    }

    async fn admit<B>(&self, route: &Route, request: Request<B>) -> Response
    where
        B: Body + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        let _permit = match &self.permits {
            Some(permits) if !route.is_vital() => match permits.try_acquire() {
                Ok(permit) => Some(permit),
                Err(_) => return Problem::unavailable("this node has too much to do").into_response(),
            },
            _ => None,
        };
        let work = AssertUnwindSafe(warp::service(route.filter()).oneshot(request)).catch_unwind();
        match tokio::time::timeout(self.timeout, work).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            // The panic hook has said where.
            Ok(Err(_panic)) => {
                tracing::error!("a handler panicked");
                Problem::internal().into_response()
            }
            Err(_elapsed) => {
                tracing::warn!("a request was given up");
                Problem::unavailable("the request took too long").into_response()
            }
        }
    }
}

/// Keeps what HEAD is for: the headers, and how long the body would have been.
fn without_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        put_length(&mut parts.headers, length);
    }
    Response::from_parts(parts, warp::hyper::body::Bytes::new().into())
}

fn put_length(headers: &mut HeaderMap, length: u64) {
    if length > 0 {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

#[cfg(test)]
mod tests;
