//! A process's lane: the queue of production, and a task for each commit.

use std::{sync::Arc, time::Duration};

use holdfast_store::{Batch, Committed, StoreError};
use tokio::sync::mpsc;

use super::Process;
use crate::lane::{
    Barriers, BatchEnd, Intent, LaneError, LaneIdentity, LaneLimits, LaneMessage, LaneQueue, Ticket,
};

/// Small, so that batches are cut and queues overflow now and then.
const LIMITS: LaneLimits = LaneLimits {
    batch_intents: 4,
    batch_bytes: 64 * 1024,
    waiting_intents: 64,
    waiting_bytes: 1024 * 1024,
    heads: 2,
};
/// The pause before a commit whose outcome is unknown is sent again.
const AGAIN: Duration = Duration::from_millis(20);

pub(super) async fn run(process: Arc<Process>, mut messages: mpsc::UnboundedReceiver<LaneMessage>) {
    let identity = LaneIdentity {
        node_id: process.id,
        lane: 0,
    };
    let mut queue = LaneQueue::<Ticket>::new(identity, LIMITS);
    let mut barriers = Barriers::default();
    while let Some(message) = messages.recv().await {
        match message {
            LaneMessage::Submit(intent, ticket) => submit(&mut queue, *intent, ticket),
            LaneMessage::Ended(end) => {
                for (ticket, settled) in queue.ended(&end) {
                    ticket.settle(settled);
                }
                barriers.release(&queue);
            }
            LaneMessage::Barrier(product, passed) => barriers.wait(product, passed, &queue),
            LaneMessage::Failed => return,
        }
        let batch_id = holdfast_domain::id::uuid_v7(process.world.database.clock(), process.world.entropy());
        if let Some(batch) = queue.next_batch(batch_id) {
            let committing = Arc::clone(&process);
            process.spawn(async move {
                let end = committing.commit_batch(batch).await;
                let _ = committing.lane.send(LaneMessage::Ended(end));
            });
        }
    }
}

fn submit(queue: &mut LaneQueue<Ticket>, intent: Intent, ticket: Ticket) {
    if let Err(ticket) = queue.submit(intent, ticket) {
        ticket.settle(Err(LaneError::Overloaded));
    }
}

impl Process {
    /// Commits a batch, asking again while the outcome is unknown.
    async fn commit_batch(&self, batch: Batch) -> BatchEnd {
        loop {
            let sent = batch.clone();
            let answer = self
                .world
                .database
                .ask(self.node, move |model, _| model.lane_commit(&sent));
            let answer: Result<Committed, StoreError> = match answer.await {
                Ok(answer) => answer,
                Err(no_answer) => Err(no_answer.into()),
            };
            match BatchEnd::of(answer) {
                Ok(end) => {
                    if matches!(end, BatchEnd::Committed) {
                        for write in &batch.stock {
                            self.world
                                .database
                                .heard(write.level.product_id, write.level.version);
                        }
                    }
                    self.note(|| format!("{}: {end:?}", summary(&batch)));
                    return end;
                }
                Err(error) => {
                    self.note(|| format!("{}: {error}", summary(&batch)));
                    self.world.executor.sleep(AGAIN).await;
                }
            }
        }
    }
}

/// Tells in a few words what a batch writes.
fn summary(batch: &Batch) -> String {
    let id = batch.batch_id.simple().to_string();
    let stock = batch.stock.iter().map(|write| {
        let (level, id) = (write.level, write.level.product_id.0.simple().to_string());
        format!(
            "{} {}/{} v{}",
            &id[28..],
            level.reserved,
            level.on_hand,
            level.version
        )
    });
    let orders = batch.orders.iter().map(|write| {
        let id = write.record.order.id.0.simple().to_string();
        format!(
            "{} {:?}->{:?}",
            &id[24..],
            write.expected,
            short(&write.record.state)
        )
    });
    let (stock, orders) = (stock.collect::<Vec<_>>(), orders.collect::<Vec<_>>());
    format!("batch {} stock {stock:?} orders {orders:?}", &id[28..])
}

fn short(state: &holdfast_store::OrderState) -> &'static str {
    match state {
        holdfast_store::OrderState::Placing { .. } => "placing",
        holdfast_store::OrderState::Placed => "placed",
        holdfast_store::OrderState::Refused(_) => "refused",
    }
}
