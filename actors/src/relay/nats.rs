//! NATS `JetStream`, where events are kept for others.
//!
//! Every event is a message of the subject `<prefix>.<aggregate>.<kind>.<id>`, such as
//! `holdfast.order.order.placed.0199c2a1-...`, whose payload is the `CloudEvent` in JSON and whose
//! `Nats-Msg-Id` is the event's id: a repeat within the stream's window is dropped by the server.
//!
//! *Invariant*: of one aggregate, one event is on its way at a time. Many are of many aggregates. A
//! message that was lost on its way can so not be overtaken by its successor.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{
    Client, ConnectOptions, ServerAddr,
    connection::State,
    jetstream::{AckKind, Context, consumer, context::ContextBuilder, message::PublishMessage, stream},
};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture};
use holdfast_domain::{Event, event::CloudEvent};
use holdfast_store::EventRecord;

use super::{EventSink, NotTaken, pause};

/// Messages on their way at a time.
const IN_FLIGHT: usize = 256;
/// How long the server may take to acknowledge a message.
const ACK_WITHIN: Duration = Duration::from_secs(5);
/// How long the server remembers a message's id.
const DUPLICATES_WITHIN: Duration = Duration::from_mins(2);
/// The consumer that feeds the shop's own consumers.
const CONSUMER: &str = "holdfast";
/// Messages that the shop's own consumers take at once.
const FETCH: usize = 256;
/// How long to wait for the first of them.
const FETCH_WITHIN: Duration = Duration::from_secs(1);
/// How long a node may take over what it has fetched before another one gets it.
const WORK_WITHIN: Duration = Duration::from_secs(30);

/// How NATS is used.
#[derive(Clone)]
pub struct NatsOptions {
    /// The servers. May hold a password; never shown.
    pub urls: Vec<String>,
    /// Holds the credentials, as `nsc` writes them, if the servers ask for any.
    pub credentials_file: Option<PathBuf>,
    /// The authority that signs the servers' certificates, PEM; those that the system trusts if absent.
    pub ca_file: Option<PathBuf>,
    /// The stream's name.
    pub stream: String,
    /// What subjects begin with.
    pub prefix: String,
    /// How many servers keep the stream.
    pub replicas: usize,
    /// For how long the stream keeps events.
    pub max_age: Duration,
}

/// NATS, as a sink of events.
pub(super) struct NatsSink {
    client: Client,
    context: Context,
    options: NatsOptions,
    /// Whether the stream is known to be there.
    has_stream: AtomicBool,
}

impl NatsSink {
    /// Begins to connect, and goes on trying; `None`: the settings cannot be used.
    pub(super) async fn connect(options: NatsOptions) -> Option<Self> {
        match Self::begin(&options).await {
            Ok(client) => Some(Self {
                context: ContextBuilder::new()
                    .timeout(ACK_WITHIN)
                    .ack_timeout(ACK_WITHIN)
                    .build(client.clone()),
                client,
                options,
                has_stream: AtomicBool::new(false),
            }),
            Err(error) => {
                tracing::error!(error = &*error, "NATS cannot be used; events wait");
                None
            }
        }
    }

