//! Telling events to the stream.
//!
//! *Invariant*: of one aggregate, one event is on its way at a time. Many are of many aggregates. A
//! message that was lost on its way can so not be overtaken by its successor.

use std::{collections::HashSet, error::Error as _, sync::atomic::Ordering};

use async_nats::jetstream::{
    self, ErrorCode,
    context::{PublishError, PublishErrorKind},
    message::PublishMessage,
};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture};
use holdfast_store::EventRecord;

use super::{Nats, message};
use crate::relay::{EventSink, NotTaken};

/// Messages on their way at a time.
const IN_FLIGHT: usize = 256;

/// What became of an event that was published.
#[derive(Debug)]
pub(super) enum Published {
    /// The stream has it.
    Kept,
    /// The stream will never take it, for this reason.
    Refused(String),
}

impl EventSink for Nats {
    fn deliver<'a>(&'a self, batch: &'a [EventRecord]) -> BoxFuture<'a, Result<(), NotTaken>> {
        async move {
            let delivered = self.deliver_all(batch).await;
            if delivered.is_err() {
                // It may have been deleted, or lost with its server.
                self.has_stream.store(false, Ordering::Relaxed);
            }
            delivered
        }
        .boxed()
    }
}

impl Nats {
    async fn deliver_all(&self, batch: &[EventRecord]) -> Result<(), NotTaken> {
        // What is sent to nobody would be kept and sent later, when others have told it.
        self.expect_connected()?;
        if !self.has_stream.load(Ordering::Relaxed) {
            self.stream().await?;
        }
        let mut rest: Vec<&EventRecord> = batch.iter().collect();
        while !rest.is_empty() {
            let mut on_their_way = HashSet::new();
            let (wave, later) = rest.into_iter().partition(|record| {
                on_their_way.insert((record.event.kind.aggregate(), record.event.subject))
            });
            let wave: Vec<&EventRecord> = wave;
            let telling: Vec<_> = wave.into_iter().map(|record| self.tell(record)).collect();
            futures_util::stream::iter(telling)
                .buffer_unordered(IN_FLIGHT)
                .try_collect::<()>()
                .await?;
            rest = later;
        }
        Ok(())
    }

    /// Publishes an event, or sets it aside if that is in vain.
    async fn tell(&self, record: &EventRecord) -> Result<(), NotTaken> {
        match self.publish(record).await? {
            Published::Kept => Ok(()),
            Published::Refused(why) => self.set_aside(record, why).await,
        }
    }

    /// Publishes one event and waits until the stream has it.
    pub(super) async fn publish(&self, record: &EventRecord) -> Result<Published, NotTaken> {
        let event = &record.event;
        let subject = format!(
            "{}.{}.{}.{}",
            self.options.prefix,
            event.kind.aggregate().as_str(),
            event.kind,
            event.subject
        );
        let (headers, payload) = message::write(record)
            .map_err(|error| NotTaken::from_error("an event could not be written as JSON", error))?;
        let message = PublishMessage::build()
            .headers(headers)
            .expected_stream(&self.options.stream)
            .payload(payload.into());
        let acknowledged = match self.context.send_publish(subject, message).await {
            Ok(sent) => sent.await,
            Err(error) => Err(error),
        };
        match acknowledged {
            Ok(_) => Ok(Published::Kept),
            Err(error) if is_too_large(&error) => Ok(Published::Refused(error.to_string())),
            Err(error) => Err(NotTaken::from_error("a message was not acknowledged", error)),
        }
    }
}

/// Tells whether a message is larger than the server, or the stream, takes.
fn is_too_large(error: &PublishError) -> bool {
    let source = error.source();
    let by_stream = source.and_then(|source| source.downcast_ref::<jetstream::Error>());
    error.kind() == PublishErrorKind::MaxPayloadExceeded
        || by_stream.is_some_and(|error| error.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}
