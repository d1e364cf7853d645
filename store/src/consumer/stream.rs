//! How far a stream that others keep was read.

use crate::{Store, StoreError};

/// A stream of messages that are numbered from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamName {
    /// Its name.
    pub name: String,
    /// What tells it from another one of that name, made after this one was lost.
    pub incarnation: String,
}

impl Store {
    /// Returns the number of the last message of a stream that was taken in, or 0; `last` is the
    /// number of the last one that the stream has.
    pub async fn stream_position(&self, stream: &StreamName, last: u64) -> Result<u64, StoreError> {
        let sequence = self
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"SELECT stream_position_begin($1, $2, $3) AS "sequence!""#,
                    stream.name,
                    stream.incarnation,
                    number(last),
                )
                .fetch_one(c)
                .await
            })
            .await?;
        u64::try_from(sequence).map_err(|_| StoreError::corrupt("stream_position.sequence"))
    }

    /// Notes that a stream's messages up to number `sequence` were taken in. Never goes back.
    pub async fn stream_advance(&self, stream: &StreamName, sequence: u64) -> Result<(), StoreError> {
        self.run(async |c| {
            sqlx::query!(
                "SELECT stream_position_advance($1, $2, $3)",
                stream.name,
                stream.incarnation,
                number(sequence),
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }
}

fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
