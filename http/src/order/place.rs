//! Placing an order.

use holdfast_domain::{Caller, JsonObject, order::NewOrder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use super::{LineRequest, OrderBody, SentLines};
use crate::{
    edge::Edge,
    money::MoneyBody,
    problem::Problem,
    reply::Reply,
    request::{Checks, Submission},
    route::{Answer, Route, path_of},
    shop::Shop,
};

/// An order to be placed.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct OrderRequest {
    /// What is wanted; lines that repeat a product are added up.
    #[schema(min_items = 1, max_items = 100)]
    lines: Vec<LineRequest>,
    /// Where it goes; any object of at most 16 KiB and 32 levels.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"city": "Turin"}))]
    shipping_address: Option<JsonObject>,
    /// The customer's words.
    #[serde(default)]
    #[schema(max_length = 2_000, example = "leave it with the neighbour")]
    note: Option<String>,
    /// What the customer expects to pay; the order is refused if that is no longer right.
    #[serde(default)]
    expected_total: Option<MoneyBody>,
}

impl OrderRequest {
    fn parse(self, lines: &SentLines, shop: &Shop, caller: &Caller) -> Result<NewOrder, Problem> {
        let mut checks = Checks::default();
        let expected_total = self
            .expected_total
            .map(|total| total.parse("/expected_total"))
            .transpose();
        let expected_total = checks.take(expected_total);
        let lines = checks.take_all(lines.merged())?;
        // The order lives where its lowest product does.
        let home = lines
            .as_ref()
            .and_then(|lines| Some(lines.first()?.product_id.shard()));
        let new = lines
            .zip(home)
            .zip(expected_total)
            .map(|((lines, home), expected_total)| NewOrder {
                id: shop.mint_order_id(home),
                customer_id: caller.user_id,
                lines,
                shipping_address: self.shipping_address,
                note: self.note,
                expected_total,
            });
        if let Some(new) = &new {
            checks.take_all(new.check())?;
        }
        checks.finish(new)
    }
}

/// `POST /v1/orders`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "orders");
    Route::new(
        Method::POST,
        template,
        at.and(edge.caller())
            .and(edge.named_submission())
            .and(edge.itself())
            .then(place),
    )
}

/// Places an order
///
/// All of its lines are reserved, or none is. It must be paid before `expires_at`.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders", operation_id = "placeOrder", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header)),
    request_body = OrderRequest,
    responses(
        (status = 201, description = "The order was placed and its units are reserved.", body = OrderBody,
            headers(("Location" = String, description = "The order."), ("ETag" = String))),
        (status = 409, description = "`insufficient-stock`: nothing was reserved, `lines` names what is short; \
            `price-changed`: the total is not the expected one; or `request-in-progress`."),
        (status = 422, description = "`validation`: a product is unknown or not for sale, currencies are mixed, or a \
            field breaks a rule; or `idempotency-key-reuse`."),
    ),
)]
pub(crate) async fn place(caller: Caller, submission: Submission<OrderRequest>, edge: Edge) -> Answer {
    let (mutation, body) = submission.into_parts(caller.user_id.0);
    let lines = SentLines::of(&body.lines);
    let new = body.parse(&lines, edge.shop(), &caller)?;
    let placed = edge.shop().order_place(&mutation, &caller, new).await;
    let done = placed.map_err(|error| lines.problem(error))?;
    let (id, version) = (done.value.id, done.value.version);
    let reply = Reply::created(&format!("/v1/orders/{id}"), &OrderBody::from(done.value))?;
    Ok(reply.etag(version).replayed(done.replayed))
}
