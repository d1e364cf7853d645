//! What a filter's rejection means to the client.

use warp::{
    Rejection,
    reject::{InvalidHeader, InvalidQuery, MissingHeader},
};

use super::{Problem, ProblemKind};

/// Turns the rejection of a route's filters into the problem that the client reads.
pub(crate) fn from_rejection(rejection: &Rejection) -> Problem {
    if let Some(problem) = rejection.find::<Problem>() {
        return problem.clone();
    }
    // A path parameter that does not parse names nothing.
    if rejection.is_not_found() {
        return Problem::not_found();
    }
    if let Some(missing) = rejection.find::<MissingHeader>() {
        return missing_header(missing.name());
    }
    if let Some(invalid) = rejection.find::<InvalidHeader>() {
        return invalid_header(invalid.name());
    }
    if rejection.find::<InvalidQuery>().is_some() {
        return Problem::malformed("the query is not application/x-www-form-urlencoded");
    }
    tracing::error!(
        ?rejection,
        "a filter rejected a request for a reason that has no problem type"
    );
    Problem::internal()
}

fn missing_header(name: &str) -> Problem {
    match name {
        "authorization" => Problem::new(
            ProblemKind::Unauthenticated,
            "send an access token as Authorization: Bearer ...",
        ),
        "if-match" => Problem::new(
            ProblemKind::PreconditionRequired,
            "send the ETag that the edit is based on as If-Match",
        ),
        "idempotency-key" => Problem::new(
            ProblemKind::IdempotencyKeyRequired,
            "send a fresh Idempotency-Key with every new request, and the same one when repeating it",
        ),
        other => Problem::malformed(format!("the header {other} is required")),
    }
}

fn invalid_header(name: &str) -> Problem {
    match name {
        "authorization" => Problem::invalid_token(),
        "if-match" => Problem::malformed("If-Match must be one strong ETag of this API, such as \"7\""),
        "idempotency-key" => Problem::malformed(format!(
            "Idempotency-Key {}",
            holdfast_domain::operation::BadOperationKey
        )),
        "x-min-version" => Problem::malformed("X-Min-Version must be a whole number that is not negative"),
        other => Problem::malformed(format!("the header {other} cannot be read")),
    }
}
