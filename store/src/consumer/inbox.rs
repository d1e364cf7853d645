//! The inbox: which events a consumer knows, and what each of them led to.

use holdfast_domain::EventId;
use serde::Serialize;
use uuid::Uuid;

use super::{
    StockAlert,
    alert::AlertColumns,
    letter::{self, Letter},
};
use crate::{EventRecord, Store, StoreError, decode};

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

/// An acceptance as the function takes it.
#[derive(Serialize)]
struct Columns<'a> {
    consumer: &'a str,
    event_id: EventId,
    subject: Uuid,
    sequence: i64,
    event: Letter,
    alert: Option<AlertColumns>,
    has_task: bool,
    refusal: Option<&'a str>,
}

impl<'a> From<&'a Acceptance<'_>> for Columns<'a> {
    fn from(acceptance: &'a Acceptance<'_>) -> Self {
        let event = &acceptance.event.event;
        Self {
            consumer: acceptance.consumer,
            event_id: event.id,
            subject: event.subject,
            sequence: event.sequence,
            event: letter::of(acceptance.event),
            alert: acceptance.alert.as_ref().map(AlertColumns::from),
            has_task: acceptance.consequence == Consequence::Task,
            refusal: match &acceptance.consequence {
                Consequence::Refused(why) => Some(why),
                Consequence::Nothing | Consequence::Task => None,
            },
        }
    }
}

impl Store {
    /// Takes events into consumers' inboxes with all that they lead to, in one transaction; returns
    /// which of them were news.
    ///
    /// Doing it again is harmless, whoever does it: the events' ids decide.
    pub async fn consumer_accept(&self, acceptances: &[Acceptance<'_>]) -> Result<Vec<bool>, StoreError> {
        let columns: Vec<Columns<'_>> = acceptances.iter().map(Columns::from).collect();
        let batch = decode::json(&columns)?;
        self.run(async |c| {
            sqlx::query_scalar!(r#"SELECT consumer_accept_all($1::text::jsonb) AS "news!""#, batch)
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
