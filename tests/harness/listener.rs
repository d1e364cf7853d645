//! People who listen to events.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::Person;

/// How long an event may take on a busy machine before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream of events, as a client of it sees them.
pub(crate) struct Listener {
    response: Response,
    text: String,
    last_id: String,
}

impl Listener {
    /// Begins to listen, behind `last_id` or from now on. What happens afterwards is heard of.
    pub(crate) async fn begin(person: &Person, last_id: Option<&str>) -> Self {
        // Without the limit that other requests have.
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut request = http.get(format!("{}/v1/events", person.api));
        if let Some(token) = &person.token {
            request = request.bearer_auth(token);
        }
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let mut listener = Self {
            response,
            text: String::new(),
            last_id: String::new(),
        };
        // The first block says where the stream begins.
        let first = listener.block().await.expect("a beginning");
        assert!(first.starts_with("retry:"), "{first:?}");
        listener
    }

    /// Returns the id to resume from.
    pub(crate) fn last_id(&self) -> &str {
        &self.last_id
    }

    /// Waits for the next event; `None`: the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            let block = self.block().await?;
            let data = block.lines().find_map(|line| line.strip_prefix("data: "));
            if let Some(data) = data {
                return Some(serde_json::from_str(data).expect("a CloudEvent in JSON"));
            }
        }
    }

    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(id) = block.lines().find_map(|line| line.strip_prefix("id: ")) {
                    id.clone_into(&mut self.last_id);
                }
                return Some(block);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk())
                .await
                .expect("an event in time");
            // A connection that breaks off is an end, too.
            let chunk = chunk.ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }
}
