//! Asking a node how it is.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::Deserialize;

/// A node that is alive answers at once; one that does not is as good as dead.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Asks nodes on this machine or near it.
#[derive(Clone, Debug)]
pub struct Probe {
    client: Client,
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It takes requests.
    Ready,
    /// It answers, and tells why it does not take requests.
    NotReady(String),
    /// It does not answer, for this reason.
    Unreachable(String),
}

/// What `GET /readyz?verbose` answers.
#[derive(Deserialize)]
struct Body {
    checks: Checks,
}

/// What readiness consists of.
#[derive(Deserialize)]
#[allow(clippy::struct_excessive_bools)] // As the answer has them.
struct Checks {
    database: bool,
    migrations: bool,
    membership: bool,
    draining: bool,
}

impl Checks {
    /// Puts what fails into words.
    fn failing(&self) -> String {
        let checks = [
            (self.draining, "it is about to stop"),
            (!self.database, "the database does not answer"),
            (!self.migrations, "the schema is not current"),
            (
                !self.membership,
                "it is no active member, or a shard has no owner",
            ),
        ];
        let failing: Vec<&str> = checks
            .iter()
            .filter(|(fails, _)| *fails)
            .map(|(_, words)| *words)
            .collect();
        failing.join("; ")
    }
}

impl Probe {
    /// Makes a client that goes to the nodes directly, past any proxy.
    pub fn new() -> reqwest::Result<Self> {
        let client = Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        Ok(Self { client })
    }

    /// Tells whether the node whose ops listener is at `ops` is ready.
    pub async fn is_ready(&self, ops: &str) -> bool {
        let answer = self.client.get(format!("{ops}/readyz")).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// Asks the node whose ops listener is at `ops` how it is.
    pub async fn health(&self, ops: &str) -> Health {
        let url = format!("{ops}/readyz?verbose");
        let answer = match self.client.get(url).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                return Health::Unreachable("nothing listens there".to_owned());
            }
            Err(error) if error.is_timeout() => {
                return Health::Unreachable(format!("no answer in {ANSWER_WITHIN:?}"));
            }
            Err(error) => return Health::Unreachable(error.to_string()),
        };
        if answer.status() == StatusCode::OK {
            return Health::Ready;
        }
        let status = answer.status();
        Health::NotReady(match answer.json::<Body>().await {
            Ok(body) => body.checks.failing(),
            Err(_) => format!("it answers {status}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Body;

    #[test]
    fn what_fails_is_put_into_words() {
        let answer = r#"{
            "type": "/problems/unavailable",
            "checks": { "database": true, "migrations": false, "membership": true, "draining": true }
        }"#;
        let body: Body = serde_json::from_str(answer).unwrap();
        assert_eq!(
            body.checks.failing(),
            "it is about to stop; the schema is not current"
        );
    }
}
