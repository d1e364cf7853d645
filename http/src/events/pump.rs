//! Carries events from the shop to one client, for as long as it may and wants to see them.

use std::{fmt::Write, time::Duration};

use bytes::Bytes;
use holdfast_actors::client::EventPosition;
use holdfast_domain::{Caller, event::CloudEvent};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::{buffer::Filling, cursor, streams::StreamPermit};
use crate::{edge::Edge, shop::EventStream};

/// How often it is looked at whether the session still stands.
const CHECK: Duration = Duration::from_millis(500);
/// How soon a client comes back, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// What carries events to one client.
pub(super) struct Pump {
    pub(super) edge: Edge,
    pub(super) caller: Caller,
    /// Where the client takes them from.
    pub(super) buffer: Filling,
    pub(super) _permit: StreamPermit,
}

/// The stream is over.
struct Over;

impl Pump {
    /// Runs until the token, the session, the client's patience or the edge is at its end.
    pub(super) async fn run(self, events: EventStream, good_for: Duration) {
        let expires_at = Instant::now() + good_for;
        let buffer = self.buffer.clone();
        let closing = self.edge.closing().clone();
        tokio::select! {
            biased;
            () = closing.cancelled() => {}
            () = buffer.abandoned() => {}
            () = sleep_until(expires_at) => {}
            Err(Over) = self.carry(events) => {}
        }
    }

    async fn carry(mut self, mut events: EventStream) -> Result<std::convert::Infallible, Over> {
        let mut checks = interval(CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = events.position();
        // Whoever loses the connection before the first event resumes here.
        self.send(format!("retry: {RETRY_MS}\nid: {}\n\n", cursor::encode(last)))
            .await?;
        let mut said_at = Instant::now();
        loop {
            let event = {
                let mut next = std::pin::pin!(events.next());
                loop {
                    tokio::select! {
                        event = &mut next => break event.ok_or(Over)?,
                        _ = checks.tick() => {
                            self.check().await?;
                            if said_at.elapsed() >= self.edge.options().event_heartbeat {
                                self.send(heartbeat(last)).await?;
                                said_at = Instant::now();
                            }
                        }
                    }
                }
            };
            last = event.position;
            if let Some(seen) = event.audience.show(&event.record.event, &self.caller) {
                let data = serde_json::to_string(&CloudEvent::from(&*seen)).map_err(|error| {
                    tracing::error!(%error, "an event could not be written as JSON");
                    Over
                })?;
                self.send(format!("id: {}\ndata: {data}\n\n", cursor::encode(last)))
                    .await?;
                said_at = Instant::now();
            }
        }
    }

    /// Finds out whether the caller's session stands, and in which role.
    async fn check(&mut self) -> Result<(), Over> {
        self.caller = self.edge.shop().access(&self.caller).await.map_err(|_| Over)?;
        Ok(())
    }

    /// Hands a chunk to the client, who may take no longer for it than for a request.
    async fn send(&self, text: String) -> Result<(), Over> {
        let patience = self.edge.options().request_timeout;
        self.buffer
            .put(Bytes::from(text), patience)
            .await
            .map_err(|_| Over)
    }
}

/// Says that the stream is there, and how far it has come: what was not for this client need not be
/// looked at again. Without data it is no event to the client.
fn heartbeat(last: EventPosition) -> String {
    let mut text = ": here\n".to_owned();
    // Writing to a string cannot fail.
    let _ = write!(text, "id: {}\n\n", cursor::encode(last));
    text
}
