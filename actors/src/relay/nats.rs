//! NATS `JetStream`, where events are kept for others.
//!
//! Every event is a message ([`message`]) of the subject `<prefix>.<aggregate>.<kind>.<id>`, such as
//! `holdfast.order.order.placed.0199c2a1-...`. The relay tells events to the stream ([`publish`]), and
//! the shop's own consumers are fed from it, as others are who listen to it ([`read`]). An event that
//! NATS will never take is set aside ([`refused`]), so that the others go on.

mod message;
mod publish;
mod read;
mod refused;
mod settings;

use std::{
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
    jetstream::{Context, context::ContextBuilder, stream},
};

pub use settings::NatsSettingError;

use super::{EventSink, NotTaken, Outage, pause};
use crate::node::Shared;

/// How long the server may take to acknowledge a message.
const ACK_WITHIN: Duration = Duration::from_secs(5);
/// How long the server remembers a message's id.
const DUPLICATES_WITHIN: Duration = Duration::from_mins(2);

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

/// This node's connection to NATS.
pub(super) struct Nats {
    shared: Shared,
    /// The shop's own consumers.
    consumers: Arc<dyn EventSink>,
    client: Client,
    context: Context,
    options: NatsOptions,
    /// Whether the stream is known to be there.
    has_stream: AtomicBool,
}

impl Nats {
    /// Begins to connect, and goes on trying. Settings that could be used when the node started may
    /// have ceased to be, such as a mounted secret that is being replaced: they are tried again.
    pub(super) async fn connect(
        shared: &Shared,
        options: NatsOptions,
        consumers: Arc<dyn EventSink>,
    ) -> Self {
        let mut outage = Outage::default();
        let client = loop {
            match Self::begin(&options).await {
                Ok(client) => break client,
                Err(error) => {
                    shared.relay.failures.fetch_add(1, Ordering::Relaxed);
                    let (is_first, pause) = outage.failed();
                    if is_first {
                        tracing::error!(error = &*error, "NATS cannot be used; events wait");
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        };
        Self {
            shared: shared.clone(),
            consumers,
            context: ContextBuilder::new()
                .timeout(ACK_WITHIN)
                .ack_timeout(ACK_WITHIN)
                .build(client.clone()),
            client,
            options,
            has_stream: AtomicBool::new(false),
        }
    }

    /// Does what there is to do with NATS besides telling it events, for as long as the node runs.
    pub(super) async fn attend(&self) {
        tokio::join!(self.feed_consumers(), self.try_refused_again());
    }

    /// # Errors
    /// There is no connection.
    fn expect_connected(&self) -> Result<(), NotTaken> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(NotTaken::because("NATS is away")),
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
}
