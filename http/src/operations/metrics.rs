//! What the node measures, as Prometheus reads it.

use prometheus::TextEncoder;
use warp::{
    Filter,
    http::{HeaderValue, Method, StatusCode},
};

use crate::{
    edge::Edge,
    problem::Problem,
    reply::Reply,
    route::{Answer, Route, path_of},
};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// `GET /metrics`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("metrics");
    Route::new(Method::GET, template, at.and(edge.itself()).then(metrics))
}

/// What the node measures
///
/// In the text format of Prometheus. Each node tells of itself alone.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses((status = 200, description = "The node's metrics.", body = String, content_type = "text/plain")),
)]
pub(crate) async fn metrics(edge: Edge) -> Answer {
    let families = edge.shop().metrics().gather();
    let text = TextEncoder::new().encode_to_string(&families).map_err(|error| {
        tracing::error!(%error, "the metrics cannot be written");
        Problem::internal()
    })?;
    Ok(Reply::of(StatusCode::OK, TEXT, text))
}
