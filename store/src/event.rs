//! Events: the timeline of an aggregate, and the outbox from which it is told.

mod feed;
mod rebase;
mod relay;

use holdfast_domain::{Event, EventId, JsonObject, OrderId, Timestamp};
use serde::Serialize;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

pub use feed::{EventPosition, FeedEvent, FeedLimit, FeedPage, UnknownPosition};
pub use relay::{RELAY_LAG_MAX, RelayEvent, RelayHorizon, RelayLag, RelayNews, RelayPosition, RelayStanding};

use crate::{Page, PageRequest, Store, StoreError, decode};

/// An event to be written in the same commit as what it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventWrite {
    /// The event.
    pub event: Event,
    /// The epoch of the lease under which its subject is written.
    pub epoch: i64,
}

/// An event as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The event.
    pub event: Event,
    /// The name of the node that committed it.
    pub node: String,
    /// The epoch under which it did.
    pub epoch: i64,
}

/// Writes events as the fenced functions take them.
pub(crate) fn json(events: &[Event]) -> Result<String, StoreError> {
    #[derive(Serialize)]
    struct Columns<'a> {
        aggregate: &'static str,
        subject: Uuid,
        sequence: i64,
        kind: &'static str,
        event_id: EventId,
        at: Timestamp,
        actor_id: Option<Uuid>,
        data: &'a JsonObject,
        trace_id: Option<&'a str>,
    }
    let rows: Vec<_> = events
        .iter()
        .map(|event| Columns {
            aggregate: event.kind.aggregate().as_str(),
            subject: event.subject,
            sequence: event.sequence,
            kind: event.kind.as_str(),
            event_id: event.id,
            at: event.at,
            actor_id: event.actor_id,
            data: &event.data,
            trace_id: event.trace_id.as_deref(),
        })
        .collect();
    decode::json(&rows)
}

struct EventRow {
    event_id: Uuid,
    kind: String,
    subject: Uuid,
    sequence: i64,
    at: OffsetDateTime,
    actor_id: Option<Uuid>,
    data: Json<JsonObject>,
    trace_id: Option<String>,
    node: String,
    epoch: i64,
}

impl TryFrom<EventRow> for EventRecord {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        Ok(Self {
            event: Event {
                id: EventId(row.event_id),
                kind: decode::parsed("event.kind", &row.kind)?,
                subject: row.subject,
                sequence: row.sequence,
                at: row.at.into(),
                actor_id: row.actor_id,
                data: row.data.0,
                trace_id: row.trace_id,
            },
            node: row.node,
            epoch: row.epoch,
        })
    }
}

impl Store {
    /// Lists an order's events, oldest first; a page's key is the sequence.
    pub async fn order_events(
        &self,
        order_id: OrderId,
        request: &PageRequest<i64>,
    ) -> Result<Page<EventRecord, i64>, StoreError> {
        let rows = self
            .run(async |c| {
                sqlx::query_as!(
                    EventRow,
                    r#"SELECT event_id, kind, subject, sequence, at, actor_id,
                              data AS "data: Json<JsonObject>", trace_id, node, epoch
                       FROM event
                       WHERE aggregate = 'order' AND subject = $1 AND sequence > $2
                       ORDER BY sequence LIMIT $3"#,
                    order_id.0,
                    request.after.unwrap_or(0),
                    request.probe(),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        let events = rows
            .into_iter()
            .map(EventRecord::try_from)
            .collect::<Result<_, _>>()?;
        Ok(request.page(events, |record: &EventRecord| record.event.sequence))
    }
}
