//! What is to go to a peer next: parcels that came up in the same moment leave in one message.
//!
//! Nothing waits for company. A flush gives way once to whoever is ready to run, and takes what is there
//! then: under load that is much, on an idle node it is the one parcel.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::yield_now;

use super::session::Session;
use crate::wire::{MAX_FRAME_BYTES, Parcel};

/// Parcels that wait to be sent. Calls and answers in flight are bounded, so it is.
#[derive(Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    parcels: Vec<Parcel>,
    is_being_flushed: bool,
}

impl Outbox {
    /// Adds a parcel, and tells whether somebody has to begin to flush.
    fn add(&self, parcel: Parcel) -> bool {
        let mut queue = self.queue.lock();
        queue.parcels.push(parcel);
        !std::mem::replace(&mut queue.is_being_flushed, true)
    }

    /// Takes what fits into one batch; if nothing is left, the flush is over.
    fn take(&self) -> Option<Vec<Parcel>> {
        let mut queue = self.queue.lock();
        if queue.parcels.is_empty() {
            queue.is_being_flushed = false;
            return None;
        }
        let fit = fitting(&queue.parcels);
        let rest = queue.parcels.split_off(fit);
        Some(std::mem::replace(&mut queue.parcels, rest))
    }
}

/// How many of these fit into one batch, from the first on; at least one, as each of them does.
fn fitting(parcels: &[Parcel]) -> usize {
    let mut size = 0;
    let fit = parcels.iter().take_while(|parcel| {
        size += parcel.size();
        size <= MAX_FRAME_BYTES
    });
    fit.count().max(1)
}

/// Sends a parcel over `session`, with others that are ready as soon.
pub(super) fn send(session: &Arc<Session>, parcel: Parcel) {
    if !session.outbox.add(parcel) {
        return;
    }
    // Not where the caller happens to run: that may end before the link does.
    session.runtime().spawn(flush(Arc::clone(session)));
}

/// Has `heir` send the answers that `loser` had no time for. Its calls have failed with it.
pub(super) fn inherit(heir: &Arc<Session>, loser: &Session) {
    while let Some(parcels) = loser.outbox.take() {
        for parcel in parcels {
            if matches!(parcel, Parcel::Answer { .. }) {
                send(heir, parcel);
            }
        }
    }
}

async fn flush(session: Arc<Session>) {
    loop {
        yield_now().await;
        let Some(parcels) = session.outbox.take() else {
            return;
        };
        session.send_batch(&parcels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(length: usize) -> Parcel {
        Parcel::Call {
            id: 1,
            frame: vec![0; length],
        }
    }

    #[test]
    fn only_the_first_parcel_needs_somebody_to_flush() {
        let outbox = Outbox::default();
        assert!(outbox.add(parcel(1)));
        assert!(!outbox.add(parcel(2)));
        assert_eq!(outbox.take().map(|parcels| parcels.len()), Some(2));
        assert!(!outbox.add(parcel(3)), "the flush goes on");
        assert!(outbox.take().is_some());
        assert!(outbox.take().is_none());
        assert!(outbox.add(parcel(4)));
    }

    #[test]
    fn what_does_not_fit_stays_for_the_next_batch() {
        let outbox = Outbox::default();
        for _ in 0..5 {
            outbox.add(parcel(MAX_FRAME_BYTES / 2 - 100));
        }
        let sizes: Vec<usize> = std::iter::from_fn(|| outbox.take())
            .map(|parcels| parcels.len())
            .collect();
        assert_eq!(sizes, [2, 2, 1]);
    }

    #[test]
    fn the_longest_frame_goes_alone() {
        assert_eq!(fitting(&[parcel(MAX_FRAME_BYTES), parcel(0)]), 1);
    }
}
