//! The last events of the feed, for those who follow it.
//!
//! One writes and many read, each at its own pace. What is kept is bounded in number and in bytes,
//! since an order may tell of a hundred lines: whoever has not read an event when it leaves is cut off.
//!
//! *Invariant*: a follower sees every event that is pushed after it began, in order, until it is cut
//! off or the backlog is dropped.

use std::{collections::VecDeque, sync::Arc};

use holdfast_store::FeedEvent;
use parking_lot::Mutex;
use tokio::sync::watch;

/// What a backlog keeps at most; one event is kept however large it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

#[derive(Default)]
struct Kept {
    events: VecDeque<Arc<FeedEvent>>,
    bytes: usize,
    /// How many have left.
    left: u64,
}

impl Kept {
    fn end(&self) -> u64 {
        self.left + self.events.len() as u64
    }
}

/// The events, and who follows them.
pub(super) struct Backlog {
    bound: Bound,
    kept: Arc<Mutex<Kept>>,
    end: watch::Sender<u64>,
}

impl Backlog {
    pub(super) fn new(bound: Bound) -> Self {
        Self {
            bound,
            kept: Arc::default(),
            end: watch::Sender::new(0),
        }
    }

    /// Adds an event, and lets go of those for which there is no room any more.
    pub(super) fn push(&self, event: FeedEvent) {
        let mut kept = self.kept.lock();
        kept.bytes += event.bytes();
        kept.events.push_back(Arc::new(event));
        while kept.events.len() > self.bound.events
            || (kept.bytes > self.bound.bytes && kept.events.len() > 1)
        {
            let Some(oldest) = kept.events.pop_front() else {
                break;
            };
            kept.bytes -= oldest.bytes();
            kept.left += 1;
        }
        let end = kept.end();
        drop(kept);
        self.end.send_replace(end);
    }

    /// Follows from now on.
    pub(super) fn follow(&self) -> Follower {
        let next = self.kept.lock().end();
        Follower {
            kept: Arc::clone(&self.kept),
            end: self.end.subscribe(),
            next,
        }
    }

    /// Tells whether anybody follows.
    pub(super) fn is_followed(&self) -> bool {
        self.end.receiver_count() > 0
    }
}

/// Somebody who follows.
pub(super) struct Follower {
    kept: Arc<Mutex<Kept>>,
    end: watch::Receiver<u64>,
    next: u64,
}

impl Follower {
    /// Waits for the next event; `None`: cut off, or there will be none.
    pub(super) async fn next(&mut self) -> Option<Arc<FeedEvent>> {
        loop {
            {
                let kept = self.kept.lock();
                let index = self.next.checked_sub(kept.left)?;
                let found = usize::try_from(index)
                    .ok()
                    .and_then(|index| kept.events.get(index));
                if let Some(event) = found {
                    self.next += 1;
                    return Some(Arc::clone(event));
                }
            }
            self.end.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Event, EventId, EventKind, JsonObject, Timestamp, event::Audience};
    use holdfast_store::{EventPosition, EventRecord};
    use uuid::Uuid;

    use super::*;

    fn event(number: u64, text: &str) -> FeedEvent {
        let data = serde_json::json!({ "text": text }).to_string();
        FeedEvent {
            record: EventRecord {
                event: Event {
                    id: EventId(Uuid::from_u128(u128::from(number))),
                    kind: EventKind::OrderPlaced,
                    subject: Uuid::from_u128(1),
                    sequence: 1,
                    at: Timestamp::UNIX_EPOCH,
                    actor_id: None,
                    data: JsonObject::parse(&data).expect("an object"),
                    trace_id: None,
                },
                node: "n1".to_owned(),
                epoch: 1,
            },
            position: EventPosition::before(number),
            audience: Audience::Nobody,
        }
    }

    async fn numbers(follower: &mut Follower, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        for _ in 0..count {
            numbers.push(follower.next().await.expect("an event").position.xid());
        }
        numbers
    }

    const ROOMY: Bound = Bound {
        events: 4,
        bytes: 1 << 20,
    };

    #[tokio::test]
    async fn a_follower_sees_what_comes_after_it_began_and_then_the_end() {
        let backlog = Backlog::new(ROOMY);
        backlog.push(event(1, ""));
        let mut follower = backlog.follow();
        backlog.push(event(2, ""));
        backlog.push(event(3, ""));
        assert_eq!(numbers(&mut follower, 2).await, [2, 3]);
        assert!(backlog.is_followed());
        drop(backlog);
        assert_eq!(follower.next().await, None);
    }

    #[tokio::test]
    async fn who_is_behind_by_more_events_than_are_kept_is_cut_off() {
        let backlog = Backlog::new(ROOMY);
        let (mut slow, mut quick) = (backlog.follow(), backlog.follow());
        for number in 1..=4 {
            backlog.push(event(number, ""));
        }
        assert_eq!(numbers(&mut quick, 1).await, [1]);
        backlog.push(event(5, ""));
        assert_eq!(slow.next().await, None);
        assert_eq!(numbers(&mut quick, 4).await, [2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn large_events_leave_sooner_and_the_last_one_stays() {
        let backlog = Backlog::new(Bound {
            events: 1_000,
            bytes: 50_000,
        });
        let large = "x".repeat(20_000);
        let mut follower = backlog.follow();
        for number in 1..=2 {
            backlog.push(event(number, &large));
        }
        assert_eq!(numbers(&mut follower, 1).await, [1]);
        backlog.push(event(3, &large));
        assert!(backlog.kept.lock().bytes <= 50_000);
        assert_eq!(numbers(&mut follower, 2).await, [2, 3]);
        backlog.push(event(4, &"x".repeat(60_000)));
        assert_eq!(numbers(&mut follower, 1).await, [4]);
        backlog.push(event(5, ""));
        assert_eq!(backlog.kept.lock().events.len(), 1);
    }
}
