//! The lane: where a node's decisions about stock and orders become durable.
//!
//! Entities decide in memory and submit an [`Intent`]; one commit is in flight, and what queues
//! meanwhile becomes the next batch. A reply rests on the commit: the products concerned are told
//! first, then whoever waits.
//!
//! *Invariant*: a commit whose outcome is unknown is asked again under the same batch id until
//! Postgres has answered. Nothing is ever told from memory.

mod assembly;
mod barrier;
mod blame;
mod intent;
mod queue;
#[cfg(test)]
mod tests;
mod thread;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_domain::{ProductId, StockLevel};
use holdfast_store::{Batch, Store};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use tracing::{Instrument, Span};
use uuid::Uuid;

pub(crate) use barrier::Barriers;
pub(crate) use intent::{Intent, LaneError, OperationIntent, Remembered, StockIntent};
pub(crate) use queue::{BatchEnd, LaneIdentity, LaneLimits, LaneQueue};
pub(crate) use thread::LaneThread;

use crate::{clock::PgClock, metrics::Metrics, product::Hold, trace::TraceParent};

/// The longest wait between two attempts at a commit whose outcome is unknown.
const RETRY_MAX: Duration = Duration::from_millis(500);

/// What the lane receives.
pub(crate) enum LaneMessage {
    /// An entity wants something committed.
    Submit(Box<Intent>, Ticket),
    /// The batch in flight has ended.
    Ended(BatchEnd),
    /// Somebody wants to know when all that was submitted before about a product's stock is durable or refused.
    Barrier(ProductId, oneshot::Sender<()>),
    /// The task that committed has failed; what became of its batch is unknown.
    Failed,
}

impl ractor::Message for LaneMessage {}

/// What waits for an intent: the holds that it uses up, and whoever asked.
pub(crate) struct Ticket {
    /// One for each stock intent, in their order.
    holds: Vec<Hold>,
    submitted_at: Instant,
    reply: oneshot::Sender<Result<Vec<StockLevel>, LaneError>>,
}

impl Ticket {
    pub(crate) fn new(holds: Vec<Hold>, reply: oneshot::Sender<Result<Vec<StockLevel>, LaneError>>) -> Self {
        Self {
            holds,
            submitted_at: Instant::now(),
            reply,
        }
    }

    pub(crate) fn settle(self, settled: Result<Vec<StockLevel>, LaneError>) {
        match &settled {
            Ok(levels) => {
                for (hold, level) in self.holds.into_iter().zip(levels) {
                    hold.committed(*level);
                }
            }
            // Dropping the holds gives the units back.
            Err(error) => self.holds.into_iter().for_each(|hold| hold.failed(error)),
        }
        // Fails only if the caller has stopped waiting; the commit stands all the same.
        let _ = self.reply.send(settled);
    }
}

/// Submits an intent and waits until it is durable or refused.
///
/// `holds` are the promises that the intent uses up, one for each of its stock intents.
pub(crate) async fn commit(
    lane: &ActorRef<LaneMessage>,
    mut intent: Intent,
    holds: Vec<Hold>,
) -> Result<Vec<StockLevel>, Fault> {
    // From here to the answer: what the intent waits for the batches before it, and its own.
    let span = tracing::info_span!("commit");
    intent.trace = TraceParent::of(&span);
    let (reply, answer) = oneshot::channel();
    let ticket = Ticket::new(holds, reply);
    lane.send_message(LaneMessage::Submit(Box::new(intent), ticket))
        .map_err(|_| Fault::Lost)?;
    let answer = answer.instrument(span).await;
    answer.map_err(|_| Fault::Lost)?.map_err(Fault::Lane)
}

/// Submits an intent, and answers what it hopes for: what a lane without an output gate would do.
#[cfg(feature = "fault-points")]
pub(crate) fn submit(
    lane: &ActorRef<LaneMessage>,
    intent: Intent,
    holds: Vec<Hold>,
) -> Result<Vec<StockLevel>, Fault> {
    let hoped_for = intent.hoped_for();
    let (reply, _) = oneshot::channel();
    lane.send_message(LaneMessage::Submit(Box::new(intent), Ticket::new(holds, reply)))
        .map_err(|_| Fault::Lost)?;
    Ok(hoped_for)
}

