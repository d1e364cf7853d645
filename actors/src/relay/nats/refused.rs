//! Events that NATS will never take as they are, because they are too large for it.
//!
//! Waiting would hold up all that the node relays. Such an event becomes a dead letter under the name
//! of a consumer of its own, and the relay goes on. The shop's own consumers, which are fed from the
//! stream, are told of it here. An operator who has raised the limit has it tried again.

use std::{slice, sync::atomic::Ordering, time::Duration};

use holdfast_store::{Acceptance, Consequence, ConsumerTask, EventRecord, StoreError};

use super::{Nats, publish::Published};
use crate::{
    consumer::{NATS as CONSUMER, told_dead},
    relay::NotTaken,
};

/// How often it is looked for events that are to be tried again.
const POLL: Duration = Duration::from_secs(1);
/// Events that are tried again at once.
const AT_ONCE: u32 = 16;
/// How long a node may take over them.
const HOLD: Duration = Duration::from_mins(2);
/// How often an event is tried again while NATS neither takes nor refuses it.
const ATTEMPTS: u32 = 20;
/// The pause after such an attempt.
const PAUSE: Duration = Duration::from_secs(30);

impl Nats {
    /// Makes an event a dead letter, once, and tells the shop's own consumers of it.
    pub(super) async fn set_aside(&self, record: &EventRecord, why: String) -> Result<(), NotTaken> {
        let acceptance = Acceptance {
            consumer: CONSUMER,
            event: record,
            alert: None,
            consequence: Consequence::Refused(why.clone()),
        };
        let news = self.shared.store.consumer_accept(&[acceptance]).await;
        let news =
            news.map_err(|error| NotTaken::from_error("the database did not take a dead letter", error))?;
        if news == [true] {
            self.shared.relay.refused.fetch_add(1, Ordering::Relaxed);
            told_dead(CONSUMER, record, &why);
        }
        self.consumers.deliver(slice::from_ref(record)).await
    }

    /// Tries dead letters again that an operator has asked for, for as long as the node runs.
    pub(super) async fn try_refused_again(&self) {
        loop {
            tokio::time::sleep(POLL).await;
            if self.expect_connected().is_err() || !self.shared.is_serving() || self.shared.is_draining() {
                continue;
            }
            if let Err(error) = self.try_some_again().await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "events that NATS refused wait for the database"
                );
            }
        }
    }

    async fn try_some_again(&self) -> Result<(), StoreError> {
        let (store, node_id) = (&self.shared.store, self.shared.node_id);
        let tasks = store
            .consumer_tasks_take(node_id, &[CONSUMER], HOLD, AT_ONCE)
            .await?;
        for task in tasks {
            self.try_again(&task).await?;
        }
        Ok(())
    }

    async fn try_again(&self, task: &ConsumerTask) -> Result<(), StoreError> {
        let (store, attempt) = (&self.shared.store, &task.attempt);
        let record = match task.event() {
            Ok(record) => record,
            Err(error) => {
                return store
                    .consumer_task_dead(attempt, &error.to_string())
                    .await
                    .map(drop);
            }
        };
        match self.publish(&record).await {
            Ok(Published::Kept) => store.consumer_task_done(attempt).await,
            Ok(Published::Refused(why)) => {
                told_dead(CONSUMER, &record, &why);
                store.consumer_task_dead(attempt, &why).await.map(drop)
            }
            Err(error) if attempt.number >= ATTEMPTS => {
                let why = error.to_string();
                told_dead(CONSUMER, &record, &why);
                store.consumer_task_dead(attempt, &why).await.map(drop)
            }
            Err(error) => {
                let why = error.to_string();
                store.consumer_task_failed(attempt, &why, PAUSE).await.map(drop)
            }
        }
    }
}
