//! Shipping units of an order.

use holdfast_domain::{
    Caller, FulfilmentId, OrderId, ProductId, Timestamp,
    order::{Fulfilment, NewFulfilment, WantedLine},
    text,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use super::{LineRequest, SentLines};
use crate::{
    edge::Edge,
    problem::Problem,
    reply::Reply,
    request::{Checks, Submission},
    route::{Answer, Route, path_of},
};

/// The longest carrier's name or number, in characters.
const CARRIER_MAX_CHARS: usize = 200;

/// A shipment to be recorded.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct FulfilmentRequest {
    /// What is in it; lines that repeat a product are added up.
    #[schema(min_items = 1, max_items = 100)]
    lines: Vec<LineRequest>,
    /// Who carries it.
    #[serde(default)]
    #[schema(max_length = 200, example = "Poste Italiane")]
    carrier: Option<String>,
    /// The carrier's number for it.
    #[serde(default)]
    #[schema(max_length = 200, example = "RR123456785IT")]
    tracking: Option<String>,
}

impl FulfilmentRequest {
    fn parse(self, lines: &SentLines, id: FulfilmentId) -> Result<NewFulfilment, Problem> {
        let mut checks = Checks::default();
        let lines = checks.take_all(lines.merged())?;
        for (field, value) in [("/carrier", &self.carrier), ("/tracking", &self.tracking)] {
            if let Some(value) = value {
                checks.take(text::check(field, value, 0, CARRIER_MAX_CHARS));
            }
        }
        let lines = checks.finish(lines)?;
        Ok(NewFulfilment {
            id,
            lines,
            carrier: self.carrier,
            tracking: self.tracking,
        })
    }
}

/// A shipment that was recorded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fulfilment)]
pub(crate) struct FulfilmentBody {
    /// The shipment's id.
    #[schema(value_type = Uuid)]
    id: FulfilmentId,
    /// The order that it is part of.
    #[schema(value_type = Uuid)]
    order_id: OrderId,
    /// What is in it, each product once.
    lines: Vec<FulfilmentLineBody>,
    /// Who carries it.
    #[schema(example = "Poste Italiane")]
    carrier: Option<String>,
    /// The carrier's number for it.
    #[schema(example = "RR123456785IT")]
    tracking: Option<String>,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// Units of one product in a shipment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FulfilmentLine)]
pub(crate) struct FulfilmentLineBody {
    /// The product.
    #[schema(value_type = Uuid)]
    product_id: ProductId,
    /// Units.
    #[schema(example = 2)]
    quantity: u32,
}

impl From<Fulfilment> for FulfilmentBody {
    fn from(fulfilment: Fulfilment) -> Self {
        let line = |line: WantedLine| FulfilmentLineBody {
            product_id: line.product_id,
            quantity: line.quantity.get(),
        };
        Self {
            id: fulfilment.id,
            order_id: fulfilment.order_id,
            lines: fulfilment.lines.into_iter().map(line).collect(),
            carrier: fulfilment.carrier,
            tracking: fulfilment.tracking,
            created_at: fulfilment.created_at,
        }
    }
}

/// `POST /v1/orders/{id}/fulfilments`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "orders" / OrderId / "fulfilments");
    Route::new(
        Method::POST,
        template,
        at.and(edge.seller())
            .and(edge.submission())
            .and(edge.itself())
            .then(fulfil),
    )
}

/// Ships units of an order
///
/// A part of the units may be shipped now and the rest later.
#[utoipa::path(
    post, path = "/v1/orders/{id}/fulfilments", tag = "orders", operation_id = "fulfilOrder",
    security(("bearer" = ["seller", "admin"])),
    params(("id" = Uuid, Path, description = "The order's id."), ("Idempotency-Key" = Option<String>, Header)),
    request_body = FulfilmentRequest,
    responses(
        (status = 201, description = "The shipment was recorded.", body = FulfilmentBody,
            headers(("Location" = String, description = "The order."))),
        (status = 409, description = "`invalid-transition`: the order is not paid, or has ended; or `request-in-progress`."),
        (status = 422, description = "`validation`: a product is not a line of the caller's, or fewer units are left to \
            ship; or `idempotency-key-reuse`."),
    ),
)]
pub(crate) async fn fulfil(
    id: OrderId,
    caller: Caller,
    submission: Submission<FulfilmentRequest>,
    edge: Edge,
) -> Answer {
    let (mutation, body) = submission.into_parts(caller.user_id.0);
    let fulfilment_id = FulfilmentId::mint(edge.shop().now(), edge.shop().entropy());
    let lines = SentLines::of(&body.lines);
    let new = body.parse(&lines, fulfilment_id)?;
    let fulfilled = edge.shop().order_fulfil(&mutation, &caller, id, new).await;
    let done = fulfilled.map_err(|error| lines.problem(error))?;
    let reply = Reply::created(&format!("/v1/orders/{id}"), &FulfilmentBody::from(done.value))?;
    Ok(reply.replayed(done.replayed))
}