/// Waits until everything that was submitted before about a product's stock is durable or refused.
pub(crate) async fn barrier(lane: &ActorRef<LaneMessage>, product: ProductId) {
    let (passed, waiting) = oneshot::channel();
    if lane.send_message(LaneMessage::Barrier(product, passed)).is_ok() {
        // An error: the lane is gone, and with it all that it had.
        let _ = waiting.await;
    }
}

/// Why a commit did not happen, or may not have.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The lane is gone; the outcome is unknown.
    Lost,
    /// The lane refused; nothing was written.
    Lane(LaneError),
}

/// The lane's actor.
pub(crate) struct Lane {
    pub(crate) store: Store,
    pub(crate) clock: Arc<PgClock>,
    pub(crate) identity: LaneIdentity,
    pub(crate) limits: LaneLimits,
    pub(crate) metrics: Metrics,
}

impl Actor for Lane {
    type Msg = LaneMessage;
    type State = (LaneQueue<Ticket>, Barriers);
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<LaneMessage>, (): ()) -> Result<Self::State, ActorProcessingErr> {
        let queue = LaneQueue::new(self.identity.clone(), self.limits);
        Ok((queue, Barriers::default()))
    }

    async fn handle(
        &self,
        myself: ActorRef<LaneMessage>,
        message: LaneMessage,
        (queue, barriers): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let has_ended = matches!(message, LaneMessage::Ended(_));
        let mut settled = Vec::new();
        match message {
            LaneMessage::Submit(intent, ticket) => {
                if let Err(ticket) = queue.submit(*intent, ticket) {
                    self.metrics.lane.overloaded();
                    ticket.settle(Err(LaneError::Overloaded));
                }
            }
            LaneMessage::Ended(end) => settled = queue.ended(&end),
            LaneMessage::Barrier(product, passed) => barriers.wait(product, passed, queue),
            LaneMessage::Failed => return Err("the task that committed has failed".into()),
        }
        if queue.is_due() {
            self.send(&myself, queue);
            if !settled.is_empty() {
                // Mostly the batch is on its way then: Postgres works on it while callers of the last one are told.
                tokio::task::yield_now().await;
            }
        }
        for (ticket, settled) in settled {
            ticket.settle(settled);
        }
        if has_ended {
            barriers.release(queue);
        }
        self.metrics.lane.waiting(queue.waiting());
        Ok(())
    }
}

impl Lane {
    /// Sends the next batch.
    fn send(&self, myself: &ActorRef<LaneMessage>, queue: &mut LaneQueue<Ticket>) {
        let batch_id = holdfast_domain::id::uuid_v7(self.clock.now(), rand::random());
        let Some(batch) = queue.next_batch(batch_id) else {
            return;
        };
        let waited = queue.in_flight().map(|ticket| ticket.submitted_at.elapsed());
        self.metrics.lane.sent(waited);
        let (store, metrics) = (self.store.clone(), self.metrics.clone());
        let span = batch_span(batch_id, &queue.traces());
        let committing = commit_batch(store, batch, myself.clone(), metrics).instrument(span);
        let committing = tokio::spawn(committing);
        let myself = myself.clone();
        tokio::spawn(async move {
            if committing.await.is_err() {
                let _ = myself.send_message(LaneMessage::Failed);
            }
        });
    }
}

/// Makes the span of a batch's commit: a part of the first intent's trace, and linked to all others.
fn batch_span(batch_id: Uuid, members: &[TraceParent]) -> Span {
    let span = tracing::info_span!(parent: None, "batch", id = %batch_id, intents = members.len());
    if let Some((first, others)) = members.split_first() {
        first.adopt(&span);
        for other in others {
            other.link(&span);
        }
    }
    span
}

/// Commits a batch, asking again while the outcome is unknown, for as long as the lane lives.
async fn commit_batch(store: Store, batch: Batch, lane: ActorRef<LaneMessage>, metrics: Metrics) {
    let began = Instant::now();
    let mut pause = Duration::from_millis(10);
    let end = loop {
        match BatchEnd::of(store.lane_commit(&batch).await) {
            Ok(end) => break end,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a commit's outcome is unknown"
                );
                metrics.lane.unknown();
                if lane.get_status() >= ractor::ActorStatus::Stopping {
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
    };
    metrics.lane.ended(&end, began.elapsed());
    if matches!(end, BatchEnd::Committed) {
        metrics.sales.committed(&batch);
    }
    // Fails only if the lane is gone, and with it everyone who waited.
    let _ = lane.send_message(LaneMessage::Ended(end));
}
