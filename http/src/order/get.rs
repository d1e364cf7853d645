//! Reading an order.

use holdfast_actors::client::Freshness;
use holdfast_domain::{Caller, OrderId};
use warp::{Filter, http::Method};

use super::OrderBody;
use crate::{
    edge::Edge,
    reply::Reply,
    request::{IfNoneMatch, RequestContext, context, freshness, if_none_match},
    route::{Answer, Route, path_of},
};

/// `GET /v1/orders/{id}`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "orders" / OrderId);
    Route::new(
        Method::GET,
        template,
        at.and(edge.caller())
            .and(if_none_match())
            .and(freshness())
            .and(context())
            .and(edge.itself())
            .then(get),
    )
}

/// An order
///
/// For its customer and admins; a seller of some of its lines sees these lines.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders", operation_id = "getOrder", security(("bearer" = [])),
    params(
        ("id" = Uuid, Path, description = "The order's id."),
        ("If-None-Match" = Option<String>, Header),
        ("Cache-Control" = Option<String>, Header),
        ("X-Min-Version" = Option<i64>, Header),
    ),
    responses((status = 200, description = "The order.", body = OrderBody, headers(("ETag" = String)))),
)]
pub(crate) async fn get(
    id: OrderId,
    caller: Caller,
    condition: IfNoneMatch,
    freshness: Freshness,
    context: RequestContext,
    edge: Edge,
) -> Answer {
    let read = edge
        .shop()
        .order(&edge.call(&context), &caller, id, freshness)
        .await?;
    let version = read.value.version;
    Ok(Reply::versioned(&condition, version, || OrderBody::from(read.value))?.stale_by(read.staleness_ms))
}
