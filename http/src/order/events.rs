//! An order's timeline.

use holdfast_actors::client::EventRecord;
use holdfast_domain::{Caller, EventKind, JsonObject, OrderId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use warp::{Filter, http::Method};

use crate::{
    edge::Edge,
    list::List,
    openapi::schema,
    request::{ListRequest, Query, query},
    route::{Answer, Route, path_of},
};

/// Something that happened to an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderEvent)]
pub(crate) struct EventBody {
    /// The version of the order that it made.
    #[schema(example = 1)]
    seq: i64,
    /// What happened.
    #[schema(value_type = schema::OrderEventTypeName)]
    r#type: &'static str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who did it; absent: the shop itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Uuid, required = false)]
    actor_id: Option<Uuid>,
    /// The rest, by type.
    #[schema(value_type = Object)]
    data: JsonObject,
    /// The node that committed it.
    #[schema(example = "n1")]
    node: String,
    /// How often the order's shard had changed hands.
    #[schema(example = 1)]
    epoch: i64,
    /// The W3C trace that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    trace_id: Option<String>,
}

impl From<EventRecord> for EventBody {
    fn from(EventRecord { event, node, epoch }: EventRecord) -> Self {
        Self {
            seq: event.sequence,
            r#type: EventKind::as_str(event.kind),
            at: event.at,
            actor_id: event.actor_id,
            data: event.data,
            node,
            epoch,
            trace_id: event.trace_id,
        }
    }
}

/// `GET /v1/orders/{id}/events`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "orders" / OrderId / "events");
    Route::new(
        Method::GET,
        template,
        at.and(edge.caller()).and(query()).and(edge.itself()).then(events),
    )
}

/// An order's timeline
///
/// Everything that happened to it, oldest first, for those who may see the order.
#[utoipa::path(
    get, path = "/v1/orders/{id}/events", tag = "orders", operation_id = "listOrderEvents", security(("bearer" = [])),
    params(
        ("id" = Uuid, Path, description = "The order's id."),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of the timeline.", body = List<EventBody>)),
)]
pub(crate) async fn events(id: OrderId, caller: Caller, mut query: Query, edge: Edge) -> Answer {
    let list = ListRequest::<i64>::take(&mut query)?;
    query.finish()?;
    let page = edge.shop().order_events(&caller, id, &list.page()).await?;
    List::<EventBody>::page(&list, page)
}
