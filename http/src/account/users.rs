//! Other people's accounts, for those who run the shop.

use holdfast_actors::command::UserChange;
use holdfast_domain::{Caller, FieldError, Role, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use super::UserBody;
use crate::{
    edge::Edge,
    list::List,
    openapi::schema,
    reply::Reply,
    request::{Checks, IfNoneMatch, ListRequest, Patch, Query, Submission, if_match, if_none_match, query},
    route::{Answer, Route, path_of},
};

/// What an admin may change about an account.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct UserPatch {
    /// A new role, in force on every node within a second.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = schema::RoleName, required = false)]
    role: Patch<String>,
    /// Whether the account may not sign in; disabling ends its sessions.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = bool, required = false)]
    disabled: Patch<bool>,
}

impl UserPatch {
    fn parse(self, expected_version: i64) -> Result<UserChange, crate::problem::Problem> {
        let mut checks = Checks::default();
        let role = self
            .role
            .into_value("/role")
            .and_then(|role| role.map(|role| parse_role(&role)).transpose());
        let role = checks.take(role);
        let disabled = checks.take(self.disabled.into_value("/disabled"));
        let (role, disabled) = checks.finish(role.zip(disabled))?;
        Ok(UserChange {
            role,
            disabled,
            expected_version: Some(expected_version),
        })
    }
}

fn parse_role(text: &str) -> Result<Role, FieldError> {
    text.parse()
        .map_err(|error: holdfast_domain::access::UnknownRole| FieldError::new("/role", error.to_string()))
}

/// `GET /v1/users`
pub(super) fn list_route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "users");
    Route::new(
        Method::GET,
        template,
        at.and(edge.admin()).and(query()).and(edge.itself()).then(users),
    )
}

/// `GET /v1/users/{id}`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "users" / UserId);
    Route::new(
        Method::GET,
        template,
        at.and(edge.admin())
            .and(if_none_match())
            .and(edge.itself())
            .then(user),
    )
}

/// `PATCH /v1/users/{id}`
pub(super) fn edit_route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "users" / UserId);
    Route::new(
        Method::PATCH,
        template,
        at.and(edge.admin())
            .and(if_match())
            .and(edge.patch())
            .and(edge.itself())
            .then(edit_user),
    )
}

/// All accounts
#[utoipa::path(
    get, path = "/v1/users", tag = "accounts", operation_id = "listUsers", security(("bearer" = ["admin"])),
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "Accounts, newest first.", body = List<UserBody>)),
)]
pub(crate) async fn users(caller: Caller, mut query: Query, edge: Edge) -> Answer {
    let list = ListRequest::<UserId>::take(&mut query)?;
    query.finish()?;
    let page = edge.shop().users(&caller, &list.page()).await?;
    List::<UserBody>::page(&list, page)
}

/// An account
#[utoipa::path(
    get, path = "/v1/users/{id}", tag = "accounts", operation_id = "getUser", security(("bearer" = ["admin"])),
    params(("id" = Uuid, Path, description = "The account's id."), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, description = "The account.", body = UserBody, headers(("ETag" = String)))),
)]
pub(crate) async fn user(id: UserId, _admin: Caller, condition: IfNoneMatch, edge: Edge) -> Answer {
    let user = edge.shop().user(id).await?;
    Ok(Reply::versioned(&condition, user.version, || UserBody::from(user))?.stale_by(0))
}

/// Changes an account's role, or bars it
#[utoipa::path(
    patch, path = "/v1/users/{id}", tag = "accounts", operation_id = "editUser", security(("bearer" = ["admin"])),
    params(("id" = Uuid, Path, description = "The account's id."), ("If-Match" = String, Header)),
    request_body(content((UserPatch = "application/merge-patch+json"), (UserPatch = "application/json"))),
    responses((status = 200, description = "The account as it is now.", body = UserBody, headers(("ETag" = String)))),
)]
pub(crate) async fn edit_user(
    id: UserId,
    caller: Caller,
    expected_version: i64,
    submission: Submission<UserPatch>,
    edge: Edge,
) -> Answer {
    let (mutation, patch) = submission.into_parts(caller.user_id.0);
    let change = patch.parse(expected_version)?;
    let done = edge.shop().user_change(&mutation, &caller, id, change).await?;
    let version = done.value.version;
    Ok(Reply::ok(&UserBody::from(done.value))?
        .etag(version)
        .replayed(done.replayed))
}
