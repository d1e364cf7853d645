//! Relaying events: what a node owns, it tells.
//!
//! Events wait in the database, where the change that they tell of put them; relaying deletes and
//! updates none of them. The owner of a shard knows the shard's *position*: all before it was told, or
//! passed over because the sink does not act on it. The owner tells what follows, in the feed's order, waits
//! until the sink has taken it for good, and then moves the position in a fenced write. Whoever owns the
//! shard next goes on there.
//!
//! # Invariants
//! - Every event on which the sink acts is told at least once: a position moves only behind what the sink has
//!   taken, or does not act on.
//! - What an aggregate's events tell comes in the order of its versions. After a failure, or when a
//!   shard changes hands, events may be told again, but none before its predecessors.
//! - The shop does not wait for a sink that is away. Its events do.

mod meter;
mod nats;

use std::{
    collections::HashMap,
    error::Error as StdError,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use holdfast_domain::ShardId;
use holdfast_store::{
    EventPosition, EventRecord, Lease, RelayEvent, RelayLag, RelayPosition, Service, StoreError,
};

pub use nats::{NatsOptions, NatsSettingError};

use crate::node::Shared;

/// The shortest rest after a round that left nothing to be told.
const POLL: Duration = Duration::from_millis(100);
/// Events told at once.
const BATCH: u32 = 1_000;
/// Events of all shards among which those to be told are looked for at once.
const WINDOW: u32 = 5_000;
/// Events of one shard told at once: none holds up the others.
const BATCH_OF_SHARD: u32 = 250;
/// The longest rest after a round.
const REST_MAX: Duration = Duration::from_millis(500);
/// How many times as long as a round of the node's own consumers the rest after it is, if it left events.
/// They share the database with whoever waits for an answer, and nobody waits for what they do.
const BACKLOG_REST: u32 = 4;
/// And if it left none: such a round has its price however little it found. The busier the database is,
/// the longer rounds take, the fewer there are, and the more each of them finds.
const CAUGHT_UP_REST: u32 = 19;
/// The first pause after a failure; the next ones are longer.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// Why a sink has not taken events; whether it has taken some of them is not known.
#[derive(Debug, thiserror::Error)]
#[error("events were not taken: {reason}")]
pub struct NotTaken {
    reason: &'static str,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl NotTaken {
    /// Makes the failure of a sink that cannot be reached, or the like.
    pub const fn because(reason: &'static str) -> Self {
        Self { reason, source: None }
    }

    /// Makes the failure that another one caused.
    pub fn from_error(reason: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            reason,
            source: Some(source.into()),
        }
    }
}

/// Where events go.
pub trait EventSink: Send + Sync {
    /// Takes events for good, or fails. After a failure they come again, whichever were taken.
    ///
    /// The events of an aggregate come in the order of its versions, and must be taken in it.
    fn deliver<'a>(&'a self, batch: &'a [EventRecord]) -> BoxFuture<'a, Result<(), NotTaken>>;

    /// Tells whether it acts on any event of a service's shards, always the same. If not, the relay passes
    /// these over. With NATS it is not asked, and gets what the stream holds.
    fn acts_on(&self, _service: Service) -> bool {
        true
    }
}

/// How relaying goes on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayStatus {
    /// Events that wait, of the shards that this node owns.
    pub lag: RelayLag,
    /// For how long one transaction of the server has held the feed back; zero if none does.
    pub held_for: Duration,
    /// Events that were told since the node began, repeats included.
    pub told: u64,
    /// Attempts that failed since the node began.
    pub failures: u64,
    /// Events that the sink will never take, and that were set aside since the node began.
    pub refused: u64,
}

/// What is known of relaying, for those who measure it. Cheap to read and to write.
#[derive(Debug, Default)]
pub(crate) struct RelayGauges {
    waiting: AtomicU64,
    oldest_ms: AtomicU64,
    held_ms: AtomicU64,
    told: AtomicU64,
    failures: AtomicU64,
    refused: AtomicU64,
}

impl RelayGauges {
    /// Returns how relaying goes.
    pub(crate) fn status(&self) -> RelayStatus {
        let read = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        RelayStatus {
            lag: RelayLag {
                events: read(&self.waiting),
                oldest_ms: read(&self.oldest_ms),
            },
            held_for: Duration::from_millis(read(&self.held_ms)),
            told: read(&self.told),
            failures: read(&self.failures),
            refused: read(&self.refused),
        }
    }

    fn measured(&self, lag: RelayLag, held_for: Duration) {
        self.waiting.store(lag.events, Ordering::Relaxed);
        self.oldest_ms.store(lag.oldest_ms, Ordering::Relaxed);
        let held_ms = u64::try_from(held_for.as_millis()).unwrap_or(u64::MAX);
        self.held_ms.store(held_ms, Ordering::Relaxed);
    }
}

