//! Problem details (RFC 9457): the one form that every failure has on the wire.
//!
//! A handler returns a [`Problem`]; it travels in the response's extensions to the edge's last step,
//! which alone knows the request's id and renders it. *Invariant*: all of a problem's text is written
//! for clients here or in the domain; errors of lower layers are logged, never quoted.

use std::borrow::Cow;

use holdfast_actors::Error;
use holdfast_domain::{FieldError, Refusal};
use serde::Serialize;
use serde_json::{Map, Value, json};
use warp::http::{
    HeaderValue,
    header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE},
};

use crate::reply::{self, Response};

mod kind;
mod page;
mod rejection;

pub(crate) use kind::ProblemKind;
pub(crate) use page::render_page;
pub(crate) use rejection::from_rejection;

/// Seconds after which a request that met a passing trouble may be sent again.
const RETRY_AFTER_S: u32 = 1;

/// Why a request was not served, as its client will read it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    kind: ProblemKind,
    detail: Cow<'static, str>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl warp::reject::Reject for Problem {}

impl Problem {
    /// Makes a problem; `detail` explains this occurrence to a person.
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut problem = Self {
            kind,
            detail: detail.into(),
            members: Map::new(),
            headers: Vec::new(),
        };
        if kind.status() == warp::http::StatusCode::UNAUTHORIZED {
            problem = problem.header(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"holdfast\""),
            );
        }
        problem
    }

    /// Makes the problem of a request that cannot be read.
    pub(crate) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemKind::MalformedRequest, detail)
    }

    /// Makes the problem of fields that break rules.
    pub(crate) fn validation(errors: &[FieldError]) -> Self {
        let detail = match errors {
            [one] => format!("{} {}", one.field, one.message),
            many => format!("{} fields are not acceptable", many.len()),
        };
        Self::new(ProblemKind::Validation, detail).member("errors", json!(errors))
    }

    /// Makes the problem of a path or a thing that is not there.
    pub(crate) fn not_found() -> Self {
        Self::new(ProblemKind::NotFound, "nothing here that you may see")
    }

    /// Makes the problem of a method that a path does not have.
    pub(crate) fn method_not_allowed(allow: HeaderValue) -> Self {
        Self::new(
            ProblemKind::MethodNotAllowed,
            "the Allow header names the methods of this path",
        )
        .header(ALLOW, allow)
    }

    /// Makes the problem of an access token that is not accepted.
    pub(crate) fn invalid_token() -> Self {
        let mut problem = Self::new(
            ProblemKind::Unauthenticated,
            "the access token is malformed, expired or not from here",
        );
        problem.headers.clear();
        problem.header(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"holdfast\", error=\"invalid_token\""),
        )
    }

    /// Makes the problem of a body that is not signed by whom it claims to be from.
    pub(crate) fn invalid_signature(detail: String) -> Self {
        let mut problem = Self::new(ProblemKind::InvalidSignature, detail);
        problem.headers.clear();
        problem.header(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Payment-Signature realm=\"holdfast\""),
        )
    }

    /// Makes the problem of a shop that cannot answer right now.
    pub(crate) fn unavailable(detail: &'static str) -> Self {
        Self::new(ProblemKind::Unavailable, detail).retry_after(RETRY_AFTER_S)
    }

    /// Makes the problem of a node that has as much to do as it can.
    pub(crate) fn overloaded(retry_after_s: u32) -> Self {
        Self::new(ProblemKind::Unavailable, "this node has too much to do").retry_after(retry_after_s)
    }

    /// Makes the problem of a request that is one too many under this policy.
    pub(crate) fn rate_limited(policy: &'static str, retry_after_s: u32) -> Self {
        let detail = format!("more requests than `{policy}` allows; try again in {retry_after_s} s");
        Self::new(ProblemKind::RateLimited, detail)
            .member("policy", policy.into())
            .retry_after(retry_after_s)
    }

    /// Makes the problem of somebody who has as many streams of events open as one may.
    pub(crate) fn too_many_streams(max: usize) -> Self {
        let detail = format!("this account has {max} streams of events open on this node; end one first");
        Self::new(ProblemKind::RateLimited, detail)
            .member("policy", "streams".into())
            .retry_after(RETRY_AFTER_S)
    }

    /// Makes the problem of a fault of the shop's own; the caller has logged it.
    pub(crate) fn internal() -> Self {
        Self::new(
            ProblemKind::Internal,
            "the fault has been recorded under this request's id",
        )
    }

    /// Returns the problem's kind.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// Lists the fields of a validation problem with what is wrong with them.
    #[cfg(test)]
    pub(crate) fn field_errors(&self) -> impl Iterator<Item = (String, String)> {
        let errors = self
            .members
            .get("errors")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
        errors.map(move |error| (text(error, "field"), text(error, "message")))
    }

    /// Adds an extension member.
    pub(crate) fn member(mut self, name: &'static str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// Adds a header to the response.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says that an earlier request with the same key met this.
    pub(crate) fn replayed(self) -> Self {
        self.header(reply::REPLAYED, HeaderValue::from_static("true"))
    }

    fn retry_after(self, seconds: u32) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Makes a response that carries the problem to where it is rendered.
    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = self.kind.status();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }

    /// Writes a carried problem into the response's body; leaves other responses alone.
    pub(crate) fn render(response: Response, request_id: &str) -> Response {
        let (mut parts, body) = response.into_parts();
        let Some(problem) = parts.extensions.remove::<Self>() else {
            return Response::from_parts(parts, body);
        };
        let body = Rendered {
            r#type: problem.kind.type_path(),
            title: problem.kind.title(),
            status: problem.kind.status().as_u16(),
            detail: &problem.detail,
            request_id,
            members: &problem.members,
        };
        // Text, numbers and JSON values can be written as JSON.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        parts
            .headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        Response::from_parts(parts, body.into())
    }
}

