//! What the edge measures: requests by route and outcome, their durations, and how many are in progress.
//!
//! A route is named by its template, never by the path that was asked for: there are as many series as
//! there are routes, however many resources there are.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_actors::metrics::{Kind, Registrar, SECONDS, Sample};
use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result};
use warp::http::{Method, StatusCode};

use crate::{route::Found, token::VerifiedTokens};

/// The template of requests that no route serves.
const UNMATCHED: &str = "unmatched";

/// What the edge measures, on all listeners.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGaugeVec,
}

impl HttpMetrics {
    /// Adds the edge's metrics to the node's registry.
    ///
    /// # Errors
    /// They are there already: an edge was started for this node before.
    pub(crate) fn new(registry: &Registry) -> Result<Self> {
        let registrar = Registrar::new(registry);
        Ok(Self {
            requests: registrar.labelled_counters(
                "holdfast_http_requests_total",
                "Requests by route and by the class of their status; aborted: the client went away before.",
                &["class", "route", "method", "status"],
            )?,
            duration: registrar.histograms(
                "holdfast_http_request_duration_seconds",
                "How long requests took from their head to the head of their response.",
                SECONDS,
                &["class", "route", "method"],
            )?,
            in_flight: registrar.gauges(
                "holdfast_http_requests_in_flight",
                "Requests in progress.",
                &["listener"],
            )?,
        })
    }

    /// Measures one listener.
    pub(crate) fn of(&self, listener: &str) -> ListenerMetrics {
        ListenerMetrics(Arc::new(Listener {
            http: self.clone(),
            in_flight: self.in_flight.with_label_values(&[listener]),
        }))
    }
}

/// Shows what the memory of verified tokens does.
pub(crate) fn watch_tokens(registry: &Registry, verified: VerifiedTokens) -> Result<()> {
    Registrar::new(registry).sampled(
        Kind::Counter,
        "holdfast_token_cache_lookups_total",
        "Access tokens that came with requests, by whether they were known to be good.",
        &["result"],
        move || {
            let stats = verified.stats();
            [("hit", stats.hits), ("miss", stats.misses)]
                .map(|(result, count)| Sample::labelled([result], approximately(count)))
                .into()
        },
    )
}

/// Counts as Prometheus does, exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "a count of requests stays below 2^53")]
pub(crate) fn approximately(count: u64) -> f64 {
    count as f64
}

/// What is measured on one listener.
#[derive(Clone)]
pub(crate) struct ListenerMetrics(Arc<Listener>);

struct Listener {
    http: HttpMetrics,
    in_flight: IntGauge,
}

/// A request that is measured; dropped before its end, it was aborted.
pub(crate) struct Measured {
    listener: ListenerMetrics,
    class: &'static str,
    route: &'static str,
    method: &'static str,
    began: Instant,
    has_ended: bool,
}

impl ListenerMetrics {
    /// Measures a request by this method from now on.
    pub(crate) fn begin(&self, method: &Method, found: &Found<'_>) -> Measured {
        self.0.in_flight.inc();
        let (class, route, method) = match found {
            Found::Route(route) => {
                let (method, template) = (route.method(), route.template());
                (class_of(method, template), template, name_of(method))
            }
            Found::OtherMethods(_) | Found::Nothing => (UNMATCHED, UNMATCHED, name_of(method)),
        };
        Measured {
            listener: self.clone(),
            class,
            route,
            method,
            began: Instant::now(),
            has_ended: false,
        }
    }
}

impl Measured {
    /// Counts the request as answered.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.has_ended = true;
        self.count(match status.as_u16() {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        });
        let took: Duration = self.began.elapsed();
        let duration = &self.listener.0.http.duration;
        duration
            .with_label_values(&[self.class, self.route, self.method])
            .observe(took.as_secs_f64());
    }

    fn count(&self, status: &str) {
        let requests = &self.listener.0.http.requests;
        requests
            .with_label_values(&[self.class, self.route, self.method, status])
            .inc();
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.listener.0.in_flight.dec();
        if !self.has_ended {
            self.count("aborted");
        }
    }
}

