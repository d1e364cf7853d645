//! What a node answered.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

/// A response, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body as JSON; `null` if it has none.
    pub(crate) body: Value,
}

impl Answer {
    /// Reads a response.
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body that can be read");
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Self {
            status,
            headers,
            body,
        }
    }

    /// Expects a status; returns the body.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self.body
    }

    /// Expects a problem of a type; returns the body.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        assert_eq!(self.body["type"], format!("/problems/{kind}"), "{:#}", self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.body["request_id"].as_str(), self.header("x-request-id"));
        self.body
    }

    /// Returns a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the status and, for a problem, its type: what a tally of answers counts.
    pub(crate) fn verdict(&self) -> String {
        match self.body["type"].as_str() {
            Some(kind) => format!(
                "{} {}",
                self.status.as_u16(),
                kind.trim_start_matches("/problems/")
            ),
            None => self.status.as_u16().to_string(),
        }
    }
}