/// Why a round of relaying failed.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the store failed")]
    Store(#[from] StoreError),
    #[error("the sink failed")]
    Sink(#[from] NotTaken),
}

/// Relays what this node owns until the node ends.
///
/// With NATS, events go there, and from there to the node's own sink; without it they go to that one.
pub(crate) async fn keep_relaying(shared: Shared) {
    let (local, rests): (Arc<dyn EventSink>, bool) = match &shared.options.event_sink {
        Some(sink) => (Arc::clone(sink), false),
        None => (Arc::new(OwnConsumers(shared.clone())), true),
    };
    let work = async {
        match shared.options.nats.clone() {
            Some(options) => {
                let nats = Arc::new(nats::Nats::connect(&shared, options, local).await);
                tokio::join!(Relay::new(&shared, nats.clone(), false).run(), nats.attend());
            }
            None => Relay::new(&shared, local, rests).run().await,
        }
    };
    tokio::select! {
        () = work => {}
        () = meter::keep_measuring(&shared) => {}
        _ = shared.ended() => {}
    }
}

/// The node's own consumers.
struct OwnConsumers(Shared);

impl EventSink for OwnConsumers {
    fn deliver<'a>(&'a self, batch: &'a [EventRecord]) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move {
            let taken = self.0.consumers.deliver(batch).await;
            taken.map_err(|error| NotTaken::from_error("the database did not take them", error))
        })
    }

    fn acts_on(&self, service: Service) -> bool {
        self.0.consumers.act_on(service)
    }
}

struct Relay {
    shared: Shared,
    sink: Arc<dyn EventSink>,
    /// How far the shards that this node owns have been told, or passed over.
    positions: HashMap<(Service, ShardId), RelayPosition>,
    /// Before this place everything has been told or passed over that is of these shards; no shards, nothing
    /// untold.
    all_told: EventPosition,
    /// Whether it leaves the database to others for a while after each round.
    rests: bool,
}

impl Relay {
    fn new(shared: &Shared, sink: Arc<dyn EventSink>, rests: bool) -> Self {
        Self {
            shared: shared.clone(),
            sink,
            positions: HashMap::new(),
            all_told: EventPosition::before(u64::MAX),
            rests,
        }
    }