/// A problem's body, in the order in which a person reads it.
#[derive(Serialize)]
struct Rendered<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    request_id: &'a str,
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused {
                refusal,
                replayed: false,
            } => refusal.into(),
            Error::Refused {
                refusal,
                replayed: true,
            } => Self::from(refusal).replayed(),
            Error::Unavailable { retry_after, reason } => {
                tracing::debug!(reason, "a call was not served");
                let seconds = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX);
                Self::new(
                    ProblemKind::Unavailable,
                    "the cluster cannot do this right now; asking again is safe with the same idempotency key",
                )
                .retry_after(seconds.max(RETRY_AFTER_S))
            }
            error @ (Error::Store(_) | Error::WrongReply) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a call failed");
                Self::internal()
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        use ProblemKind as Kind;
        match refusal {
            Refusal::NotFound => Self::not_found(),
            Refusal::Forbidden => Self::new(Kind::Forbidden, "the account's role may not use this call"),
            Refusal::Invalid(errors) => Self::validation(&errors),
            Refusal::EmailTaken => Self::new(Kind::EmailTaken, "sign in, or register another address"),
            Refusal::InvalidCredentials => Self::new(
                Kind::InvalidCredentials,
                "the e-mail address or the password is wrong",
            ),
            Refusal::AccountLocked { retry_after_s } => {
                let detail = format!("after too many failed logins, try again in {retry_after_s} s");
                Self::new(Kind::AccountLocked, detail).retry_after(retry_after_s)
            }
            Refusal::InvalidRefreshToken => Self::new(
                Kind::InvalidRefreshToken,
                "the refresh token is unknown or expired, or its session has ended",
            ),
            Refusal::RefreshTokenReused { .. } => Self::new(
                Kind::InvalidRefreshToken,
                "the refresh token was used before, so its whole session has been ended",
            ),
            Refusal::SessionEnded => Self::new(Kind::SessionEnded, "sign in again"),
            Refusal::SkuTaken => Self::new(Kind::SkuTaken, "the seller has another product with this SKU"),
            Refusal::VersionMismatch { current_version } => Self::new(
                Kind::VersionMismatch,
                "read the resource again, then repeat the edit on what it is now",
            )
            .member("current_version", current_version.into()),
            Refusal::InsufficientStock(lines) => {
                let detail = match lines.len() {
                    1 => "1 product has fewer units than wanted; nothing was reserved".to_owned(),
                    many => format!("{many} products have fewer units than wanted; nothing was reserved"),
                };
                Self::new(Kind::InsufficientStock, detail).member("lines", json!(lines))
            }
            Refusal::PriceChanged { actual } => Self::new(
                Kind::PriceChanged,
                "the total is not the expected one; nothing was ordered",
            )
            .member("actual_total", json!(actual)),
            Refusal::InvalidTransition { from, requested } => {
                let detail = format!("an order that is {from} cannot be {requested}");
                Self::new(Kind::InvalidTransition, detail)
                    .member("from", from.as_str().into())
                    .member("requested", requested.as_str().into())
            }
            Refusal::PaymentDeclined { reason } => {
                Self::new(Kind::PaymentDeclined, reason.clone()).member("reason", reason.into())
            }
            Refusal::IdempotencyKeyReuse => Self::new(
                Kind::IdempotencyKeyReuse,
                "the key belongs to a request with another path or body",
            ),
            Refusal::RequestInProgress => Self::new(
                Kind::RequestInProgress,
                "a request with this idempotency key has not finished yet",
            )
            .retry_after(RETRY_AFTER_S),
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::OrderStatus;

    use super::*;

    fn headers_of(problem: Problem) -> warp::http::HeaderMap {
        problem.into_response().into_parts().0.headers
    }

    #[test]
    fn every_kind_has_a_page_that_begins_with_its_title_and_names_its_status() {
        for kind in ProblemKind::ALL {
            let page = kind.page();
            assert!(page.starts_with(&format!("# {}\n", kind.title())), "{kind:?}");
            assert!(page.contains(kind.status().as_str()), "{kind:?} names no status");
            assert_eq!(ProblemKind::from_slug(kind.slug()), Some(*kind));
        }
    }

    #[test]
    fn every_401_tells_how_to_authenticate() {
        for refusal in [
            Refusal::SessionEnded,
            Refusal::InvalidCredentials,
            Refusal::InvalidRefreshToken,
        ] {
            assert!(headers_of(refusal.into()).contains_key(WWW_AUTHENTICATE));
        }
        assert_eq!(
            headers_of(Problem::invalid_token())
                .get_all(WWW_AUTHENTICATE)
                .iter()
                .count(),
            1
        );
    }

    #[test]
    fn what_passes_says_when_to_come_back() {
        let locked = headers_of(Refusal::AccountLocked { retry_after_s: 42 }.into());
        assert_eq!(locked[RETRY_AFTER], "42");
        assert!(headers_of(Refusal::RequestInProgress.into()).contains_key(RETRY_AFTER));
        assert!(headers_of(Problem::unavailable("busy")).contains_key(RETRY_AFTER));
    }

    #[test]
    fn an_illegal_move_names_both_states() {
        let problem = Problem::from(Refusal::InvalidTransition {
            from: OrderStatus::Expired,
            requested: OrderStatus::Confirmed,
        });
        assert_eq!(problem.members["from"], "expired");
        assert_eq!(problem.members["requested"], "confirmed");
    }
}
