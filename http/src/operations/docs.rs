//! The OpenAPI document, and a page to read it by that needs nothing from the internet.

use std::{
    convert::Infallible,
    str::FromStr,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use utoipa_swagger_ui::Config;
use warp::{
    Filter,
    http::{HeaderValue, Method, StatusCode, header},
};

use crate::{
    openapi,
    problem::Problem,
    reply::Reply,
    route::{Answer, Route, path_of},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// The page's scripts and styles are its own; some styles and images stand inside of them.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'",
);

/// The document is the same for all edges of a process, and is written when it is first asked for.
static DOCUMENT: LazyLock<Result<Bytes, serde_json::Error>> =
    LazyLock::new(|| Ok(serde_json::to_vec(&openapi::document()?)?.into()));

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(
        Config::new(["/openapi.json"])
            .persist_authorization(false)
            .try_it_out_enabled(true),
    )
});

/// A file of the page.
pub(crate) struct FileName(String);

impl FromStr for FileName {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(Self(name.to_owned()))
    }
}

/// `GET /openapi.json`
pub(super) fn openapi_route() -> Route {
    let (template, at) = path_of!("openapi.json");
    Route::new(Method::GET, template, at.then(self::openapi))
}

/// `GET /docs`
pub(super) fn route() -> Route {
    let (template, at) = path_of!("docs");
    Route::new(Method::GET, template, at.then(docs))
}

/// `GET /docs/{file}`
pub(super) fn file_route() -> Route {
    let (template, at) = path_of!("docs" / FileName);
    Route::new(Method::GET, template, at.then(docs_file))
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations", operation_id = "openapi",
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = Object)),
)]
pub(crate) async fn openapi() -> Answer {
    let document = match &*DOCUMENT {
        Ok(document) => document.clone(),
        Err(error) => {
            tracing::error!(%error, "the description of the API cannot be written");
            return Err(Problem::internal());
        }
    };
    let reply = Reply::of(StatusCode::OK, JSON, document);
    Ok(reply.header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
}

/// A page to read this document by
#[utoipa::path(
    get, path = "/docs", tag = "operations", operation_id = "docs",
    responses((status = 200, description = "A page for people.", body = String, content_type = "text/html")),
)]
pub(crate) async fn docs() -> Answer {
    let (content_type, page) = file("index.html")?;
    let page = String::from_utf8_lossy(&page);
    // The page names its files relative to itself.
    let page = page.replacen("<head>", "<head><base href=\"/docs/\">", 1);
    Ok(answer(content_type, page.into_bytes().into()))
}

/// A file of the page
#[utoipa::path(
    get, path = "/docs/{file}", tag = "operations", operation_id = "docsFile",
    params(("file" = String, Path, description = "The file's name.", example = "swagger-ui.css")),
    responses(
        (status = 200, description = "The file.", body = String, content_type = "application/octet-stream"),
        (status = 404, description = "`not-found`: the page has no such file."),
    ),
)]
pub(crate) async fn docs_file(FileName(name): FileName) -> Answer {
    let (content_type, bytes) = file(&name)?;
    Ok(answer(content_type, bytes))
}

fn file(name: &str) -> Result<(HeaderValue, Bytes), Problem> {
    match utoipa_swagger_ui::serve(name, CONFIG.clone()) {
        Ok(Some(file)) => {
            let content_type = HeaderValue::try_from(file.content_type).map_err(|_| Problem::internal())?;
            Ok((content_type, Bytes::from(file.bytes.into_owned())))
        }
        Ok(None) => Err(Problem::not_found()),
        Err(error) => {
            tracing::error!(%error, "the documentation's page is broken");
            Err(Problem::internal())
        }
    }
}

fn answer(content_type: HeaderValue, bytes: Bytes) -> Reply {
    Reply::of(StatusCode::OK, content_type, bytes)
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=3600"),
        )
}
