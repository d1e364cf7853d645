//! Tokens on the wire, and the public keys that verify them.

use holdfast_domain::{Caller, SessionId, User};
use serde::Serialize;
use utoipa::ToSchema;
use warp::{
    Filter,
    http::{HeaderValue, Method, header::CACHE_CONTROL},
};

use crate::{
    edge::Edge,
    problem::Problem,
    reply::Reply,
    route::{Answer, Route, path_of},
    token::{Jwk, RefreshToken},
};

/// A session's tokens.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(crate) struct TokensBody {
    /// Send it as `Authorization: Bearer ...`; a JWT signed with `EdDSA`.
    #[schema(example = "eyJhbGciOiJFZERTQSJ9.e30.c2ln")]
    access_token: String,
    /// How the access token is sent.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How long the access token is good for, in seconds.
    #[schema(example = 600)]
    expires_in: u64,
    /// Exchange it for new tokens, once.
    #[schema(example = "hfr_AZp2")]
    refresh_token: String,
    /// How long the refresh token is good for, in seconds.
    #[schema(example = 2_592_000)]
    refresh_expires_in: u64,
    /// The session.
    #[schema(value_type = Uuid)]
    session_id: SessionId,
}

impl TokensBody {
    /// Answers with the tokens of a user's session.
    pub(super) fn answer(edge: &Edge, user: &User, refresh: RefreshToken) -> Answer {
        let session_id = refresh.session_id();
        let caller = Caller {
            user_id: user.id,
            session_id,
            role: user.role,
        };
        let access = edge.tokens().sign(&caller).map_err(|error| {
            tracing::error!(%error, "an access token could not be signed");
            Problem::internal()
        })?;
        let body = Self {
            access_token: access.text,
            token_type: "Bearer",
            expires_in: access.expires_in,
            refresh_token: refresh.into_text(),
            refresh_expires_in: edge.options().refresh_token_ttl.as_secs(),
            session_id,
        };
        Ok(Reply::ok(&body)?.header(CACHE_CONTROL, HeaderValue::from_static("no-store")))
    }
}

/// Draws a session's next refresh token.
pub(super) fn draw(session_id: SessionId) -> Result<RefreshToken, Problem> {
    RefreshToken::draw(session_id).map_err(|error| {
        tracing::error!(%error, "the system gives no randomness");
        Problem::internal()
    })
}

/// Public keys, as a JSON Web Key Set (RFC 7517).
#[derive(Serialize, ToSchema)]
#[schema(as = Jwks)]
pub(crate) struct JwksBody {
    /// The keys; the first one signs.
    keys: Vec<Jwk>,
}

/// `GET /.well-known/jwks.json`
pub(super) fn jwks_route(edge: &Edge) -> Route {
    let (template, at) = path_of!(".well-known" / "jwks.json");
    Route::new(Method::GET, template, at.and(edge.itself()).then(jwks))
}

/// The keys that verify access tokens
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "accounts", operation_id = "jwks",
    responses((status = 200, description = "The public keys.", body = JwksBody,
        headers(("Cache-Control" = String, description = "For how long the keys may be kept.")))),
)]
pub(crate) async fn jwks(edge: Edge) -> Answer {
    let reply = Reply::ok(&JwksBody {
        keys: edge.tokens().jwks(),
    })?;
    Ok(reply.header(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")))
}
