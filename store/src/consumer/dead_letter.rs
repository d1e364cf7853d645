//! Dead letters: events with which a consumer could do nothing, until an operator has decided.

use holdfast_domain::{EventId, Timestamp};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Page, PageRequest, Store, StoreError, decode};

/// An event with which a consumer could do nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The consumer's name.
    pub consumer: String,
    /// The event's id.
    pub event_id: EventId,
    /// What happened, such as `order.placed`.
    pub kind: String,
    /// What it happened to.
    pub subject: Uuid,
    /// The event, as JSON text.
    pub event: String,
    /// What stood against it the last time.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it failed first.
    pub first_failed_at: Timestamp,
    /// When it failed last.
    pub last_failed_at: Timestamp,
}

/// What a page of dead letters goes on after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterKey {
    /// The event's id.
    pub event_id: EventId,
    /// The consumer's name.
    pub consumer: String,
}

/// Which dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Those of this consumer; `None`: of all.
    pub consumer: Option<String>,
    /// Those of this event; `None`: of all.
    pub event_id: Option<EventId>,
}

struct DeadLetterRow {
    consumer: String,
    event_id: Uuid,
    kind: Option<String>,
    subject: Uuid,
    event: String,
    error: String,
    attempts: i32,
    first_failed_at: OffsetDateTime,
    last_failed_at: OffsetDateTime,
}

impl TryFrom<DeadLetterRow> for DeadLetter {
    type Error = StoreError;

    fn try_from(row: DeadLetterRow) -> Result<Self, StoreError> {
        Ok(Self {
            consumer: row.consumer,
            event_id: EventId(row.event_id),
            kind: row.kind.unwrap_or_default(),
            subject: row.subject,
            event: row.event,
            error: row.error,
            attempts: decode::count("dead_letter.attempts", row.attempts)?,
            first_failed_at: row.first_failed_at.into(),
            last_failed_at: row.last_failed_at.into(),
        })
    }
}

impl Store {
    /// Lists dead letters, those of the newest events first.
    pub async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        request: &PageRequest<DeadLetterKey>,
    ) -> Result<Page<DeadLetter, DeadLetterKey>, StoreError> {
        let after = request.after.as_ref();
        let rows = self
            .run(async |c| {
                sqlx::query_as!(
                    DeadLetterRow,
                    r#"SELECT consumer, event_id, event ->> 'kind' AS kind, subject, event::text AS "event!",
                              error, attempts, first_failed_at, last_failed_at
                       FROM dead_letter
                       WHERE ($1::text IS NULL OR consumer = $1) AND ($2::uuid IS NULL OR event_id = $2)
                         AND ($3::uuid IS NULL OR (event_id, consumer) < ($3, $4::text))
                       ORDER BY event_id DESC, consumer DESC LIMIT $5"#,
                    filter.consumer,
                    filter.event_id.map(|id| id.0) as Option<Uuid>,
                    after.map(|key| key.event_id.0) as Option<Uuid>,
                    after.map(|key| key.consumer.as_str()) as Option<&str>,
                    request.probe(),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        let letters = rows
            .into_iter()
            .map(DeadLetter::try_from)
            .collect::<Result<_, _>>()?;
        Ok(request.page(letters, |letter: &DeadLetter| DeadLetterKey {
            event_id: letter.event_id,
            consumer: letter.consumer.clone(),
        }))
    }

    /// Makes tasks of up to `limit` dead letters that died before `before`; returns of how many.
    pub async fn dead_letters_retry(
        &self,
        filter: &DeadLetterFilter,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let moved = self
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"SELECT dead_letters_retry($1, $2, $3, $4) AS "moved!""#,
                    filter.consumer.as_deref(),
                    filter.event_id.map(|id| id.0) as Option<Uuid>,
                    decode::instant(before),
                    i64::from(limit),
                )
                .fetch_one(c)
                .await
            })
            .await?;
        Ok(moved.unsigned_abs())
    }

    /// Deletes up to `limit` dead letters that died before `before`; returns how many.
    pub async fn dead_letters_drop(
        &self,
        filter: &DeadLetterFilter,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let dropped = self
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"SELECT dead_letters_drop($1, $2, $3, $4) AS "dropped!""#,
                    filter.consumer.as_deref(),
                    filter.event_id.map(|id| id.0) as Option<Uuid>,
                    decode::instant(before),
                    i64::from(limit),
                )
                .fetch_one(c)
                .await
            })
            .await?;
        Ok(dropped.unsigned_abs())
    }
}
