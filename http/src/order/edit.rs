//! Editing what a customer said about an order.

use holdfast_domain::{
    Caller, JsonObject, OrderId,
    order::OrderPatch,
    text::{self, NOTE_MAX_CHARS},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use super::OrderBody;
use crate::{
    edge::Edge,
    reply::Reply,
    request::{Checks, Patch, Submission, if_match},
    route::{Answer, Route, path_of},
};

/// An edit of an order.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = OrderPatch)]
pub(crate) struct OrderPatchRequest {
    /// A new address in place of the whole old one; null removes it.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<Object>, example = json!({"city": "Genoa"}))]
    shipping_address: Patch<JsonObject>,
    /// A new note; null removes it.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<String>, max_length = 2_000)]
    note: Patch<String>,
}

/// `PATCH /v1/orders/{id}`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "orders" / OrderId);
    Route::new(
        Method::PATCH,
        template,
        at.and(edge.caller())
            .and(if_match())
            .and(edge.patch())
            .and(edge.itself())
            .then(edit),
    )
}

/// Edits an order's address or note
///
/// For its customer, before the first shipment.
#[utoipa::path(
    patch, path = "/v1/orders/{id}", tag = "orders", operation_id = "editOrder", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The order's id."), ("If-Match" = String, Header)),
    request_body(content(
        (OrderPatchRequest = "application/merge-patch+json"), (OrderPatchRequest = "application/json"),
    )),
    responses(
        (status = 200, description = "The order as it is now.", body = OrderBody, headers(("ETag" = String))),
        (status = 403, description = "`forbidden`: only its customer may."),
        (status = 409, description = "`invalid-transition`: units have been shipped, or the order has ended."),
    ),
)]
pub(crate) async fn edit(
    id: OrderId,
    caller: Caller,
    expected_version: i64,
    submission: Submission<OrderPatchRequest>,
    edge: Edge,
) -> Answer {
    let (mutation, body) = submission.into_parts(caller.user_id.0);
    let mut checks = Checks::default();
    if let Patch::Set(note) = &body.note {
        checks.take(text::check("/note", note, 0, NOTE_MAX_CHARS));
    }
    if let Patch::Set(address) = &body.shipping_address {
        checks.take(text::check_object("/shipping_address", address));
    }
    let patch = OrderPatch {
        shipping_address: body.shipping_address.into_option(),
        note: body.note.into_option(),
    };
    let patch = checks.finish(Some(patch))?;
    let done = edge
        .shop()
        .order_edit(&mutation, &caller, id, patch, expected_version)
        .await?;
    let version = done.value.version;
    Ok(Reply::ok(&OrderBody::from(done.value))?
        .etag(version)
        .replayed(done.replayed))
}