    async fn begin(options: &NatsOptions) -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
        let servers = options
            .urls
            .iter()
            .map(|url| url.parse())
            .collect::<Result<Vec<ServerAddr>, _>>()?;
        let mut connect = ConnectOptions::new()
            .name("holdfast")
            .retry_on_initial_connect()
            .request_timeout(Some(ACK_WITHIN))
            .reconnect_delay_callback(|attempts| pause(u32::try_from(attempts).unwrap_or(u32::MAX)));
        if let Some(path) = &options.credentials_file {
            connect = connect.credentials_file(path).await?;
        }
        if let Some(path) = &options.ca_file {
            connect = connect.add_root_certificates(path.clone());
        }
        Ok(connect.connect(servers).await?)
    }

    /// Makes the stream if there is none. One that is there stays as it is.
    async fn stream(&self) -> Result<stream::Stream, NotTaken> {
        let config = stream::Config {
            name: self.options.stream.clone(),
            subjects: vec![format!("{}.>", self.options.prefix)],
            storage: stream::StorageType::File,
            num_replicas: self.options.replicas,
            max_age: self.options.max_age,
            duplicate_window: DUPLICATES_WITHIN.min(self.options.max_age),
            ..stream::Config::default()
        };
        let stream = self.context.get_or_create_stream(config).await;
        let stream = stream.map_err(|error| NotTaken::from_error("the stream could not be made", error))?;
        self.has_stream.store(true, Ordering::Relaxed);
        Ok(stream)
    }

    async fn deliver_all(&self, batch: &[EventRecord]) -> Result<(), NotTaken> {
        // What is sent to nobody would be kept and sent later, when others have told it.
        if self.client.connection_state() != State::Connected {
            return Err(NotTaken::because("NATS is away"));
        }
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
            let publishing: Vec<_> = wave
                .into_iter()
                .map(|record| self.publish(&record.event))
                .collect();
            futures_util::stream::iter(publishing)
                .buffer_unordered(IN_FLIGHT)
                .try_collect::<()>()
                .await?;
            rest = later;
        }
        Ok(())
    }

    /// Publishes one event and waits until the stream has it.
    async fn publish(&self, event: &Event) -> Result<(), NotTaken> {
        let subject = format!(
            "{}.{}.{}.{}",
            self.options.prefix,
            event.kind.aggregate().as_str(),
            event.kind,
            event.subject
        );
        let payload = serde_json::to_vec(&CloudEvent::from(event))
            .map_err(|error| NotTaken::from_error("an event could not be written as JSON", error))?;
        let message = PublishMessage::build()
            .message_id(event.id.to_string())
            .header("Content-Type", "application/cloudevents+json")
            .expected_stream(&self.options.stream)
            .payload(payload.into());
        let sent = self.context.send_publish(subject, message).await;
        let sent = sent.map_err(|error| NotTaken::from_error("a message could not be sent", error))?;
        sent.await
            .map_err(|error| NotTaken::from_error("a message was not acknowledged", error))?;
        Ok(())
    }

    /// Feeds the shop's own consumers from the stream, for as long as the node runs.
    ///
    /// All nodes share one durable consumer: each event goes to one of them, and to another one if that
    /// fails. So events of one aggregate may be worked on out of order here.
    pub(super) async fn consume(&self, sink: Arc<dyn EventSink>) {
        let mut failed = 0;
        loop {
            match self.consume_batch(&*sink).await {
                Ok(()) => failed = 0,
                Err(error) => {
                    if failed == 0 {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "events could not be taken from NATS"
                        );
                    }
                    tokio::time::sleep(pause(failed)).await;
                    failed = failed.saturating_add(1);
                }
            }
        }
    }

    async fn consume_batch(&self, sink: &dyn EventSink) -> Result<(), NotTaken> {
        if self.client.connection_state() != State::Connected {
            return Err(NotTaken::because("NATS is away"));
        }
        let failed = |error| NotTaken::from_error("the consumer could not be asked", error);
        let config = consumer::pull::Config {
            durable_name: Some(CONSUMER.to_owned()),
            ack_policy: consumer::AckPolicy::Explicit,
            ack_wait: WORK_WITHIN,
            ..consumer::pull::Config::default()
        };
        let consumer = self
            .stream()
            .await?
            .get_or_create_consumer(CONSUMER, config)
            .await
            .map_err(|error| NotTaken::from_error("the consumer could not be made", error))?;
        loop {
            let fetched = consumer
                .fetch()
                .max_messages(FETCH)
                .expires(FETCH_WITHIN)
                .messages();
            let mut fetched = fetched
                .await
                .map_err(|error| NotTaken::from_error("the consumer could not be asked", error))?;
            let (mut messages, mut records) = (Vec::new(), Vec::new());
            while let Some(message) = fetched.next().await {
                let message = message.map_err(failed)?;
                match read(&message.payload) {
                    Some(event) => {
                        records.push(EventRecord {
                            event,
                            node: String::new(),
                            epoch: 0,
                        });
                        messages.push(message);
                    }
                    // It will not be readable next time either.
                    None => message.ack_with(AckKind::Term).await.map_err(failed)?,
                }
            }
            if records.is_empty() {
                continue;
            }
            sink.deliver(&records).await?;
            for message in messages {
                message.ack().await.map_err(failed)?;
            }
        }
    }
}

fn read(payload: &[u8]) -> Option<Event> {
    let event = serde_json::from_slice::<CloudEvent>(payload)
        .ok()
        .and_then(|cloud| Event::try_from(cloud).ok());
    if event.is_none() {
        tracing::error!("the stream holds a message that is no event of this shop");
    }
    event
}

impl EventSink for NatsSink {
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
