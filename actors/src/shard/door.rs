//! The way into a shard: open, shut while the shard is on its way to another node, or closed.
//!
//! Requests that come while the door is shut are parked. If the shard moves, whoever sent them is told
//! where it is now and goes there at once; if it stays after all, they are let in. So a hand-over costs
//! them the time that it takes, and no error and no back-off.
//!
//! How long it stays shut for those inside to leave is a matter of patience: little at first, for most
//! shards are quiet at once and those that are not can be tried again; twice as much after each time that
//! was in vain, for a shard in demand has somebody inside at every moment until it is shut for long enough.
//!
//! *Invariant*: a request is counted before the door is looked at. Whoever shuts the door therefore
//! either keeps a request out or waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, timeout_at},
};

/// How long a request is parked at most.
const PARKED_FOR_MAX: Duration = Duration::from_secs(1);
/// How long requests inside may hold up the first hand-over of a shard.
const PATIENCE_MIN: Duration = Duration::from_millis(50);
/// How long they may hold up a later one at most. What is parked meanwhile still gets in, or moves on,
/// before it is turned away.
const PATIENCE_MAX: Duration = Duration::from_millis(800);
/// How many requests are parked at one shard at most.
const PARKED_MAX: usize = 512;

/// Whether requests are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Open,
    Shut,
    /// As shut, and not to be opened again: the node is about to leave.
    Locked,
    Closed,
}

/// The way into a shard.
pub(super) struct Door {
    position: watch::Sender<Position>,
    in_flight: AtomicUsize,
    quiet: Notify,
    parking: Semaphore,
    /// How often the door was shut and opened again.
    vain: AtomicU32,
}

/// A request on its way through a shard.
pub(crate) struct Passage(Arc<Door>);

/// What becomes of a request that wants in.
pub(crate) enum Admission {
    /// It is in.
    In(Passage),
    /// The shard is not here any more.
    Moved,
    /// Too many are parked, or this one was for too long.
    TurnedAway,
}

impl Drop for Passage {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.quiet.notify_waiters();
        }
    }
}

impl Default for Door {
    fn default() -> Self {
        Self {
            position: watch::Sender::new(Position::Open),
            in_flight: AtomicUsize::new(0),
            quiet: Notify::new(),
            parking: Semaphore::new(PARKED_MAX),
            vain: AtomicU32::new(0),
        }
    }
}

impl Door {
    /// Lets a request in if the door is open.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Passage> {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        let passage = Passage(Arc::clone(self));
        self.is_open().then_some(passage)
    }

    /// Lets a request in; parks it while the door is shut.
    pub(super) async fn admit(self: &Arc<Self>) -> Admission {
        if let Some(passage) = self.enter() {
            return Admission::In(passage);
        }
        let Ok(_parked) = self.parking.try_acquire() else {
            return Admission::TurnedAway;
        };
        let deadline = Instant::now() + PARKED_FOR_MAX;
        let mut position = self.position.subscribe();
        loop {
            let turned = async {
                let is_decided = |position: &Position| matches!(position, Position::Open | Position::Closed);
                let turned = position.wait_for(is_decided).await;
                turned.map_or(Position::Closed, |position| *position)
            };
            match timeout_at(deadline, turned).await {
                Ok(Position::Open | Position::Shut | Position::Locked) => {}
                Ok(Position::Closed) => return Admission::Moved,
                Err(_) => return Admission::TurnedAway,
            }
            // It may have been shut again.
            if let Some(passage) = self.enter() {
                return Admission::In(passage);
            }
        }
    }

    /// Tells whether requests are let in.
    pub(super) fn is_open(&self) -> bool {
        *self.position.borrow() == Position::Open
    }

    /// Parks requests from now on.
    pub(super) fn shut(&self) {
        self.turn(Position::Open, Position::Shut);
    }

    /// Parks requests from now on, whatever a hand-over under way comes to.
    pub(super) fn lock(&self) {
        self.turn(Position::Open, Position::Shut);
        self.turn(Position::Shut, Position::Locked);
    }

    /// Lets requests in again.
    pub(super) fn open(&self) {
        if self.turn(Position::Shut, Position::Open) {
            self.vain.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns for how long the door may stay shut until those inside have left.
    pub(super) fn patience(&self) -> Duration {
        let doublings = self.vain.load(Ordering::Acquire).min(8);
        (PATIENCE_MIN * 2_u32.pow(doublings)).min(PATIENCE_MAX)
    }

    /// Sends requests away, for good.
    pub(super) fn close(&self) {
        self.position.send_replace(Position::Closed);
    }

    /// Waits until no request is in flight.
    pub(super) async fn quiet(&self) {
        loop {
            let notified = self.quiet.notified();
            if self.in_flight.load(Ordering::Acquire) == 0 {
                return;
            }
            notified.await;
        }
    }

    fn turn(&self, from: Position, to: Position) -> bool {
        self.position.send_if_modified(|position| {
            let turns = *position == from;
            if turns {
                *position = to;
            }
            turns
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Arc<Door> {
        Arc::default()
    }

    /// Parks a request.
    async fn park(door: &Arc<Door>) -> tokio::task::JoinHandle<Admission> {
        let parked = {
            let door = Arc::clone(door);
            tokio::spawn(async move { door.admit().await })
        };
        while door.parking.available_permits() == PARKED_MAX {
            tokio::task::yield_now().await;
        }
        parked
    }

    #[tokio::test]
    async fn whoever_shuts_the_door_waits_for_those_inside() {
        let door = door();
        let inside = door.enter().expect("it is open");
        door.shut();
        assert!(door.enter().is_none());
        let quiet = {
            let door = Arc::clone(&door);
            tokio::spawn(async move { door.quiet().await })
        };
        drop(inside);
        quiet.await.expect("nobody is inside");
    }

    #[test]
    fn patience_doubles_with_each_time_that_was_in_vain() {
        let door = door();
        let mut patience = Vec::new();
        for _ in 0..6 {
            patience.push(door.patience().as_millis());
            door.shut();
            door.open();
        }
        assert_eq!(patience, [50, 100, 200, 400, 800, 800]);
    }

    #[tokio::test]
    async fn what_is_parked_goes_in_if_the_shard_stays() {
        let door = door();
        door.shut();
        let parked = park(&door).await;
        door.open();
        assert!(matches!(parked.await, Ok(Admission::In(_))));
    }

    #[tokio::test]
    async fn a_locked_door_is_not_opened_by_a_hand_over_that_came_to_nothing() {
        let door = door();
        door.shut();
        door.lock();
        door.open();
        assert!(door.enter().is_none());
        let parked = park(&door).await;
        door.close();
        assert!(matches!(parked.await, Ok(Admission::Moved)));
    }

    #[tokio::test]
    async fn what_is_parked_is_sent_on_if_the_shard_moves() {
        let door = door();
        door.shut();
        let parked = park(&door).await;
        door.close();
        assert!(matches!(parked.await, Ok(Admission::Moved)));
        door.open();
        assert!(door.enter().is_none(), "closed is closed");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_parked_for_longer_than_a_second() {
        let door = door();
        door.shut();
        let began = Instant::now();
        assert!(matches!(door.admit().await, Admission::TurnedAway));
        assert_eq!(began.elapsed(), PARKED_FOR_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_are_parked() {
        let door = door();
        door.shut();
        let _full = door.parking.try_acquire_many(512).expect("none is parked");
        let began = Instant::now();
        assert!(matches!(door.admit().await, Admission::TurnedAway));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
