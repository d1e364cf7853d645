//! `CloudEvents` 1.0: the form in which events leave the shop.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Aggregate, Event, EventKind};
use crate::{EventId, JsonObject, Timestamp};

/// The version of `CloudEvents` that is written and read.
const SPEC_VERSION: &str = "1.0";
const TYPE_PREFIX: &str = "dev.holdfast.";
/// The version of what `data` means. A change that old readers cannot take makes a new one.
const TYPE_SUFFIX: &str = ".v1";

/// An event as a `CloudEvents` 1.0 object in JSON, for every way by which it leaves.
///
/// `source` and `subject` together are the path of what it happened to, but for stock, whose product
/// they name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudEvent {
    specversion: String,
    id: EventId,
    source: String,
    r#type: String,
    subject: Uuid,
    time: Timestamp,
    /// The version in 19 digits, so that it is ordered as text, which the extension asks for.
    sequence: String,
    datacontenttype: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actorid: Option<Uuid>,
    data: JsonObject,
}

/// A `CloudEvents` object that no shop of this version wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event of this shop: `{0}` cannot be read")]
pub struct ForeignEvent(&'static str);

impl CloudEvent {
    /// Tells whether the type is of this shop, be it one that this release does not know.
    pub fn is_of_this_shop(&self) -> bool {
        self.r#type.starts_with(TYPE_PREFIX)
    }
}

impl Aggregate {
    /// Returns the path under which its things are found.
    pub const fn source(self) -> &'static str {
        match self {
            Self::User => "/v1/users",
            Self::Product | Self::Stock => "/v1/products",
            Self::Order => "/v1/orders",
        }
    }
}

impl EventKind {
    /// Returns the type by which others know the kind, such as `dev.holdfast.order.placed.v1`.
    pub fn cloud_type(self) -> String {
        format!("{TYPE_PREFIX}{self}{TYPE_SUFFIX}")
    }
}

impl From<&Event> for CloudEvent {
    fn from(event: &Event) -> Self {
        Self {
            specversion: SPEC_VERSION.to_owned(),
            id: event.id,
            source: event.kind.aggregate().source().to_owned(),
            r#type: event.kind.cloud_type(),
            subject: event.subject,
            time: event.at,
            sequence: format!("{:019}", event.sequence),
            datacontenttype: "application/json".to_owned(),
            traceparent: event
                .trace_id
                .as_deref()
                .and_then(|trace| traceparent(trace, event.id)),
            actorid: event.actor_id,
            data: event.data.clone(),
        }
    }
}

impl TryFrom<CloudEvent> for Event {
    type Error = ForeignEvent;

    fn try_from(cloud: CloudEvent) -> Result<Self, ForeignEvent> {
        if cloud.specversion != SPEC_VERSION {
            return Err(ForeignEvent("specversion"));
        }
        let kind = cloud
            .r#type
            .strip_prefix(TYPE_PREFIX)
            .and_then(|rest| rest.strip_suffix(TYPE_SUFFIX))
            .and_then(|kind| kind.parse().ok());
        Ok(Self {
            id: cloud.id,
            kind: kind.ok_or(ForeignEvent("type"))?,
            subject: cloud.subject,
            sequence: cloud.sequence.parse().map_err(|_| ForeignEvent("sequence"))?,
            at: cloud.time,
            actor_id: cloud.actorid,
            data: cloud.data,
            trace_id: cloud
                .traceparent
                .and_then(|parent| parent.split('-').nth(1).map(str::to_owned)),
        })
    }
}

/// Makes the trace context of an event: its trace, and the event itself as the span.
fn traceparent(trace_id: &str, id: EventId) -> Option<String> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_trace = trace_id.len() == 32 && trace_id.bytes().all(is_hex);
    let (_, span) = id.0.as_u64_pair();
    is_trace.then(|| format!("00-{trace_id}-{span:016x}-01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind) -> Event {
        Event {
            id: EventId::mint(Timestamp::from_unix_micros(1_700_000_000_000_000), [7; 10]),
            kind,
            subject: Uuid::from_u128(9),
            sequence: 3,
            at: Timestamp::from_unix_micros(1_700_000_000_000_000),
            actor_id: Some(Uuid::from_u128(4)),
            data: JsonObject::parse(r#"{"reason":"lost"}"#).expect("an object"),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        }
    }

    #[test]
    fn every_kind_survives_the_trip() {
        for kind in EventKind::ALL {
            let sent = event(*kind);
            let text = serde_json::to_string(&CloudEvent::from(&sent)).expect("serialises");
            let cloud: CloudEvent = serde_json::from_str(&text).expect("parses");
            assert_eq!(Event::try_from(cloud), Ok(sent));
        }
    }

    #[test]
    fn an_event_has_the_attributes_that_cloudevents_asks_for() {
        let json = serde_json::to_value(CloudEvent::from(&event(EventKind::OrderCancelled))).expect("json");
        assert_eq!(json["specversion"], "1.0");
        assert_eq!(json["type"], "dev.holdfast.order.cancelled.v1");
        assert_eq!(json["source"], "/v1/orders");
        assert_eq!(json["subject"], "00000000-0000-0000-0000-000000000009");
        assert_eq!(json["time"], "2023-11-14T22:13:20Z");
        assert_eq!(json["sequence"], "0000000000000000003");
        assert_eq!(json["datacontenttype"], "application/json");
        assert_eq!(json["data"]["reason"], "lost");
        let parent = json["traceparent"].as_str().expect("a trace");
        assert!(
            parent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
            "{parent}"
        );
        assert_eq!(parent.len(), 55);
    }

    #[test]
    fn what_is_no_trace_is_left_out() {
        let json = |trace: Option<&str>| {
            let event = Event {
                trace_id: trace.map(str::to_owned),
                ..event(EventKind::OrderExpired)
            };
            serde_json::to_value(CloudEvent::from(&event)).expect("json")
        };
        assert!(json(None).get("traceparent").is_none());
        assert!(json(Some("nonsense")).get("traceparent").is_none());
    }

    #[test]
    fn an_event_of_another_shop_is_refused() {
        let cloud = CloudEvent {
            r#type: "com.example.order.placed.v1".to_owned(),
            ..CloudEvent::from(&event(EventKind::OrderPlaced))
        };
        assert_eq!(Event::try_from(cloud), Err(ForeignEvent("type")));
    }
}
