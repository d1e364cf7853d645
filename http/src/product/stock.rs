//! A product's stock: reading it, and the two ways of changing it.

use holdfast_actors::{
    client::Freshness,
    command::{Adjusted, Adjustment, StockTarget},
};
use holdfast_domain::{
    Caller, MovementId, ProductId, StockLevel,
    stock::ON_HAND_MAX,
    text::{self, ADJUSTMENT_REASON_MAX_CHARS, NOTE_MAX_CHARS},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use crate::{
    edge::Edge,
    reply::Reply,
    request::{Checks, IfNoneMatch, RequestContext, Submission, context, freshness, if_match, if_none_match},
    route::{Answer, Route, path_of},
};

/// A product's counters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stock)]
pub(crate) struct StockBody {
    /// The product.
    #[schema(value_type = Uuid)]
    product_id: ProductId,
    /// Units in the warehouse.
    #[schema(example = 100)]
    on_hand: u32,
    /// Of these, units promised to orders.
    #[schema(example = 3)]
    reserved: u32,
    /// Units that can still be sold.
    #[schema(example = 97)]
    available: u32,
    /// Counts movements, from 1; the `ETag`'s number.
    #[schema(example = 4)]
    version: i64,
}

impl From<StockLevel> for StockBody {
    fn from(level: StockLevel) -> Self {
        Self {
            product_id: level.product_id,
            on_hand: level.on_hand,
            reserved: level.reserved,
            available: level.available(),
            version: level.version,
        }
    }
}

/// A change of stock.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct AdjustmentRequest {
    /// Units to add, or to take when negative; not 0.
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000, example = 50)]
    delta: i64,
    /// A short reason.
    #[schema(min_length = 1, max_length = 200, example = "received")]
    reason: String,
    /// More words on it.
    #[serde(default)]
    #[schema(max_length = 2_000, example = "delivery 4711")]
    note: Option<String>,
}

/// What a change of stock led to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Adjusted)]
pub(crate) struct AdjustedBody {
    /// The entry of the ledger.
    #[schema(value_type = Uuid)]
    movement_id: MovementId,
    /// Units in the warehouse.
    #[schema(example = 150)]
    on_hand: u32,
    /// Of these, units promised to orders.
    #[schema(example = 3)]
    reserved: u32,
    /// Units that can still be sold.
    #[schema(example = 147)]
    available: u32,
    /// Counts movements, from 1; the number of the stock's `ETag`.
    #[schema(example = 5)]
    version: i64,
}

impl From<Adjusted> for AdjustedBody {
    fn from(Adjusted { movement_id, level }: Adjusted) -> Self {
        Self {
            movement_id,
            on_hand: level.on_hand,
            reserved: level.reserved,
            available: level.available(),
            version: level.version,
        }
    }
}

/// A statement of stock.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct StockRequest {
    /// Units that there are in the warehouse.
    #[schema(maximum = 1_000_000_000, example = 120)]
    on_hand: u32,
}

/// `GET /v1/products/{id}/stock`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "products" / ProductId / "stock");
    Route::new(
        Method::GET,
        template,
        at.and(edge.viewer())
            .and(if_none_match())
            .and(freshness())
            .and(context())
            .and(edge.itself())
            .then(stock),
    )
}

/// `POST /v1/products/{id}/stock/adjustments`
pub(super) fn adjust_route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "products" / ProductId / "stock" / "adjustments");
    Route::new(
        Method::POST,
        template,
        at.and(edge.seller())
            .and(edge.submission())
            .and(edge.itself())
            .then(adjust),
    )
}

/// `PUT /v1/products/{id}/stock`
pub(super) fn set_route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "products" / ProductId / "stock");
    Route::new(
        Method::PUT,
        template,
        at.and(edge.seller())
            .and(if_match())
            .and(edge.submission())
            .and(edge.itself())
            .then(set_stock),
    )
}

