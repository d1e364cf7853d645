//! Successful answers: a body, and the headers that the contract puts beside it.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use warp::http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, LOCATION},
};

use crate::{problem::Problem, request::IfNoneMatch};

/// A response as warp carries it.
pub(crate) type Response = warp::reply::Response;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const STALENESS: HeaderName = HeaderName::from_static("x-staleness-ms");
/// Says that an earlier request with the same key was answered so.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Reply(Response);

impl Reply {
    /// Answers 200 with `body`.
    pub(crate) fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Self::json(StatusCode::OK, body)
    }

    /// Answers 201 with `body`, which is found at `location` from now on.
    pub(crate) fn created(location: &str, body: &impl Serialize) -> Result<Self, Problem> {
        let location = HeaderValue::try_from(location).map_err(|_| Problem::internal())?;
        Ok(Self::json(StatusCode::CREATED, body)?.header(LOCATION, location))
    }

    /// Answers 204: done, and nothing to say.
    pub(crate) fn no_content() -> Self {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        Self(response)
    }

    /// Answers a conditional GET: 304 if the client has this version, else 200 with the body.
    pub(crate) fn versioned<T: Serialize>(
        condition: &IfNoneMatch,
        version: i64,
        body: impl FnOnce() -> T,
    ) -> Result<Self, Problem> {
        Self::versioned_as(condition, version, || written(&body()))
    }

    /// Answers a conditional GET by a body that may have been written before.
    pub(crate) fn versioned_as(
        condition: &IfNoneMatch,
        version: i64,
        body: impl FnOnce() -> Result<Bytes, Problem>,
    ) -> Result<Self, Problem> {
        let reply = if condition.has(version) {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            Self(response)
        } else {
            Self::of(StatusCode::OK, JSON, body()?)
        };
        // A cache may keep it, but asks every time; that is what the ETag is for.
        Ok(reply
            .etag(version)
            .header(CACHE_CONTROL, HeaderValue::from_static("private, no-cache")))
    }

    /// Answers `status` with `body` as JSON.
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self::of(status, JSON, written(body)?))
    }

    /// Answers `status` with a body of any type.
    pub(crate) fn of(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into().into());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        Self(response)
    }

    /// Answers 200 with a body that comes bit by bit.
    pub(crate) fn stream<S>(content_type: HeaderValue, chunks: S) -> Self
    where
        S: Stream<Item = Bytes> + Send + Sync + 'static,
    {
        let chunks = chunks.map(Ok::<_, std::convert::Infallible>);
        let mut response = warp::Reply::into_response(warp::reply::stream(chunks));
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        Self(response)
    }

    /// Adds the strong `ETag` of `version`.
    pub(crate) fn etag(self, version: i64) -> Self {
        match HeaderValue::try_from(format!("\"{version}\"")) {
            Ok(tag) => self.header(ETAG, tag),
            // Digits between quotes are a header value.
            Err(_) => self,
        }
    }

    /// Says for how long the body may have been out of date, in milliseconds.
    pub(crate) fn stale_by(self, staleness_ms: u64) -> Self {
        self.header(STALENESS, HeaderValue::from(staleness_ms))
    }

    /// Says that an earlier request with the same key made this.
    pub(crate) fn replayed(self, replayed: bool) -> Self {
        if replayed {
            self.header(REPLAYED, HeaderValue::from_static("true"))
        } else {
            self
        }
    }

    /// Adds or replaces a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }

    /// Returns the response.
    pub(crate) fn into_response(self) -> Response {
        self.0
    }
}

/// Writes a body as JSON.
pub(crate) fn written(body: &impl Serialize) -> Result<Bytes, Problem> {
    let bytes = serde_json::to_vec(body).map_err(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        Problem::internal()
    })?;
    Ok(bytes.into())
}
