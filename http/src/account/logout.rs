//! Signing out.

use holdfast_actors::Error;
use holdfast_domain::{Caller, Refusal};
use warp::{Filter, http::Method};

use crate::{
    edge::Edge,
    reply::Reply,
    request::{RequestContext, Submission, context},
    route::{Answer, Route, path_of},
};

/// `POST /v1/auth/logout`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "auth" / "logout");
    Route::new(
        Method::POST,
        template,
        at.and(edge.caller())
            .and(context())
            .and(edge.itself())
            .then(logout),
    )
}

/// `POST /v1/auth/logout-all`
pub(super) fn all_route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "auth" / "logout-all");
    Route::new(
        Method::POST,
        template,
        at.and(edge.caller())
            .and(edge.bare_submission())
            .and(edge.itself())
            .then(logout_all),
    )
}

/// Signs out
///
/// Ends this session: on this node at once, everywhere within a second.
#[utoipa::path(
    post, path = "/v1/auth/logout", tag = "accounts", operation_id = "logout", security(("bearer" = [])),
    responses((status = 204, description = "The session has ended.")),
)]
pub(crate) async fn logout(caller: Caller, context: RequestContext, edge: Edge) -> Answer {
    match edge
        .shop()
        .session_end(&edge.call(&context), &caller, caller.session_id)
        .await
    {
        // Somebody else ended it just now.
        Ok(())
        | Err(Error::Refused {
            refusal: Refusal::NotFound,
            ..
        }) => Ok(Reply::no_content()),
        Err(error) => Err(error.into()),
    }
}

/// Signs out everywhere
///
/// Ends every session of the user.
#[utoipa::path(
    post, path = "/v1/auth/logout-all", tag = "accounts", operation_id = "logoutAll", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204, description = "All sessions have ended.")),
)]
pub(crate) async fn logout_all(caller: Caller, submission: Submission<()>, edge: Edge) -> Answer {
    let (mutation, ()) = submission.into_parts(caller.user_id.0);
    let done = edge.shop().session_end_all(&mutation, &caller).await?;
    Ok(Reply::no_content().replayed(done.replayed))
}
