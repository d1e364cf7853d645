//! A product's ledger of stock.

use holdfast_domain::{Caller, Movement, MovementId, MovementKind, OrderId, ProductId, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use crate::{
    edge::Edge,
    list::List,
    openapi::schema,
    request::{ListRequest, Query, query},
    route::{Answer, Route, path_of},
};

/// An entry of the ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Movement)]
pub(crate) struct MovementBody {
    /// The entry's id.
    #[schema(value_type = Uuid)]
    id: MovementId,
    /// Why it was made.
    #[schema(value_type = schema::MovementKindName)]
    kind: MovementKind,
    /// Added to `on_hand`.
    #[schema(example = 50)]
    delta_on_hand: i64,
    /// Added to `reserved`.
    #[schema(example = 0)]
    delta_reserved: i64,
    /// Units in the warehouse after it.
    #[schema(example = 150)]
    on_hand: u32,
    /// Of these, units promised to orders.
    #[schema(example = 3)]
    reserved: u32,
    /// The entry's place in the ledger, from 1.
    #[schema(example = 5)]
    version: i64,
    /// The order that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Uuid, required = false)]
    order_id: Option<OrderId>,
    /// A short reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "received")]
    reason: Option<String>,
    /// More words on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    note: Option<String>,
    /// Who caused it.
    #[schema(value_type = Uuid)]
    actor_id: UserId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl From<Movement> for MovementBody {
    fn from(Movement { change, level }: Movement) -> Self {
        Self {
            id: change.movement_id,
            kind: change.kind,
            delta_on_hand: change.delta_on_hand,
            delta_reserved: change.delta_reserved,
            on_hand: level.on_hand,
            reserved: level.reserved,
            version: level.version,
            order_id: change.order_id,
            reason: change.reason,
            note: change.note,
            actor_id: change.actor_id,
            at: change.at,
        }
    }
}

/// `GET /v1/products/{id}/stock/movements`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "products" / ProductId / "stock" / "movements");
    Route::new(
        Method::GET,
        template,
        at.and(edge.seller())
            .and(query())
            .and(edge.itself())
            .then(movements),
    )
}

/// A product's ledger
///
/// Every change of its stock, newest first, with the counters that it left.
#[utoipa::path(
    get, path = "/v1/products/{id}/stock/movements", tag = "stock", operation_id = "listStockMovements",
    security(("bearer" = ["seller", "admin"])),
    params(
        ("id" = Uuid, Path, description = "The product's id."),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of the ledger.", body = List<MovementBody>)),
)]
pub(crate) async fn movements(id: ProductId, caller: Caller, mut query: Query, edge: Edge) -> Answer {
    let list = ListRequest::<i64>::take(&mut query)?;
    query.finish()?;
    let page = edge.shop().stock_movements(&caller, id, &list.page()).await?;
    List::<MovementBody>::page(&list, page)
}
