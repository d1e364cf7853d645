//! The caller's own account.

use holdfast_domain::{Caller, account::check_display_name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use super::UserBody;
use crate::{
    edge::Edge,
    reply::Reply,
    request::{Checks, IfNoneMatch, Patch, Submission, if_match, if_none_match},
    route::{Answer, Route, path_of},
};

/// An edit of one's own account.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct MePatch {
    /// A new name; null removes it.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<String>, max_length = 100, example = "Ada L.")]
    display_name: Patch<String>,
}

/// `GET /v1/me`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "me");
    Route::new(
        Method::GET,
        template,
        at.and(edge.caller())
            .and(if_none_match())
            .and(edge.itself())
            .then(me),
    )
}

/// `PATCH /v1/me`
pub(super) fn edit_route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "me");
    Route::new(
        Method::PATCH,
        template,
        at.and(edge.caller())
            .and(if_match())
            .and(edge.patch())
            .and(edge.itself())
            .then(edit_me),
    )
}

/// One's own account
#[utoipa::path(
    get, path = "/v1/me", tag = "accounts", operation_id = "getMe", security(("bearer" = [])),
    params(("If-None-Match" = Option<String>, Header)),
    responses((status = 200, description = "The account.", body = UserBody, headers(("ETag" = String)))),
)]
pub(crate) async fn me(caller: Caller, condition: IfNoneMatch, edge: Edge) -> Answer {
    let user = edge.shop().user(caller.user_id).await?;
    Ok(Reply::versioned(&condition, user.version, || UserBody::from(user))?.stale_by(0))
}

/// Edits one's own account
#[utoipa::path(
    patch, path = "/v1/me", tag = "accounts", operation_id = "editMe", security(("bearer" = [])),
    params(("If-Match" = String, Header)),
    request_body(content((MePatch = "application/merge-patch+json"), (MePatch = "application/json"))),
    responses((status = 200, description = "The account as it is now.", body = UserBody, headers(("ETag" = String)))),
)]
pub(crate) async fn edit_me(
    caller: Caller,
    expected_version: i64,
    submission: Submission<MePatch>,
    edge: Edge,
) -> Answer {
    let (mutation, patch) = submission.into_parts(caller.user_id.0);
    let display_name = match patch.display_name {
        Patch::Set(name) => name,
        Patch::Clear => String::new(),
        // Nothing to change; the owner still checks the version.
        Patch::Keep => edge.shop().user(caller.user_id).await?.display_name,
    };
    let mut checks = Checks::default();
    let checked = checks.take(check_display_name(&display_name));
    checks.finish(checked)?;
    let done = edge
        .shop()
        .user_rename(&mutation, &caller, display_name, expected_version)
        .await?;
    let version = done.value.version;
    Ok(Reply::ok(&UserBody::from(done.value))?
        .etag(version)
        .replayed(done.replayed))
}
