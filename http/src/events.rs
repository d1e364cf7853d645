//! Events while they happen, as server-sent events.

mod buffer;
mod cursor;
mod pump;
mod streams;

use std::time::Duration;

use futures_util::stream;
use holdfast_domain::Caller;
use warp::{
    Filter,
    http::{HeaderValue, Method},
};

use crate::{
    edge::Edge,
    openapi::schema,
    problem::Problem,
    reply::Reply,
    request::invalid_position,
    route::{Answer, Route, path_of},
};
use buffer::buffer;
use pump::Pump;
pub(crate) use streams::{NoStream, Streams};

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// `GET /v1/events`
pub(crate) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "events");
    Route::new(
        Method::GET,
        template,
        at.and(edge.listener())
            .and(warp::header::optional::<String>("last-event-id"))
            .and(edge.itself())
            .then(events),
    )
}

/// Events while they happen
///
/// A stream of server-sent events, each a `CloudEvent` that the caller may see: all for admins; for
/// sellers their own products, their stock and orders with their lines, cut to these; for everybody
/// their own account and their own orders.
///
/// Every event has an `id`. Sent back as `Last-Event-ID`, it resumes behind that event, on any node,
/// without a gap and without a repeat. A client that takes too long is cut off and resumes; so does
/// everybody when the token expires or a node stops.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "streamEvents", security(("bearer" = [])),
    params(("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that was seen.")),
    responses(
        (status = 200, description = "The events; `data` of each is a `CloudEvent`.", body = schema::CloudEvent, content_type = "text/event-stream"),
        (status = 400, description = "`invalid-cursor`: this shop sent no event with that id."),
        (status = 429, description = "`rate-limited`: with the policy `streams`, the caller has as many open on this node as one may."),
    ),
)]
pub(crate) async fn events(
    (caller, good_for): (Caller, Duration),
    last_id: Option<String>,
    edge: Edge,
) -> Answer {
    let after = match last_id {
        Some(id) => Some(cursor::decode(&id).ok_or_else(invalid_position)?),
        None => None,
    };
    let permit = edge.streams().admit(caller.user_id).map_err(|no| match no {
        NoStream::OfEdge => Problem::unavailable("this node has as many streams as it may"),
        NoStream::OfUser { max } => Problem::too_many_streams(max),
    })?;
    let events = edge.shop().events(after).await?.ok_or_else(invalid_position)?;
    let (filling, draining) = buffer();
    let pump = Pump {
        edge: edge.clone(),
        caller,
        buffer: filling,
        _permit: permit,
    };
    tokio::spawn(pump.run(events, good_for));
    let body = stream::unfold(draining, async |mut draining| {
        Some((draining.take().await?, draining))
    });
    // A proxy that waits for more before it passes something on would hold events back.
    let unbuffered = warp::http::HeaderName::from_static("x-accel-buffering");
    Ok(Reply::stream(EVENT_STREAM, body).header(unbuffered, HeaderValue::from_static("no")))
}

#[cfg(test)]
mod tests;
