//! What consumers have before them, for those who watch over it.

use crate::{Store, StoreError};

/// What one consumer has yet to do, and what it could not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerBacklog {
    /// The consumer's name.
    pub consumer: String,
    /// Tasks that are not done.
    pub waiting: u64,
    /// How long ago the oldest of them was made, in milliseconds; 0 if there is none.
    pub oldest_ms: u64,
    /// Events with which it could do nothing, and about which nobody has decided.
    pub dead_letters: u64,
}

impl Store {
    /// Measures what consumers have before them; those that have nothing are left out.
    pub async fn consumer_backlogs(&self) -> Result<Vec<ConsumerBacklog>, StoreError> {
        let rows = self
            .run(async |c| {
                sqlx::query!(
                    r#"SELECT coalesce(task.consumer, letter.consumer) AS "consumer!",
                              coalesce(task.waiting, 0) AS "waiting!", coalesce(task.oldest_ms, 0) AS "oldest_ms!",
                              coalesce(letter.dead_letters, 0) AS "dead_letters!"
                       FROM (SELECT consumer, count(*) AS waiting,
                                    ceil(extract(epoch FROM clock_timestamp() - min(made_at)) * 1000)::bigint
                                        AS oldest_ms
                             FROM consumer_task GROUP BY consumer) AS task
                       FULL JOIN (SELECT consumer, count(*) AS dead_letters
                                  FROM dead_letter GROUP BY consumer) AS letter USING (consumer)
                       ORDER BY 1"#
                )
                .fetch_all(c)
                .await
            })
            .await?;
        let backlogs = rows.into_iter().map(|row| ConsumerBacklog {
            consumer: row.consumer,
            waiting: row.waiting.unsigned_abs(),
            oldest_ms: row.oldest_ms.max(0).unsigned_abs(),
            dead_letters: row.dead_letters.unsigned_abs(),
        });
        Ok(backlogs.collect())
    }
}
