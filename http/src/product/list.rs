//! Listing products.

use holdfast_actors::client::{Freshness, ProductFilter, ProductKey, ProductPosition, ProductSort};
use holdfast_domain::{Caller, ProductStatus, UserId, text};
use warp::{Filter, http::Method};

use super::ProductBody;
use crate::{
    edge::Edge,
    list::List,
    openapi::schema,
    problem::Problem,
    request::{ListRequest, Query, freshness, invalid_cursor, query},
    route::{Answer, Route, path_of},
};

/// The longest text to search for, in characters.
const SEARCH_MAX_CHARS: usize = 200;

/// `GET /v1/products`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "products");
    Route::new(
        Method::GET,
        template,
        at.and(edge.viewer())
            .and(query())
            .and(freshness())
            .and(edge.itself())
            .then(list),
    )
}

/// Products
///
/// Lists the products that the caller may see: active ones, one's own drafts and archived ones, and
/// for admins all.
#[utoipa::path(
    get, path = "/v1/products", tag = "products", operation_id = "listProducts", security((), ("bearer" = [])),
    params(
        ("q" = Option<String>, Query, description = "Words to look for in name, SKU and description.", example = "mug"),
        ("status" = Option<schema::ProductStatusName>, Query, description = "Only products of this status."),
        ("seller_id" = Option<Uuid>, Query, description = "Only products of this seller."),
        ("sort" = Option<schema::ProductSortName>, Query, description = "The list's order; `-created_at` without it."),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
        ("Cache-Control" = Option<String>, Header),
    ),
    responses((status = 200, description = "A page of products.", body = List<ProductBody>)),
)]
pub(crate) async fn list(
    viewer: Option<Caller>,
    mut query: Query,
    freshness: Freshness,
    edge: Edge,
) -> Answer {
    let list = ListRequest::<ProductKey>::take(&mut query)?;
    let sort = query.parse::<ProductSort>("sort").unwrap_or_default();
    let filter = ProductFilter {
        query: query.take("q").filter(|text| !text.trim().is_empty()),
        status: query.parse::<ProductStatus>("status"),
        seller_id: query.parse::<UserId>("seller_id"),
        viewer,
    };
    let words = filter.query.as_deref().unwrap_or_default();
    if let Err(error) = text::check("q", words, 0, SEARCH_MAX_CHARS) {
        query.refuse("q", error.message);
    }
    query.finish()?;
    check_key(sort, list.after.as_ref())?;
    let read = edge
        .shop()
        .products(&filter, sort, &list.page(), freshness)
        .await?;
    Ok(List::<ProductBody>::page(&list, read.value)?.stale_by(read.staleness_ms))
}

/// Checks that a cursor's key is one of this order; only a made-up cursor's is not.
fn check_key(sort: ProductSort, key: Option<&ProductKey>) -> Result<(), Problem> {
    let Some(key) = key else { return Ok(()) };
    let fits = matches!(
        (sort, &key.position),
        (
            ProductSort::Oldest | ProductSort::Newest,
            ProductPosition::CreatedAt(_)
        ) | (
            ProductSort::Cheapest | ProductSort::Dearest,
            ProductPosition::Price(_)
        )
    ) || matches!(
        (sort, &key.position),
        (ProductSort::Name, ProductPosition::Name(name)) if !name.contains('\0')
    );
    if fits && key.sort == sort {
        Ok(())
    } else {
        Err(invalid_cursor())
    }
}
