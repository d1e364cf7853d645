//! Changing one's password.

use std::fmt;

use holdfast_actors::command::PasswordChange;
use holdfast_domain::{
    Caller, Refusal,
    account::{PASSWORD_MAX_CHARS, check_password},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use crate::{
    edge::Edge,
    reply::Reply,
    request::{Checks, Submission},
    route::{Answer, Route, path_of},
};

/// An exchange of passwords.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct PasswordRequest {
    /// The password that stands.
    // Left out of what is stored with an idempotency key, as is the new one.
    #[serde(skip_serializing)]
    #[schema(format = Password, example = "correct horse battery staple")]
    current_password: String,
    /// The one that shall: 10 to 128 characters, and not one that everybody tries.
    #[serde(skip_serializing)]
    #[schema(format = Password, min_length = 10, max_length = 128, example = "incorrect zebra magnet paperclip")]
    new_password: String,
}

impl fmt::Debug for PasswordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordRequest").finish_non_exhaustive()
    }
}

/// `POST /v1/me/password`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "me" / "password");
    Route::new(
        Method::POST,
        template,
        at.and(edge.caller())
            .and(edge.submission())
            .and(edge.itself())
            .then(change_password),
    )
}

/// Changes one's password
///
/// The user's other sessions end.
#[utoipa::path(
    post, path = "/v1/me/password", tag = "accounts", operation_id = "changePassword", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = PasswordRequest,
    responses(
        (status = 204, description = "The password was changed; other sessions have ended."),
        (status = 401, description = "`invalid-credentials`: the current password is wrong; or the token is not accepted."),
        (status = 409, description = "`request-in-progress`."),
        (status = 429, description = "`account-locked`: a wrong current password counts as a failed login.",
            headers(("Retry-After" = u32, description = "Seconds."))),
    ),
)]
pub(crate) async fn change_password(
    caller: Caller,
    submission: Submission<PasswordRequest>,
    edge: Edge,
) -> Answer {
    let mut checks = Checks::default();
    // The owner, who knows the address, checks that the password is not that.
    let checked = checks.take(check_password("/new_password", &submission.body.new_password, ""));
    checks.finish(checked)?;
    let (mutation, body) = submission.into_parts(caller.user_id.0);
    if body.current_password.chars().count() > PASSWORD_MAX_CHARS {
        return Err(Refusal::InvalidCredentials.into());
    }
    let change = PasswordChange {
        current: body.current_password,
        new: body.new_password,
    };
    let done = edge.shop().password_change(&mutation, &caller, change).await?;
    Ok(Reply::no_content().replayed(done.replayed))
}
