//! Tasks: what consumers have yet to do outside of the database.

use std::time::Duration;

use holdfast_domain::{EventId, NodeId};

use super::letter;
use crate::{EventRecord, Store, StoreError, decode};

/// A task that a node has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerTask {
    /// Whose task, and which attempt at it.
    pub attempt: TaskAttempt,
    /// The event, as JSON text.
    text: String,
}

/// One attempt at a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskAttempt {
    /// The consumer's name.
    pub consumer: String,
    /// The event that led to the task.
    pub event_id: EventId,
    /// Who makes the attempt.
    pub node_id: NodeId,
    /// Counts the attempts, from 1.
    pub number: u32,
}

impl ConsumerTask {
    /// Reads the event.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: it is not what this release knows.
    pub fn event(&self) -> Result<EventRecord, StoreError> {
        letter::read(&self.text)
    }
}

impl Store {
    /// Takes up to `limit` tasks of these consumers that are due, for no longer than `hold`.
    ///
    /// Of one subject's tasks only the first is taken. A task is due again once it was held for too
    /// long, or when the node that holds it is no member any more.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: the node is no active member.
    pub async fn consumer_tasks_take(
        &self,
        node_id: NodeId,
        consumers: &[&str],
        hold: Duration,
        limit: u32,
    ) -> Result<Vec<ConsumerTask>, StoreError> {
        let rows = self
            .run(async |c| {
                sqlx::query!(
                    r#"SELECT consumer AS "consumer!", event_id AS "event_id!", event AS "event!",
                              attempts AS "attempts!"
                       FROM consumer_tasks_take($1, $2, $3, $4)"#,
                    node_id.0,
                    consumers as &[&str],
                    millis(hold),
                    i64::from(limit),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(ConsumerTask {
                    attempt: TaskAttempt {
                        consumer: row.consumer,
                        event_id: EventId(row.event_id),
                        node_id,
                        number: decode::count("consumer_task.attempts", row.attempts)?,
                    },
                    text: row.event,
                })
            })
            .collect()
    }

    /// Ends a task that was done.
    pub async fn consumer_task_done(&self, attempt: &TaskAttempt) -> Result<(), StoreError> {
        self.run(async |c| {
            sqlx::query!(
                "SELECT consumer_task_done($1, $2)",
                attempt.consumer,
                attempt.event_id.0,
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }

    /// Puts a task off after an attempt that failed; returns whether the attempt still counted.
    pub async fn consumer_task_failed(
        &self,
        attempt: &TaskAttempt,
        error: &str,
        pause: Duration,
    ) -> Result<bool, StoreError> {
        self.run(async |c| {
            sqlx::query_scalar!(
                r#"SELECT consumer_task_failed($1, $2, $3, $4, $5, $6) AS "counted!""#,
                attempt.consumer,
                attempt.event_id.0,
                attempt.node_id.0,
                number(attempt),
                error,
                millis(pause),
            )
            .fetch_one(c)
            .await
        })
        .await
    }

    /// Makes a task that cannot be done a dead letter; returns whether the attempt still counted.
    pub async fn consumer_task_dead(&self, attempt: &TaskAttempt, error: &str) -> Result<bool, StoreError> {
        self.run(async |c| {
            sqlx::query_scalar!(
                r#"SELECT consumer_task_dead($1, $2, $3, $4, $5) AS "counted!""#,
                attempt.consumer,
                attempt.event_id.0,
                attempt.node_id.0,
                number(attempt),
                error,
            )
            .fetch_one(c)
            .await
        })
        .await
    }

    /// Counts the tasks of a consumer, or of all, that are not done yet.
    pub async fn consumer_tasks_waiting(&self, consumer: Option<&str>) -> Result<u64, StoreError> {
        let waiting = self
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"SELECT count(*) AS "waiting!" FROM consumer_task
                       WHERE $1::text IS NULL OR consumer = $1"#,
                    consumer,
                )
                .fetch_one(c)
                .await
            })
            .await?;
        Ok(waiting.unsigned_abs())
    }
}

fn number(attempt: &TaskAttempt) -> i32 {
    i32::try_from(attempt.number).unwrap_or(i32::MAX)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
