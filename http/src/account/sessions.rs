//! One's own sessions.

use holdfast_actors::client::Page;
use holdfast_domain::{Caller, Session, SessionId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use crate::{
    edge::Edge,
    list::List,
    reply::Reply,
    request::{ListRequest, Query, RequestContext, context, query},
    route::{Answer, Route, path_of},
};

/// A session that stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionBody {
    /// The session's id.
    #[schema(value_type = Uuid)]
    id: SessionId,
    /// When the user signed in.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When a token of the session was last made.
    #[schema(value_type = String, format = DateTime)]
    last_used_at: Timestamp,
    /// The client's name for itself.
    #[schema(example = "curl/8.5.0")]
    user_agent: String,
    /// The client's address.
    #[schema(example = "203.0.113.9")]
    ip: String,
    /// Whether it is the session of this request.
    current: bool,
}

impl SessionBody {
    fn new(session: Session, caller: &Caller) -> Self {
        Self {
            id: session.id,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            user_agent: session.user_agent,
            ip: session.ip,
            current: session.id == caller.session_id,
        }
    }
}

/// `GET /v1/me/sessions`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "me" / "sessions");
    Route::new(
        Method::GET,
        template,
        at.and(edge.caller())
            .and(query())
            .and(edge.itself())
            .then(sessions),
    )
}

/// `DELETE /v1/me/sessions/{id}`
pub(super) fn end_route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "me" / "sessions" / SessionId);
    Route::new(
        Method::DELETE,
        template,
        at.and(edge.caller())
            .and(context())
            .and(edge.itself())
            .then(end_session),
    )
}

/// One's own sessions
#[utoipa::path(
    get, path = "/v1/me/sessions", tag = "accounts", operation_id = "listMySessions", security(("bearer" = [])),
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "All sessions that stand, newest first.", body = List<SessionBody>)),
)]
pub(crate) async fn sessions(caller: Caller, mut query: Query, edge: Edge) -> Answer {
    let list = ListRequest::<SessionId>::take(&mut query)?;
    query.finish()?;
    let Page { items, next } = edge.shop().sessions(&caller, &list.page()).await?;
    let items = items
        .into_iter()
        .map(|session| SessionBody::new(session, &caller))
        .collect();
    List::<SessionBody>::page(&list, Page { items, next })
}

/// Ends one of one's own sessions
#[utoipa::path(
    delete, path = "/v1/me/sessions/{id}", tag = "accounts", operation_id = "endMySession", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The session's id.")),
    responses((status = 204, description = "The session has ended.")),
)]
pub(crate) async fn end_session(
    id: SessionId,
    caller: Caller,
    context: RequestContext,
    edge: Edge,
) -> Answer {
    edge.shop().session_end(&edge.call(&context), &caller, id).await?;
    Ok(Reply::no_content())
}
