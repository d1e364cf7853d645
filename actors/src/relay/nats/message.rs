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

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is no event of this shop, and never will be.
    Foreign,
    /// It is an event of this shop that this release does not know.
    Unknown,
}

/// Reads an event. Who committed it may be unknown.
pub(super) fn read(headers: Option<&HeaderMap>, payload: &[u8]) -> Result<EventRecord, Unreadable> {
    let cloud: CloudEvent = serde_json::from_slice(payload).map_err(|_| Unreadable::Foreign)?;
    let is_of_this_shop = cloud.is_of_this_shop();
    let event = Event::try_from(cloud).map_err(|_| {
        if is_of_this_shop {
            Unreadable::Unknown
        } else {
            Unreadable::Foreign
        }
    })?;
    let header = |name| headers.and_then(|headers| headers.get(name));
    Ok(EventRecord {
        event,
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
        assert_eq!(read(Some(&headers), &payload), Ok(record.clone()));
        let bare = read(None, &payload).expect("an event");
        assert_eq!((bare.event, bare.epoch), (record.event, 0));
        assert_eq!(read(Some(&headers), b"{}"), Err(Unreadable::Foreign));
    }

    #[test]
    fn an_event_of_a_newer_release_is_told_from_a_foreign_one() {
        let of = |kind: &str| {
            let cloud = serde_json::json!({
                "specversion": "1.0", "id": Uuid::from_u128(1), "source": "/v1/orders", "type": kind,
                "subject": Uuid::from_u128(9), "time": "2026-11-25T10:20:30Z", "sequence": "1",
                "datacontenttype": "application/json", "data": {},
            });
            read(None, cloud.to_string().as_bytes())
        };
        assert!(of("dev.holdfast.order.placed.v1").is_ok());
        assert_eq!(of("dev.holdfast.order.gift_wrapped.v1"), Err(Unreadable::Unknown));
        assert_eq!(of("com.example.order.placed.v1"), Err(Unreadable::Foreign));
    }
}
