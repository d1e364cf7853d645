//! Reading a product.

use holdfast_actors::client::Freshness;
use holdfast_domain::{Caller, ProductId};
use warp::{Filter, http::Method};

use super::ProductBody;
use crate::{
    edge::Edge,
    reply::{Reply, written},
    request::{IfNoneMatch, RequestContext, context, freshness, if_none_match},
    route::{Answer, Route, path_of},
};

/// `GET /v1/products/{id}`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "products" / ProductId);
    Route::new(
        Method::GET,
        template,
        at.and(edge.viewer())
            .and(if_none_match())
            .and(freshness())
            .and(context())
            .and(edge.itself())
            .then(get),
    )
}

/// A product
///
/// Active products are public; drafts and archived ones are for their seller and admins.
#[utoipa::path(
    get, path = "/v1/products/{id}", tag = "products", operation_id = "getProduct", security((), ("bearer" = [])),
    params(
        ("id" = Uuid, Path, description = "The product's id."),
        ("If-None-Match" = Option<String>, Header),
        ("Cache-Control" = Option<String>, Header),
        ("X-Min-Version" = Option<i64>, Header),
    ),
    responses((status = 200, description = "The product.", body = ProductBody, headers(("ETag" = String)))),
)]
pub(crate) async fn get(
    id: ProductId,
    viewer: Option<Caller>,
    condition: IfNoneMatch,
    freshness: Freshness,
    context: RequestContext,
    edge: Edge,
) -> Answer {
    let read = edge
        .shop()
        .product(&edge.call(&context), viewer.as_ref(), id, freshness)
        .await?;
    let known = read.value;
    let body = || known.body(|product| written(&ProductBody::from(product.clone())));
    let reply = Reply::versioned_as(&condition, known.product.version, body)?;
    Ok(reply.stale_by(read.staleness_ms))
}
