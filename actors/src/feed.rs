//! The feed of events on this node, for those who listen while things happen.
//!
//! However many listen, one tail reads the database, and only while somebody listens. It hands on to
//! all through a bounded [`backlog`]: whoever is behind by more than that is cut off and reads on from
//! the database when it comes back. Which node committed an event makes no difference.
//!
//! What all listeners make a node hold is bounded in bytes, not only in events: the backlog once, and
//! for each of them a page of what it missed.
//!
//! *Invariant*: a listener sees every event after the position at which it began, in the feed's order,
//! none twice, until its stream ends.

mod backlog;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use holdfast_store::{EventPosition, FeedEvent, FeedLimit, Store, StoreError};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::node::Shared;
use backlog::{Backlog, Bound, Follower};

/// How often the tail looks for events.
const POLL: Duration = Duration::from_millis(150);
/// The pause after the database could not be asked.
const PAUSE: Duration = Duration::from_millis(500);
/// What the tail reads at once.
const TAIL_PAGE: FeedLimit = FeedLimit {
    events: 500,
    bytes: 4 << 20,
};
/// What a listener that missed something reads at once, and holds until its client has taken it.
const MISSED_PAGE: FeedLimit = FeedLimit {
    events: 100,
    bytes: 256 << 10,
};
/// How far a listener may be behind; it is shared by all listeners of the node.
const BACKLOG: Bound = Bound {
    events: 2_048,
    bytes: 16 << 20,
};
/// Listeners of a node that read what they missed at a time; others wait for their turn.
const READERS: usize = 2;

/// The feed of events on this node.
pub(crate) struct Feed {
    tail: Mutex<Option<Tail>>,
    readers: Semaphore,
}

/// A tail that runs, as those see it who listen.
struct Tail {
    events: Arc<Backlog>,
    has_begun: watch::Receiver<bool>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            tail: Mutex::default(),
            readers: Semaphore::new(READERS),
        }
    }
}

impl Feed {
    /// Joins the tail that runs, or begins one.
    fn join(&self, shared: &Shared) -> (Follower, watch::Receiver<bool>) {
        let mut tail = self.tail.lock();
        if let Some(tail) = &*tail {
            return (tail.events.follow(), tail.has_begun.clone());
        }
        let events = Arc::new(Backlog::new(BACKLOG));
        let follower = events.follow();
        let (begun, has_begun) = watch::channel(false);
        tokio::spawn(follow(shared.clone(), events.clone(), begun));
        *tail = Some(Tail {
            events,
            has_begun: has_begun.clone(),
        });
        (follower, has_begun)
    }

    /// Ends the tail if nobody listens to it any more.
    fn end_if_unheard(&self, events: &Backlog) -> bool {
        let mut tail = self.tail.lock();
        let is_unheard = !events.is_followed();
        if is_unheard {
            *tail = None;
        }
        is_unheard
    }
}

/// Ends a tail, however it ends: its listeners' streams end with it, and the next one begins anew.
struct EndOnDrop<'a>(&'a Feed, &'a Arc<Backlog>);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        let mut tail = self.0.tail.lock();
        if tail
            .as_ref()
            .is_some_and(|tail| Arc::ptr_eq(&tail.events, self.1))
        {
            *tail = None;
        }
    }
}

async fn follow(shared: Shared, events: Arc<Backlog>, begun: watch::Sender<bool>) {
    let _end = EndOnDrop(&shared.feed, &events);
    let work = async {
        let mut at = None;
        loop {
            let found = match at {
                None => shared.store.event_horizon().await.map(|horizon| {
                    at = Some(horizon);
                    begun.send_replace(true);
                    false
                }),
                Some(after) => tell(&shared.store, after, &events).await.map(|(is_more, last)| {
                    at = Some(last);
                    is_more
                }),
            };
            match found {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(POLL).await,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "events could not be read"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
            }
            if shared.feed.end_if_unheard(&events) {
                return;
            }
        }
    };
    tokio::select! {
        () = work => {}
        // Who listens must look for another node.
        _ = shared.ended() => {}
    }
}

/// Hands on what follows `after`; returns whether there may be more, and how far it went.
async fn tell(
    store: &Store,
    after: EventPosition,
    events: &Backlog,
) -> Result<(bool, EventPosition), StoreError> {
    let page = store.events_after(after, TAIL_PAGE).await?;
    let last = page.events.last().map_or(after, |event| event.position);
    for event in page.events {
        events.push(event);
    }
    Ok((page.is_cut, last))
}

/// Events as they become readable, from a position on.
pub struct EventStream {
    shared: Shared,
    live: Follower,
    has_begun: watch::Receiver<bool>,
    /// What was missed and has been read; `None` once there is no more of that.
    missed: Option<VecDeque<Arc<FeedEvent>>>,
    at: EventPosition,
}

impl EventStream {
    /// Begins behind `after`, or with what happens from now on; `None`: this shop has no such position.
    pub(crate) async fn begin(
        shared: &Shared,
        after: Option<EventPosition>,
    ) -> Result<Option<Self>, StoreError> {
        // Joined before the database is asked: nothing can fall between the two.
        let (live, has_begun) = shared.feed.join(shared);
        let horizon = shared.store.event_horizon().await?;
        let at = after.unwrap_or(horizon);
        Ok((at <= horizon).then(|| Self {
            shared: shared.clone(),
            live,
            has_begun,
            missed: Some(VecDeque::new()),
            at,
        }))
    }

    /// Returns the position behind the last event that was returned.
    pub fn position(&self) -> EventPosition {
        self.at
    }

    /// Waits for the next event; `None`: the stream is over, because its reader was too slow, or the
    /// database or the node could not go on. It can be taken up elsewhere from [`Self::position`].
    ///
    /// Must be waited for to the end: what an abandoned wait had read is lost to the stream.
    pub async fn next(&mut self) -> Option<Arc<FeedEvent>> {
        loop {
            let event = match &mut self.missed {
                Some(missed) => {
                    let Some(event) = missed.pop_front() else {
                        self.read_missed().await?;
                        continue;
                    };
                    event
                }
                None => self.live.next().await?,
            };
            if event.position > self.at {
                self.at = event.position;
                return Some(event);
            }
        }
    }

    /// Reads the next page of what was missed. What comes after the last page comes from the tail,
    /// which must have begun by then.
    async fn read_missed(&mut self) -> Option<()> {
        self.has_begun.wait_for(|begun| *begun).await.ok()?;
        let _turn = self.shared.feed.readers.acquire().await.ok()?;
        let page = match self.shared.store.events_after(self.at, MISSED_PAGE).await {
            Ok(page) => page.events,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "events could not be read"
                );
                return None;
            }
        };
        self.missed = (!page.is_empty()).then(|| page.into_iter().map(Arc::new).collect());
        Some(())
    }
}
