//! Taking a product off sale.

use holdfast_domain::{Caller, ProductId};
use warp::{Filter, http::Method};

use crate::{
    edge::Edge,
    reply::Reply,
    request::{Submission, if_match},
    route::{Answer, Route, path_of},
};

/// `DELETE /v1/products/{id}`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "products" / ProductId);
    Route::new(
        Method::DELETE,
        template,
        at.and(edge.seller())
            .and(if_match())
            .and(edge.bare_submission())
            .and(edge.itself())
            .then(archive),
    )
}

/// Takes a product off sale
///
/// It is archived for good; existing orders keep their snapshot of it.
#[utoipa::path(
    delete, path = "/v1/products/{id}", tag = "products", operation_id = "archiveProduct",
    security(("bearer" = ["seller", "admin"])),
    params(("id" = Uuid, Path, description = "The product's id."), ("If-Match" = String, Header)),
    responses((status = 204, description = "The product is archived.")),
)]
pub(crate) async fn archive(
    id: ProductId,
    caller: Caller,
    expected_version: i64,
    submission: Submission<()>,
    edge: Edge,
) -> Answer {
    let (mutation, ()) = submission.into_parts(caller.user_id.0);
    let done = edge
        .shop()
        .product_archive(&mutation, &caller, id, expected_version)
        .await?;
    Ok(Reply::no_content().replayed(done.replayed))
}