    async fn run(mut self) {
        let mut outage = Outage::default();
        loop {
            let began = Instant::now();
            match self.round().await {
                Ok(is_more) => {
                    if outage.ended() {
                        tracing::info!("events are relayed again");
                    }
                    let rest = match (self.rests, is_more) {
                        (true, _) => rest_of_own(began.elapsed(), is_more),
                        (false, true) => Duration::ZERO,
                        (false, false) => POLL,
                    };
                    tokio::time::sleep(rest).await;
                }
                Err(error) => {
                    self.shared.relay.failures.fetch_add(1, Ordering::Relaxed);
                    let (is_first, pause) = outage.failed();
                    if is_first {
                        tracing::warn!(
                            error = &error as &dyn StdError,
                            "events could not be relayed; they wait"
                        );
                    }
                    // What others have claimed meanwhile is theirs.
                    if matches!(error, RelayError::Store(StoreError::Fenced { .. })) {
                        self.positions.clear();
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Passes over what the sink does not act on, and tells a batch of the rest, if there is any; returns
    /// whether there may be more.
    async fn round(&mut self) -> Result<bool, RelayError> {
        self.follow_ownership().await?;
        if self.positions.is_empty() {
            return Ok(false);
        }
        let store = &self.shared.store;
        let news = store.relay_news(self.all_told, WINDOW).await?;
        if !news.is_news {
            self.all_told = news.horizon;
            return Ok(false);
        }
        let (told, passed_over): (Vec<RelayPosition>, Vec<RelayPosition>) = self
            .positions
            .values()
            .partition(|known| self.sink.acts_on(known.lease.service));
        let batch = store
            .relay_batch(&told, news.until, BATCH_OF_SHARD, BATCH)
            .await?;
        // First, and whatever becomes of the sink: nobody waits for these.
        let last = store.relay_last(&passed_over, news.horizon).await?;
        self.advance(last).await?;
        let is_full = batch.len() >= BATCH_OF_SHARD as usize;
        if !batch.is_empty() {
            let reached = self.tell(&told, batch).await?;
            self.advance(reached).await?;
        }
        if is_full {
            return Ok(true);
        }
        self.all_told = if told.is_empty() { news.horizon } else { news.until };
        // Farther on than the window there may be more.
        Ok(self.all_told < news.horizon)
    }

    /// Tells events of shards that stand where `positions` says; returns how far they were told.
    async fn tell(
        &self,
        positions: &[RelayPosition],
        batch: Vec<RelayEvent>,
    ) -> Result<Vec<RelayPosition>, NotTaken> {
        let mut reached: HashMap<usize, EventPosition> = HashMap::new();
        let mut records = Vec::with_capacity(batch.len());
        for event in batch {
            // In the feed's order: the last one of a shard is the farthest.
            reached.insert(event.shard, event.position);
            records.push(event.record);
        }
        self.sink.deliver(&records).await?;
        let told = u64::try_from(records.len()).unwrap_or(u64::MAX);
        self.shared.relay.told.fetch_add(told, Ordering::Relaxed);
        let reached = reached.into_iter().filter_map(|(index, position)| {
            let lease = positions.get(index)?.lease;
            Some(RelayPosition { lease, position })
        });
        Ok(reached.collect())
    }

    /// Moves shards' positions.
    async fn advance(&mut self, moved: Vec<RelayPosition>) -> Result<(), StoreError> {
        let advanced = self.shared.store.relay_advance(&moved).await?;
        for reached in moved {
            let shard = (reached.lease.service, reached.lease.shard);
            if advanced.contains(&shard) {
                self.positions.insert(shard, reached);
            } else {
                // Somebody else's now, most likely; if not, it is read anew.
                self.positions.remove(&shard);
            }
        }
        Ok(())
    }

    /// Takes up the shards that this node has got and lets go of those that it has not any more.
    async fn follow_ownership(&mut self) -> Result<(), StoreError> {
        let leases: HashMap<(Service, ShardId), Lease> = self
            .shared
            .shards
            .all()
            .into_iter()
            .filter(|shard| shard.is_serving())
            .map(|shard| shard.lease())
            .map(|lease| ((lease.service, lease.shard), lease))
            .collect();
        self.positions
            .retain(|shard, known| leases.get(shard) == Some(&known.lease));
        let new: Vec<Lease> = leases
            .into_iter()
            .filter(|(shard, _)| !self.positions.contains_key(shard))
            .map(|(_, lease)| lease)
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let found = self.shared.store.relay_positions(&new).await?;
        let begin = self.shared.store.relay_begin(&found).await?;
        self.all_told = self.all_told.min(begin);
        let found = found.into_iter();
        self.positions
            .extend(found.map(|known| ((known.lease.service, known.lease.shard), known)));
        Ok(())
    }
}

/// Failures in a row of something that is tried for ever: the first one is worth a line in the log, and
/// so is its end.
#[derive(Debug, Default)]
struct Outage(u32);

impl Outage {
    /// Counts a failure; returns whether it is the first one, and how long to wait.
    fn failed(&mut self) -> (bool, Duration) {
        let failed = self.0;
        self.0 = failed.saturating_add(1);
        (failed == 0, pause(failed))
    }

    /// Notes a success; returns whether there was an outage, which is over then.
    fn ended(&mut self) -> bool {
        std::mem::take(&mut self.0) > 0
    }
}

/// Returns how long the relay to the node's own consumers rests after a round that took so long.
fn rest_of_own(took: Duration, is_more: bool) -> Duration {
    if is_more {
        took.saturating_mul(BACKLOG_REST).min(REST_MAX)
    } else {
        took.saturating_mul(CAUGHT_UP_REST).clamp(POLL, REST_MAX)
    }
}

/// Returns how long to wait after a number of failures in a row, with jitter: nodes that lost the
/// same sink should not come back to it all at once.
fn pause(failed: u32) -> Duration {
    let longest = PAUSE_MIN.saturating_mul(1 << failed.min(8)).min(PAUSE_MAX);
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outage_begins_with_a_line_in_the_log_and_a_short_pause() {
        let mut outage = Outage::default();
        assert!(!outage.ended());
        for _ in 0..2 {
            let (is_first, pause) = outage.failed();
            assert!(is_first && pause <= PAUSE_MIN, "{pause:?}");
            for _ in 0..20 {
                assert!(!outage.failed().0);
            }
            assert!(outage.failed().1 >= PAUSE_MAX / 2);
            assert!(outage.ended() && !outage.ended());
        }
    }

    #[test]
    fn longer_rounds_are_followed_by_longer_rests_up_to_a_bound() {
        let (short, long) = (Duration::from_millis(1), Duration::from_millis(20));
        assert_eq!(rest_of_own(short, false), POLL);
        assert_eq!(rest_of_own(long, false), long * CAUGHT_UP_REST);
        assert_eq!(rest_of_own(long, true), long * BACKLOG_REST);
        assert!(rest_of_own(long, true) < rest_of_own(long, false));
        assert_eq!(rest_of_own(Duration::MAX, true), REST_MAX);
        assert_eq!(rest_of_own(Duration::MAX, false), REST_MAX);
    }

    #[test]
    fn pauses_grow_and_stay_within_their_bounds() {
        for failed in [0, 1, 5, 8, 31, 32, u32::MAX] {
            let pause = pause(failed);
            assert!(pause >= PAUSE_MIN / 2 && pause <= PAUSE_MAX, "{pause:?}");
        }
        assert!(pause(0) <= PAUSE_MIN);
        assert!(pause(9) >= PAUSE_MAX / 2);
    }
}