/// Tells what kind of call a route is, as service levels and limits tell them apart.
fn class_of(method: &Method, template: &str) -> &'static str {
    let is_read = *method == Method::GET;
    match template.strip_prefix("/v1/") {
        None => "operations",
        Some(call) if call.starts_with("auth/") => "auth",
        Some(_) if is_read => "reads",
        Some(call) if call.starts_with("orders") => "orders",
        Some(_) => "writes",
    }
}

/// Names a method; there are arbitrarily many that clients can make up.
fn name_of(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;
    use crate::{
        shop::Mood,
        testing::{Listener as TestListener, TestBody, edge},
    };

    async fn scraped(requests: &[(&str, &str)]) -> String {
        let edge = edge(Mood::Down);
        let listener = TestListener::measured(&edge);
        for (method, path) in requests {
            let request = Request::builder().method(*method).uri(*path);
            listener
                .send(request.body(TestBody::new()).expect("a request"))
                .await;
        }
        let request = Request::builder().uri("/metrics");
        let answered = listener
            .send(request.body(TestBody::new()).expect("a request"))
            .await;
        assert_eq!(answered.status, StatusCode::OK);
        assert_eq!(
            answered.header("content-type"),
            "text/plain; version=0.0.4; charset=utf-8"
        );
        String::from_utf8(answered.body.to_vec()).expect("text")
    }

    #[tokio::test]
    async fn requests_are_told_apart_by_template_and_never_by_path() {
        let text = scraped(&[
            ("GET", "/v1/orders/0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d"),
            ("HEAD", "/v1/orders/another"),
            ("GET", "/v1/nonsense/7"),
            ("BREW", "/v1/orders"),
        ])
        .await;
        for series in [
            r#"holdfast_http_requests_total{class="reads",method="GET",route="/v1/orders/{id}",status="4xx"} 2"#,
            r#"holdfast_http_requests_total{class="unmatched",method="GET",route="unmatched",status="4xx"} 1"#,
            r#"holdfast_http_requests_total{class="unmatched",method="other",route="unmatched",status="4xx"} 1"#,
            r#"holdfast_http_request_duration_seconds_count{class="reads",method="GET",route="/v1/orders/{id}"} 2"#,
            // The one that reads this.
            r#"holdfast_http_requests_in_flight{listener="test"} 1"#,
        ] {
            assert!(text.contains(series), "{series}: {text}");
        }
        assert!(!text.contains("0199c2a1") && !text.contains("nonsense"), "{text}");
    }

    #[test]
    fn every_route_is_of_a_class() {
        for (method, template, class) in [
            (Method::POST, "/v1/auth/login", "auth"),
            (Method::POST, "/v1/orders", "orders"),
            (Method::GET, "/v1/orders", "reads"),
            (Method::POST, "/v1/orders/{id}/cancel", "orders"),
            (Method::PATCH, "/v1/products/{id}", "writes"),
            (Method::GET, "/livez", "operations"),
        ] {
            assert_eq!(class_of(&method, template), class, "{method} {template}");
        }
    }

    #[tokio::test]
    async fn a_request_that_nobody_waits_for_is_counted_as_aborted() {
        let registry = Registry::new();
        let listener = HttpMetrics::new(&registry).expect("new names").of("api");
        drop(listener.begin(&Method::GET, &Found::Nothing));
        let requests = &listener.0.http.requests;
        let aborted = requests.with_label_values(&[UNMATCHED, UNMATCHED, "GET", "aborted"]);
        assert_eq!((aborted.get(), listener.0.in_flight.get()), (1, 0));
        assert!(HttpMetrics::new(&registry).is_err(), "a second edge of one node");
    }
}
