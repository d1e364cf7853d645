//! The pages that the types of problems lead to.

use std::str::FromStr;

use warp::{
    Filter,
    http::{HeaderValue, Method, StatusCode, header},
};

use crate::{
    problem::{ProblemKind, render_page},
    reply::Reply,
    route::{Answer, Route, path_of},
};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The last part of a problem's type.
pub(crate) struct ProblemName(ProblemKind);

/// Text that names no kind of problem.
#[derive(Debug)]
pub(crate) struct UnknownProblem;

impl FromStr for ProblemName {
    type Err = UnknownProblem;

    fn from_str(slug: &str) -> Result<Self, UnknownProblem> {
        ProblemKind::from_slug(slug).map(Self).ok_or(UnknownProblem)
    }
}

/// `GET /problems/{type}`
pub(super) fn route() -> Route {
    let (template, at) = path_of!("problems" / ProblemName);
    Route::new(Method::GET, template, at.then(problem))
}

/// What a kind of problem means
#[utoipa::path(
    get, path = "/problems/{type}", tag = "operations", operation_id = "problem",
    params(("type" = String, Path, description = "The last part of a problem's `type`.", example = "insufficient-stock")),
    responses(
        (status = 200, description = "A page for people.", body = String, content_type = "text/html"),
        (status = 404, description = "`not-found`: there is no such kind of problem."),
    ),
)]
pub(crate) async fn problem(ProblemName(kind): ProblemName) -> Answer {
    let html = render_page(kind.title(), kind.page());
    Ok(Reply::of(StatusCode::OK, HTML, html.into_bytes())
        .header(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=3600"),
        )
        .header(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ))
}
