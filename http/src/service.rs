//! What happens to every request, whatever its route: identity, admission, time, and the last touch.

use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use holdfast_actors::budget::Subject;
use hyper::{Request, body::Body};
use tower::ServiceExt;
use tracing::{Instrument, Span, field::Empty};
use uuid::Uuid;
use warp::http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{self, Entry},
};

use crate::{
    admission::Admission,
    edge::Edge,
    limit::Decisions,
    metrics::ListenerMetrics,
    options::EdgeOptions,
    problem::Problem,
    reply::Response,
    request::{RequestContext, RequestId, TrustedProxy, client_address, trace},
    route::{Found, Route, RouteTable},
    shop::Shop,
};

mod leftover;

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
    admission: Option<Arc<Admission>>,
    /// Who knows callers by their tokens.
    edge: Option<Edge>,
    timeout: Duration,
    trusted_proxies: Vec<TrustedProxy>,
    metrics: Option<ListenerMetrics>,
    /// Who counts requests, if they are limited.
    budgets: Option<Shop>,
}

impl EdgeService {
    /// Makes the service of a listener, which lets everybody in.
    pub(crate) fn new(table: RouteTable, options: &EdgeOptions) -> Self {
        Self {
            table,
            admission: None,
            edge: None,
            timeout: options.request_timeout,
            trusted_proxies: options.trusted_proxies.clone(),
            metrics: None,
            budgets: None,
        }
    }

    /// Lets in no more than `admission` does.
    pub(crate) fn admitted_by(self, admission: Arc<Admission>) -> Self {
        Self {
            admission: Some(admission),
            ..self
        }
    }

    /// Knows by the tokens of `edge` whose a request is, for admission to be fair.
    pub(crate) fn telling_callers_by(self, edge: Edge) -> Self {
        Self {
            edge: Some(edge),
            ..self
        }
    }

    /// Measures what is answered.
    pub(crate) fn measured(self, metrics: ListenerMetrics) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// Counts requests by their client's address against the budgets of `shop`.
    pub(crate) fn limited_by(self, shop: &Shop) -> Self {
        Self {
            budgets: Some(shop.clone()),
            ..self
        }
    }

    /// Answers a request that came from `peer`.
    pub(crate) async fn answer<B>(&self, request: Request<B>, peer: IpAddr) -> Response
    where
        B: Body + Unpin + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        let found = self.table.find(request.method(), request.uri().path());
        let measured = self
            .metrics
            .as_ref()
            .map(|metrics| metrics.begin(request.method(), &found));
        let fresh = Uuid::now_v7();
        let id = RequestId::from_headers(request.headers(), fresh);
        let is_head = request.method() == Method::HEAD;
        // A client that waits to be told to send its body is told the answer instead.
        let waits = request.headers().contains_key(header::EXPECT);
        let (parts, body) = request.into_parts();
        let (body, leftover) = leftover::lend(body);
        let response = self
            .serve(found, Request::from_parts(parts, body), peer, &id, fresh)
            .await;
        if let Some(leftover) = leftover.filter(|_| !waits) {
            leftover.discard().await;
        }
        let mut response = Problem::render(response, id.as_str());
        for (name, value) in DEFAULT_HEADERS {
            if let Entry::Vacant(vacant) = response.headers_mut().entry(name) {
                vacant.insert(value);
            }
        }
        id.put(response.headers_mut());
        if let Some(measured) = measured {
            measured.answered(response.status());
        }
        if is_head { without_body(response) } else { response }
    }

    async fn serve<B>(
        &self,
        found: Found<'_>,
        mut request: Request<B>,
        peer: IpAddr,
        id: &RequestId,
        fresh: Uuid,
    ) -> Response
    where
        B: Body + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        let route = match found {
            Found::Route(route) => route,
            Found::OtherMethods(allow) => return Problem::method_not_allowed(allow.clone()).into_response(),
            Found::Nothing => return Problem::not_found().into_response(),
        };
        let client = client_address(peer, request.headers(), &self.trusted_proxies);
        let admission = self.admission.as_ref().filter(|_| !route.is_vital());
        let entered = match admission.map(|gates| gates.enter(route.class(), self.whose(&request, client))) {
            Some(Err(problem)) => return problem.into_response(),
            Some(Ok(entered)) => Some(entered),
            None => None,
        };
        let span = span_of(route, id);
        let trace = trace::begin(&span, request.headers(), fresh);
        span.record("trace_id", trace.trace_id());
        let limits = Decisions::about(route.class());
        let context = RequestContext::new(trace, client, route.name().clone(), limits);
        request.extensions_mut().insert(context.clone());
        if request.method() == Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        let work = async {
            let mut response = self.count(route, request, &context).await;
            context.limits().put(response.headers_mut());
            let status = response.status();
            if let Some(entered) = entered {
                entered.answered(status);
            }
            let span = Span::current();
            span.record("http.response.status_code", status.as_u16());
            if status.is_server_error() {
                span.record("otel.status_code", "ERROR");
            }
            tracing::debug!(status = status.as_u16(), "answered");
            response
        };
        work.instrument(span).await
    }

    /// Tells whose a request is, as far as can be told without looking into its token.
    fn whose<B>(&self, request: &Request<B>, client: IpAddr) -> Subject {
        let caller = self.edge.as_ref().and_then(|edge| edge.known(request.headers()));
        caller.map_or_else(
            || Subject::address(client),
            |caller| Subject::caller(caller.user_id),
        )
    }

    async fn count<B>(&self, route: &Route, request: Request<B>, context: &RequestContext) -> Response
    where
        B: Body + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        let address = Subject::address(context.client());
        if let Some(shop) = &self.budgets
            && let Err(problem) = context.limits().admit_address(shop, address).await
        {
            return problem.into_response();
        }
        let response = self.work(route, request).await;
        if let Some(shop) = &self.budgets
            && let Err(problem) = context.limits().admit_unsigned(shop, address).await
        {
            return problem.into_response();
        }
        response
    }

    async fn work<B>(&self, route: &Route, request: Request<B>) -> Response
    where
        B: Body + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
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

/// Makes a request's span. Nothing of the request is in it but its id: paths and headers may hold secrets.
fn span_of(route: &Route, id: &RequestId) -> Span {
    // Probes come every second, and nobody asks where their time went.
    if route.is_vital() {
        return tracing::debug_span!("probe", %id, trace_id = Empty);
    }
    tracing::info_span!(
        "request",
        otel.name = &**route.name(),
        otel.kind = "server",
        otel.status_code = Empty,
        http.response.status_code = Empty,
        %id,
        trace_id = Empty,
    )
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