/// A product's stock
///
/// For everybody who sees the product.
#[utoipa::path(
    get, path = "/v1/products/{id}/stock", tag = "stock", operation_id = "getStock", security((), ("bearer" = [])),
    params(
        ("id" = Uuid, Path, description = "The product's id."),
        ("If-None-Match" = Option<String>, Header),
        ("Cache-Control" = Option<String>, Header),
        ("X-Min-Version" = Option<i64>, Header),
    ),
    responses((status = 200, description = "The counters.", body = StockBody, headers(("ETag" = String)))),
)]
pub(crate) async fn stock(
    id: ProductId,
    viewer: Option<Caller>,
    condition: IfNoneMatch,
    freshness: Freshness,
    context: RequestContext,
    edge: Edge,
) -> Answer {
    let read = edge
        .shop()
        .stock(&edge.call(&context), viewer.as_ref(), id, freshness)
        .await?;
    let level = read.value;
    Ok(Reply::versioned(&condition, level.version, || StockBody::from(level))?.stale_by(read.staleness_ms))
}

/// Adjusts a product's stock
///
/// Adds or takes units. It commutes with sales, so it needs no `If-Match`.
#[utoipa::path(
    post, path = "/v1/products/{id}/stock/adjustments", tag = "stock", operation_id = "adjustStock",
    security(("bearer" = ["seller", "admin"])),
    params(("id" = Uuid, Path, description = "The product's id."), ("Idempotency-Key" = Option<String>, Header)),
    request_body = AdjustmentRequest,
    responses(
        (status = 201, description = "The stock was adjusted.", body = AdjustedBody,
            headers(("Location" = String, description = "The ledger."))),
        (status = 409, description = "`insufficient-stock`: fewer units would be left than are reserved; or `request-in-progress`."),
    ),
)]
pub(crate) async fn adjust(
    id: ProductId,
    caller: Caller,
    submission: Submission<AdjustmentRequest>,
    edge: Edge,
) -> Answer {
    let body = &submission.body;
    let limit = i64::from(ON_HAND_MAX);
    let mut checks = Checks::default();
    checks.require(body.delta != 0, "/delta", "must not be 0");
    checks.require(
        (-limit..=limit).contains(&body.delta),
        "/delta",
        "is out of range",
    );
    checks.take(text::check(
        "/reason",
        &body.reason,
        1,
        ADJUSTMENT_REASON_MAX_CHARS,
    ));
    if let Some(note) = &body.note {
        checks.take(text::check("/note", note, 0, NOTE_MAX_CHARS));
    }
    checks.finish(Some(()))?;

    let (mutation, body) = submission.into_parts(caller.user_id.0);
    let movement_id = MovementId::mint(edge.shop().now(), edge.shop().entropy());
    let adjustment = Adjustment {
        movement_id,
        delta: body.delta,
        reason: body.reason,
        note: body.note,
    };
    let done = edge
        .shop()
        .stock_adjust(&mutation, &caller, id, adjustment)
        .await?;
    let ledger = format!("/v1/products/{id}/stock/movements");
    Ok(Reply::created(&ledger, &AdjustedBody::from(done.value))?.replayed(done.replayed))
}

/// States a product's stock
///
/// For a count of the warehouse: says how many units there are, based on the stock's `ETag`.
#[utoipa::path(
    put, path = "/v1/products/{id}/stock", tag = "stock", operation_id = "setStock",
    security(("bearer" = ["seller", "admin"])),
    params(("id" = Uuid, Path, description = "The product's id."), ("If-Match" = String, Header)),
    request_body = StockRequest,
    responses(
        (status = 200, description = "The counters as they are now.", body = StockBody, headers(("ETag" = String))),
        (status = 409, description = "`insufficient-stock`: more units are reserved."),
    ),
)]
pub(crate) async fn set_stock(
    id: ProductId,
    caller: Caller,
    expected_version: i64,
    submission: Submission<StockRequest>,
    edge: Edge,
) -> Answer {
    let on_hand = submission.body.on_hand;
    let mut checks = Checks::default();
    checks.require(
        on_hand <= ON_HAND_MAX,
        "/on_hand",
        "is more than a product can have",
    );
    checks.finish(Some(()))?;

    let (mutation, _) = submission.into_parts(caller.user_id.0);
    let movement_id = MovementId::mint(edge.shop().now(), edge.shop().entropy());
    let target = StockTarget {
        movement_id,
        on_hand,
        expected_version,
    };
    let done = edge.shop().stock_set(&mutation, &caller, id, target).await?;
    let version = done.value.version;
    Ok(Reply::ok(&StockBody::from(done.value))?
        .etag(version)
        .replayed(done.replayed))
}
