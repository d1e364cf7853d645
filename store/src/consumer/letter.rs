//! How an event is kept beside a task or a dead letter: whole, and in words that people read.

use holdfast_domain::{Event, EventId, JsonObject, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{EventRecord, StoreError, decode};

/// An event in those words.
#[derive(Serialize, Deserialize)]
pub(super) struct Letter {
    event_id: EventId,
    kind: String,
    subject: Uuid,
    sequence: i64,
    at: Timestamp,
    actor_id: Option<Uuid>,
    data: JsonObject,
    trace_id: Option<String>,
    node: String,
    epoch: i64,
}

/// Puts an event into those words.
pub(super) fn of(record: &EventRecord) -> Letter {
    let event = &record.event;
    Letter {
        event_id: event.id,
        kind: event.kind.as_str().to_owned(),
        subject: event.subject,
        sequence: event.sequence,
        at: event.at,
        actor_id: event.actor_id,
        data: event.data.clone(),
        trace_id: event.trace_id.clone(),
        node: record.node.clone(),
        epoch: record.epoch,
    }
}

/// Reads an event that was kept so, also by another release.
pub(super) fn read(text: &str) -> Result<EventRecord, StoreError> {
    let letter: Letter = serde_json::from_str(text).map_err(StoreError::corrupt)?;
    Ok(EventRecord {
        event: Event {
            id: letter.event_id,
            kind: decode::parsed("kind", &letter.kind)?,
            subject: letter.subject,
            sequence: letter.sequence,
            at: letter.at,
            actor_id: letter.actor_id,
            data: letter.data,
            trace_id: letter.trace_id,
        },
        node: letter.node,
        epoch: letter.epoch,
    })
}
