//! Exchanging a refresh token.

use std::fmt;

use holdfast_actors::command::Refresh;
use serde::Deserialize;
use utoipa::ToSchema;
use warp::{Filter, http::Method};

use super::tokens::{TokensBody, draw};
use crate::{
    edge::Edge,
    request::{RequestContext, context},
    route::{Answer, Route, path_of},
    token::RefreshToken,
};

/// A refresh token to be exchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct RefreshRequest {
    /// The session's latest refresh token.
    #[schema(example = "hfr_AZp2")]
    refresh_token: String,
}

impl fmt::Debug for RefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest").finish_non_exhaustive()
    }
}

/// `POST /v1/auth/refresh`
pub(super) fn route(edge: &Edge) -> Route {
    let (template, at) = path_of!("v1" / "auth" / "refresh");
    Route::new(
        Method::POST,
        template,
        at.and(edge.json())
            .and(context())
            .and(edge.itself())
            .then(refresh),
    )
}

/// Exchanges a refresh token
///
/// A refresh token is good once. One that comes back after its use has been copied: the whole session
/// ends.
#[utoipa::path(
    post, path = "/v1/auth/refresh", tag = "accounts", operation_id = "refresh",
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "New tokens of the same session.", body = TokensBody,
            headers(("Cache-Control" = String, description = "`no-store`."))),
        (status = 401, description = "`invalid-refresh-token`: unknown, expired, used before, or of a session that has ended."),
    ),
)]
pub(crate) async fn refresh(body: RefreshRequest, context: RequestContext, edge: Edge) -> Answer {
    let presented = RefreshToken::parse(&body.refresh_token)?;
    // Drawn before it is asked for, so that asking again after a lost answer is not a second use.
    let replacement = draw(presented.session_id())?;
    let exchange = Refresh {
        session_id: presented.session_id(),
        presented: presented.hash(),
        replacement: replacement.hash(),
    };
    let user = edge
        .shop()
        .session_refresh(&edge.call(&context), exchange)
        .await?;
    TokensBody::answer(&edge, &user, replacement)
}
