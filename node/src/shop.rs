//! The shop's API as a stubborn client sees it: some node will answer.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::bail;
use rand::Rng;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

/// How long one attempt may take; an operation's budget and a margin.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(5);
/// How long a client tries in all before it calls the shop unavailable.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// The nodes of a cluster, any of which will do.
#[derive(Clone, Debug)]
pub struct Shop {
    client: Client,
    nodes: Vec<String>,
}

/// A request, the same on every attempt.
#[derive(Clone)]
pub struct Ask<'a> {
    method: Method,
    path: String,
    token: Option<&'a str>,
    key: Option<&'a str>,
    version: Option<i64>,
    body: Option<&'a Value>,
    fresh: bool,
}

impl fmt::Display for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl<'a> Ask<'a> {
    /// Reads `path`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, None)
    }

    /// Posts `body` to `path`.
    pub fn post(path: impl Into<String>, body: &'a Value) -> Self {
        Self::new(Method::POST, path, Some(body))
    }

    /// Edits what is at `path`, if it is at `version` still.
    pub fn patch(path: impl Into<String>, version: i64, body: &'a Value) -> Self {
        let mut ask = Self::new(Method::PATCH, path, Some(body));
        ask.version = Some(version);
        ask
    }

    /// Asks in the name of the bearer of `token`.
    pub fn by(mut self, token: &'a str) -> Self {
        self.token = Some(token);
        self
    }

    /// Asks under the idempotency key `key`.
    pub fn under(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    /// Takes an answer that may be a little old; other reads see whatever was
    /// acknowledged before.
    pub fn however_old(mut self) -> Self {
        self.fresh = false;
        self
    }

    fn new(method: Method, path: impl Into<String>, body: Option<&'a Value>) -> Self {
        Self {
            method,
            path: path.into(),
            token: None,
            key: None,
            version: None,
            body,
            fresh: true,
        }
    }
}

/// What a node answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body, or its text if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// Tells whether asking again cannot change the answer.
    pub fn is_final(&self) -> bool {
        let in_progress = self.text("type") == Some("/problems/request-in-progress");
        let busy = matches!(
            self.status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        );
        !(in_progress || busy)
    }

    /// Reads a text field of the body.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field)?.as_str()
    }

    /// Reads a text field that the contract promises.
    pub fn promised(&self, field: &str) -> anyhow::Result<String> {
        match self.text(field) {
            Some(text) if self.status.is_success() => Ok(text.to_owned()),
            _ => bail!("expected `{field}`, got {}: {}", self.status, self.body),
        }
    }
}

impl Shop {
    /// Knows the nodes whose APIs have these base URLs; there must be one.
    pub fn new(nodes: Vec<String>) -> anyhow::Result<Self> {
        if nodes.is_empty() {
            bail!("there is no node to ask");
        }
        let client = Client::builder().no_proxy().timeout(ATTEMPT_WITHIN).build()?;
        Ok(Self { client, nodes })
    }

    /// Sends a request to one node after another until one gives an answer
    /// that is not "try again".
    pub async fn ask(&self, ask: &Ask<'_>) -> anyhow::Result<Answer> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            let node = rand::rng().random_range(0..self.nodes.len());
            let refused = match self.attempt(node, ask).await {
                Ok(answer) if answer.is_final() => return Ok(answer),
                Ok(answer) => format!("{}: {}", answer.status, answer.body),
                Err(error) => format!("{:#}", anyhow::Error::from(error)),
            };
            if Instant::now() > deadline {
                bail!(
                    "{ask} got no answer in {} s; the last attempt: {refused}",
                    ANSWER_WITHIN.as_secs()
                );
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// How many nodes there are to ask.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Sends a request to a node, counted from 0, once.
    pub async fn attempt(&self, node: usize, ask: &Ask<'_>) -> reqwest::Result<Answer> {
        let url = format!("{}{}", self.nodes[node], ask.path);
        let mut request = self.client.request(ask.method.clone(), url);
        if let Some(token) = ask.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = ask.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(version) = ask.version {
            request = request.header("If-Match", format!("\"{version}\""));
        }
        if let Some(body) = ask.body {
            request = request.json(body);
        }
        if ask.fresh && ask.method == Method::GET {
            // What was acknowledged has to be seen on any node.
            request = request.header("Cache-Control", "no-cache");
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, body })
    }
}
