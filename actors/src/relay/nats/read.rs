//! Feeding the shop's own consumers from the stream.
//!
//! The stream is read as the feed is: in its order, from a position that the database keeps. What was
//! read is taken in, and then the position moves. NATS is asked to keep nothing about it, since what it
//! would send again for want of an acknowledgement comes after what it has sent meanwhile.
//!
//! *Invariant*: whoever reads begins where all before was taken in, and reads without a gap. So of each
//! aggregate no event is taken in before its predecessors, however many nodes read at a time and
//! whichever of them fails; what they take in twice the inboxes know. (An event that NATS refused does not
//! come this way: see [`refused`](super::refused).) That it is one node which reads,
//! the owner of the first shard of orders, only saves the others the work.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{self, AckPolicy, Consumer, DeliverPolicy},
    stream::Stream,
};
use futures_util::StreamExt;
use holdfast_domain::ShardId;
use holdfast_store::{Service, StreamName};

use super::{Nats, message, message::Unreadable};
use crate::relay::{NotTaken, Outage};

/// Messages that are taken in at once.
const FETCH: usize = 256;
/// How long to wait for the first of them.
const FETCH_WITHIN: Duration = Duration::from_secs(1);
/// How often a node finds out whether reading is its affair.
const TURN_POLL: Duration = Duration::from_millis(200);
/// How long the server keeps a consumer that nobody asks any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// A stream that is being read.
struct Reading {
    consumer: Consumer<consumer::pull::Config>,
    stream: StreamName,
    /// The number of the last message that came, counted by the consumer.
    delivered: u64,
    /// The number of the last message that came or was read before, counted by the stream.
    read_to: u64,
}

impl Reading {
    /// Says aloud if the stream has dropped messages before they were read.
    fn expect_no_gap(&mut self, sequence: u64) {
        if sequence > self.read_to + 1 {
            let (from, to) = (self.read_to + 1, sequence - 1);
            tracing::error!(from, to, "the stream has dropped messages before they were read");
        }
        self.read_to = sequence;
    }
}

impl Nats {
    /// Feeds the shop's own consumers from the stream, for as long as the node runs.
    pub(super) async fn feed_consumers(&self) {
        let mut outage = Outage::default();
        loop {
            match self.read_while_it_is_ours(&mut outage).await {
                Ok(()) => {
                    outage.ended();
                    tokio::time::sleep(TURN_POLL).await;
                }
                Err(error) => {
                    let (is_first, pause) = outage.failed();
                    if is_first {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "events could not be taken from NATS"
                        );
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    fn is_reader(&self) -> bool {
        let shards = &self.shared.shards;
        shards.serving(Service::Orders, ShardId(0)).is_some()
    }

    async fn read_while_it_is_ours(&self, outage: &mut Outage) -> Result<(), NotTaken> {
        if !self.is_reader() {
            return Ok(());
        }
        self.expect_connected()?;
        let stream = self.stream().await?;
        let mut reading = self.begin_reading(&stream).await?;
        while self.is_reader() {
            self.expect_connected()?;
            self.read_some(&mut reading).await?;
            // Reading may go on for days: the next outage is another one.
            if outage.ended() {
                tracing::info!("events are taken from NATS again");
            }
        }
        Ok(())
    }

    async fn begin_reading(&self, stream: &Stream) -> Result<Reading, NotTaken> {
        let info = stream.cached_info();
        let name = StreamName {
            name: info.config.name.clone(),
            incarnation: info.created.unix_timestamp_nanos().to_string(),
        };
        let position = self.shared.store.stream_position(&name, info.state.last_sequence);
        let position = position
            .await
            .map_err(|error| NotTaken::from_error("the position is not known", error))?;
        let config = consumer::pull::Config {
            description: Some("feeds the shop's own consumers".to_owned()),
            ack_policy: AckPolicy::None,
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: position + 1,
            },
            inactive_threshold: FORGOTTEN_AFTER,
            memory_storage: true,
            num_replicas: 1,
            ..consumer::pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await;
        Ok(Reading {
            consumer: consumer
                .map_err(|error| NotTaken::from_error("the stream could not be read", error))?,
            stream: name,
            delivered: 0,
            read_to: position,
        })
    }

    /// Reads what there is, up to a bound, and takes it in.
    async fn read_some(&self, reading: &mut Reading) -> Result<(), NotTaken> {
        let unread = |error| NotTaken::from_error("the stream could not be read", error);
        let fetch = reading.consumer.fetch().max_messages(FETCH).expires(FETCH_WITHIN);
        let fetched = fetch.messages().await;
        let mut fetched =
            fetched.map_err(|error| NotTaken::from_error("the stream could not be asked", error))?;
        let (mut records, mut read_to, mut is_too_new) = (Vec::new(), None, false);
        while let Some(message) = fetched.next().await {
            let message = message.map_err(unread)?;
            let info = message.info().map_err(unread)?;
            reading.delivered += 1;
            if info.consumer_sequence != reading.delivered {
                return Err(NotTaken::because("a message was lost on its way"));
            }
            reading.expect_no_gap(info.stream_sequence);
            match message::read(message.headers.as_ref(), &message.payload) {
                Ok(record) => records.push(record),
                // A node of the release that wrote it will read it: it is not to be lost.
                Err(Unreadable::Unknown) => {
                    is_too_new = true;
                    break;
                }
                // It will not be readable next time either.
                Err(Unreadable::Foreign) => tracing::error!(
                    sequence = info.stream_sequence,
                    "the stream holds a message that is no event of this shop"
                ),
            }
            read_to = Some(info.stream_sequence);
        }
        if let Some(read_to) = read_to {
            self.consumers.deliver(&records).await?;
            let moved = self.shared.store.stream_advance(&reading.stream, read_to).await;
            moved.map_err(|error| NotTaken::from_error("the position could not be kept", error))?;
        }
        if is_too_new {
            // Reading begins anew at it: what came behind it in this fetch has been passed over.
            return Err(NotTaken::because("an event is of a newer release than this node"));
        }
        Ok(())
    }
}
