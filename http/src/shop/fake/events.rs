//! Events: a stream of one.

use std::sync::Arc;

use holdfast_actors::{
    Error,
    client::{EventPosition, EventRecord, FeedEvent},
};
use holdfast_domain::{Event, EventId, EventKind, JsonObject, OrderId, UserId, event::Audience};
use uuid::Uuid;

use super::{NOW, Shop};

/// A stream that ends when all has been told.
pub(crate) struct EventStream {
    at: EventPosition,
    event: Arc<FeedEvent>,
}

impl EventStream {
    pub(crate) fn position(&self) -> EventPosition {
        self.at
    }

    pub(crate) async fn next(&mut self) -> Option<Arc<FeedEvent>> {
        (self.at < self.event.position).then(|| {
            self.at = self.event.position;
            self.event.clone()
        })
    }
}

impl Shop {
    pub(crate) async fn events(&self, after: Option<EventPosition>) -> Result<Option<EventStream>, Error> {
        let event = Event {
            id: EventId::mint(NOW, [5; 10]),
            kind: EventKind::OrderPlaced,
            subject: OrderId::mint(NOW, [4; 10]).0,
            sequence: 1,
            at: NOW,
            actor_id: None,
            data: JsonObject::empty(),
            trace_id: None,
        };
        let position = format!("50/{}/{}/{}", event.kind, event.subject, event.sequence);
        let event = FeedEvent {
            position: position.parse().expect("a position"),
            record: EventRecord {
                event,
                node: "n1".to_owned(),
                epoch: 1,
            },
            audience: Audience::Order {
                customer_id: UserId(Uuid::from_u128(1)),
                lines: Vec::new(),
            },
        };
        let at = after.unwrap_or(EventPosition::START);
        self.answer((at < EventPosition::before(100)).then(|| EventStream {
            at,
            event: Arc::new(event),
        }))
    }
}
