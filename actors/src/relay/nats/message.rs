//! An event as a message.
//!
//! The payload is the `CloudEvent` in JSON, and `Nats-Msg-Id` the event's id: a repeat within the
//! stream's window is dropped by the server. What a `CloudEvent` does not say, but the shop's own
//! consumers keep beside an event, stands in two more headers.

use std::str::FromStr;

use async_nats::{HeaderMap, header::NATS_MESSAGE_ID};
use holdfast_domain::{Event, event::CloudEvent};
use holdfast_store::EventRecord;

/// Names the node that committed the event.
const NODE: &str = "Holdfast-Node";
/// The epoch under which it did.
const EPOCH: &str = "Holdfast-Epoch";

/// Writes an event as headers and payload.
pub(super) fn write(record: &EventRecord) -> Result<(HeaderMap, Vec<u8>), serde_json::Error> {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, record.event.id.to_string());
    headers.insert("Content-Type", "application/cloudevents+json");
    headers.insert(NODE, record.node.as_str());
    headers.insert(EPOCH, record.epoch.to_string());
    Ok((headers, serde_json::to_vec(&CloudEvent::from(&record.event))?))
}

/// Reads an event; `None`: it is none of this shop. Who committed it may be unknown.
pub(super) fn read(headers: Option<&HeaderMap>, payload: &[u8]) -> Option<EventRecord> {
    let cloud: CloudEvent = serde_json::from_slice(payload).ok()?;
    let header = |name| headers.and_then(|headers| headers.get(name));
    Some(EventRecord {
        event: Event::try_from(cloud).ok()?,
        node: header(NODE).map_or_else(String::new, |node| node.as_str().to_owned()),
        epoch: header(EPOCH)
            .and_then(|epoch| i64::from_str(epoch.as_str()).ok())
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{EventId, EventKind, JsonObject, Timestamp};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_event_survives_the_trip_and_so_does_who_committed_it() {
        let at = Timestamp::from_unix_micros(1_700_000_000_000_000);
        let record = EventRecord {
            event: Event {
                id: EventId::mint(at, [7; 10]),
                kind: EventKind::OrderExpired,
                subject: Uuid::from_u128(9),
                sequence: 3,
                at,
                actor_id: None,
                data: JsonObject::empty(),
                trace_id: None,
            },
            node: "n1".to_owned(),
            epoch: 7,
        };
        let (headers, payload) = write(&record).expect("JSON");
        assert_eq!(read(Some(&headers), &payload), Some(record.clone()));
        let bare = read(None, &payload).expect("an event");
        assert_eq!((bare.event, bare.epoch), (record.event, 0));
        assert_eq!(read(Some(&headers), b"{}"), None);
    }
}
