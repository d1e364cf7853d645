//! The inbox: which events a consumer knows, and what each of them led to.

use super::{StockAlert, letter};
use crate::{EventRecord, Store, StoreError};

/// An event to be taken into a consumer's inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance<'a> {
    /// The consumer's name.
    pub consumer: &'a str,
    /// The event.
    pub event: &'a EventRecord,
    /// An alert to be kept.
    pub alert: Option<StockAlert>,
    /// What else the event leads to.
    pub consequence: Consequence,
}

/// What an event leads to outside of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing.
    Nothing,
    /// Something that is to be done.
    Task,
    /// Nothing, for this reason: it becomes a dead letter.
    Refused(String),
}

impl Store {
    /// Takes an event into a consumer's inbox, with all that it leads to; returns whether it was news.
    ///
    /// Doing it again is harmless, whoever does it: the event's id decides.
    pub async fn consumer_accept(&self, acceptance: &Acceptance<'_>) -> Result<bool, StoreError> {
        let Acceptance {
            consumer,
            event: record,
            alert,
            consequence,
        } = acceptance;
        let text = letter::write(record)?;
        let alert = alert.as_ref().map(StockAlert::json).transpose()?;
        let refusal = match consequence {
            Consequence::Refused(why) => Some(why.as_str()),
            Consequence::Nothing | Consequence::Task => None,
        };
        self.run(async |c| {
            sqlx::query_scalar!(
                r#"SELECT consumer_accept($1, $2, $3, $4, $5::text::jsonb, $6::text::jsonb, $7, $8) AS "is_news!""#,
                *consumer,
                record.event.id.0,
                record.event.subject,
                record.event.sequence,
                text,
                alert,
                *consequence == Consequence::Task,
                refusal,
            )
            .fetch_one(c)
            .await
        })
        .await
    }

    /// Deletes up to `limit` rows of inboxes that are older than seven days; returns how many.
    pub async fn inbox_purge(&self, limit: u32) -> Result<u64, StoreError> {
        let purged = self
            .run(async |c| {
                sqlx::query_scalar!(r#"SELECT inbox_purge($1) AS "purged!""#, i64::from(limit))
                    .fetch_one(c)
                    .await
            })
            .await?;
        Ok(purged.unsigned_abs())
    }
}
