//! Signing in.

use std::fmt;

use holdfast_actors::command::Login;
use holdfast_domain::{Email, Refusal, account::PASSWORD_MAX_CHARS};
use serde::Deserialize;
use utoipa::ToSchema;
use warp::{
    Filter,
    http::{HeaderMap, Method, header::USER_AGENT},
};

use super::tokens::{TokensBody, draw};
use crate::{
    edge::Edge,
    request::{Checks, RequestContext, context},
    route::{Answer, Route, path_of},
};

/// How much of a client's name for itself is kept, in characters.
const USER_AGENT_MAX_CHARS: usize = 256;

/// Credentials.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct LoginRequest {
    /// The account's address.
    #[schema(format = Email, example = "ada@example.com")]
    email: String,
    /// The account's password.
    #[schema(format = Password, example = "correct horse battery staple")]
    password: String,
}

impl fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest").finish_non_exhaustive()
    }
}

/// `POST /v1/auth/login`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "auth" / "login");
    let headers = warp::header::headers_cloned();
    Route::new(
        Method::POST,
        template,
        at.and(edge.json())
            .and(headers)
            .and(context())
            .and(edge.itself())
            .then(login),
    )
}

/// Signs in
///
/// Begins a session. An unknown address and a wrong password are answered alike.
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "accounts", operation_id = "login",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "The session's tokens.", body = TokensBody,
            headers(("Cache-Control" = String, description = "`no-store`."))),
        (status = 401, description = "`invalid-credentials`: unknown address, wrong password or disabled account."),
        (status = 429, description = "`account-locked`: ten logins have failed within 15 minutes.",
            headers(("Retry-After" = u32, description = "Seconds."))),
    ),
)]
pub(crate) async fn login(
    body: LoginRequest,
    headers: HeaderMap,
    context: RequestContext,
    edge: Edge,
) -> Answer {
    let mut checks = Checks::default();
    let email = checks.take(Email::parse(&body.email));
    let email = checks.finish(email)?;
    // No account has such a password, and hashing it would be work for nothing.
    if body.password.chars().count() > PASSWORD_MAX_CHARS {
        return Err(Refusal::InvalidCredentials.into());
    }
    let session_id = edge.shop().mint_session_id(&email);
    let refresh = draw(session_id)?;
    let user_agent = headers
        .get(USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let login = Login {
        email,
        password: body.password,
        session_id,
        refresh: refresh.hash(),
        user_agent: user_agent
            .unwrap_or_default()
            .chars()
            .take(USER_AGENT_MAX_CHARS)
            .collect(),
        ip: context.client().to_string(),
    };
    let logged_in = edge.shop().login(&edge.call(&context), login).await?;
    TokensBody::answer(&edge, &logged_in.user, refresh)
}
