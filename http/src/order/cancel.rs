//! Calling an order off.

use holdfast_domain::{
    Caller, OrderId,
    text::{self, NOTE_MAX_CHARS},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use super::OrderBody;
use crate::{
    edge::Edge,
    reply::Reply,
    request::{Checks, Submission},
    route::{Answer, Route, path_of},
};

/// Why an order is called off.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub(crate) struct CancelRequest {
    /// For the order's timeline.
    #[schema(max_length = 2_000, example = "changed my mind")]
    reason: Option<String>,
}

/// `POST /v1/orders/{id}/cancel`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "orders" / OrderId / "cancel");
    Route::new(
        Method::POST,
        template,
        at.and(edge.caller())
            .and(edge.optional_submission())
            .and(edge.itself())
            .then(cancel),
    )
}

/// Calls an order off
///
/// Its units return to stock and a captured payment is refunded. For its customer until the first
/// shipment, a seller of all its lines, and admins.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", tag = "orders", operation_id = "cancelOrder", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The order's id."), ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = Option<CancelRequest>, description = "May be absent."),
    responses(
        (status = 200, description = "The order as it is now.", body = OrderBody, headers(("ETag" = String))),
        (status = 403, description = "`forbidden`: a seller of only some lines cannot cancel the others'."),
        (status = 409, description = "`invalid-transition`: units have been shipped, or the order has ended; or \
            `request-in-progress`."),
    ),
)]
pub(crate) async fn cancel(
    id: OrderId,
    caller: Caller,
    submission: Submission<CancelRequest>,
    edge: Edge,
) -> Answer {
    let mut checks = Checks::default();
    if let Some(reason) = &submission.body.reason {
        checks.take(text::check("/reason", reason, 0, NOTE_MAX_CHARS));
    }
    checks.finish(Some(()))?;
    let (mutation, body) = submission.into_parts(caller.user_id.0);
    let done = edge
        .shop()
        .order_cancel(&mutation, &caller, id, body.reason)
        .await?;
    let version = done.value.version;
    Ok(Reply::ok(&OrderBody::from(done.value))?
        .etag(version)
        .replayed(done.replayed))
}
