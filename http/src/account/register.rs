//! Making an account.

use std::fmt;

use holdfast_actors::command::NewUser;
use holdfast_domain::{
    Email,
    account::{check_display_name, check_password},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use warp::{Filter, http::Method};

use super::UserBody;
use crate::{
    digest::sha256,
    edge::Edge,
    reply::Reply,
    request::{Checks, Submission},
    route::{Answer, Route, path_of},
};

/// An account to be made.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct RegisterRequest {
    /// The address that will sign in; compared without regard to case.
    #[schema(format = Email, max_length = 254, example = "ada@example.com")]
    email: String,
    /// 10 to 128 characters, and not one that everybody tries.
    // Left out of what is stored with an idempotency key.
    #[serde(skip_serializing)]
    #[schema(format = Password, min_length = 10, max_length = 128, example = "correct horse battery staple")]
    password: String,
    /// The name shown to others.
    #[serde(default)]
    #[schema(max_length = 100, example = "Ada")]
    display_name: Option<String>,
}

impl fmt::Debug for RegisterRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterRequest").finish_non_exhaustive()
    }
}

/// `POST /v1/auth/register`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "auth" / "register");
    Route::new(
        Method::POST,
        template,
        at.and(edge.submission()).and(edge.itself()).then(register),
    )
}

/// Makes an account
///
/// The account is a customer's. It can sign in at once.
#[utoipa::path(
    post, path = "/v1/auth/register", tag = "accounts", operation_id = "register",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "The account was made.", body = UserBody,
            headers(("Location" = String, description = "The account."), ("ETag" = String))),
        (status = 409, description = "`email-taken`; or `request-in-progress`."),
    ),
)]
pub(crate) async fn register(submission: Submission<RegisterRequest>, edge: Edge) -> Answer {
    let mut checks = Checks::default();
    let body = &submission.body;
    let display_name = body.display_name.clone().unwrap_or_default();
    let email = checks.take(Email::parse(&body.email));
    checks.take(check_password("/password", &body.password, &body.email));
    checks.take(check_display_name(&display_name));
    let email = checks.finish(email)?;

    let (mutation, body) = submission.into_parts(principal(&email));
    let id = edge.shop().mint_user_id(&email);
    let new = NewUser {
        id,
        email,
        password: body.password,
        display_name,
    };
    let done = edge.shop().user_register(&mutation, new).await?;
    let (id, version) = (done.value.id, done.value.version);
    let reply = Reply::created(&format!("/v1/users/{id}"), &UserBody::from(done.value))?;
    Ok(reply.etag(version).replayed(done.replayed))
}

/// Names somebody who is not a user yet: keys of different addresses must not meet.
fn principal(email: &Email) -> Uuid {
    let hash = sha256(&[b"email:", email.as_str().as_bytes()]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(bytes)
}
