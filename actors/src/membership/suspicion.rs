//! Who seems to be gone: a state machine over heartbeats, without a clock or a database of its own.
//!
//! *Invariant*: a suspicion is only ever a reason to try. Declaring a node dead is a compare-and-set
//! on the sequence number that was seen to stand still, and what a wrong suspicion costs is a restart.

use std::{collections::HashMap, time::Duration};

use holdfast_domain::NodeId;

/// Successful polls that a standstill must span, so that a database's restart suspects nobody.
const POLLS_MIN: u32 = 4;

/// What an observer remembers of its peers' heartbeats.
#[derive(Debug)]
pub(crate) struct Suspicion {
    suspect_after: Duration,
    peers: HashMap<NodeId, Watched>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    seq: i64,
    /// When `seq` was first seen, on the observer's monotonic clock.
    moved_at: Duration,
    /// Polls since then, counted anew after an error.
    polls: u32,
}

/// A peer whose heartbeat has stood still for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suspect {
    pub(crate) node_id: NodeId,
    /// The sequence number that stood still.
    pub(crate) seq: i64,
}

impl Suspicion {
    /// Starts without having seen anybody. `suspect_after` is on the observer's monotonic clock.
    pub(crate) fn new(suspect_after: Duration) -> Self {
        Self {
            suspect_after,
            peers: HashMap::new(),
        }
    }

    /// Takes the heartbeats of all members but oneself, read at `now`; returns the suspects.
    pub(crate) fn polled(&mut self, now: Duration, beats: &[(NodeId, i64)]) -> Vec<Suspect> {
        self.peers
            .retain(|peer, _| beats.iter().any(|(node_id, _)| node_id == peer));
        let mut suspects = Vec::new();
        for &(node_id, seq) in beats {
            let fresh = Watched {
                seq,
                moved_at: now,
                polls: 0,
            };
            let watched = match self.peers.get_mut(&node_id) {
                Some(watched) if watched.seq == seq => watched,
                _ => {
                    self.peers.insert(node_id, fresh);
                    continue;
                }
            };
            watched.polls = watched.polls.saturating_add(1);
            let stood_still = now.saturating_sub(watched.moved_at) >= self.suspect_after;
            if stood_still && watched.polls >= POLLS_MIN {
                suspects.push(Suspect { node_id, seq });
            }
        }
        suspects
    }

    /// Takes a failed poll: what stood still meanwhile may have been the database.
    pub(crate) fn poll_failed(&mut self, now: Duration) {
        for watched in self.peers.values_mut() {
            *watched = Watched {
                moved_at: now,
                polls: 0,
                ..*watched
            };
        }
    }

    /// Tells how long ago each peer's heartbeat was seen to move.
    pub(crate) fn ages(&self, now: Duration) -> impl Iterator<Item = (NodeId, Duration)> {
        self.peers
            .iter()
            .map(move |(peer, watched)| (*peer, now.saturating_sub(watched.moved_at)))
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::Timestamp;

    use super::*;

    const TICK: Duration = Duration::from_millis(200);

    fn peer() -> NodeId {
        NodeId::mint(Timestamp::UNIX_EPOCH, [1; 10])
    }

    fn suspicion() -> Suspicion {
        Suspicion::new(Duration::from_secs(1))
    }

    #[test]
    fn a_peer_that_stands_still_for_a_second_is_suspected() {
        let mut suspicion = suspicion();
        let found: Vec<_> = (0..=5)
            .map(|tick| suspicion.polled(TICK * tick, &[(peer(), 7)]))
            .collect();
        assert!(found[..5].iter().all(Vec::is_empty));
        assert_eq!(
            found[5],
            vec![Suspect {
                node_id: peer(),
                seq: 7
            }]
        );
    }

    #[test]
    fn a_peer_that_moves_is_not() {
        let mut suspicion = suspicion();
        for tick in 0..100 {
            assert!(
                suspicion
                    .polled(TICK * tick, &[(peer(), i64::from(tick / 4))])
                    .is_empty()
            );
        }
    }

    #[test]
    fn a_database_that_was_away_makes_no_suspects() {
        let mut suspicion = suspicion();
        suspicion.polled(Duration::ZERO, &[(peer(), 7)]);
        suspicion.poll_failed(TICK * 30);
        for tick in 31..35 {
            assert!(
                suspicion.polled(TICK * tick, &[(peer(), 7)]).is_empty(),
                "tick {tick}"
            );
        }
        assert_eq!(suspicion.polled(TICK * 35, &[(peer(), 7)]).len(), 1);
    }

    #[test]
    fn an_observer_that_slept_polls_four_times_before_it_suspects() {
        let mut suspicion = suspicion();
        suspicion.polled(Duration::ZERO, &[(peer(), 7)]);
        let late = Duration::from_secs(30);
        for poll in 0..3 {
            assert!(suspicion.polled(late + TICK * poll, &[(peer(), 7)]).is_empty());
        }
        assert_eq!(suspicion.polled(late + TICK * 3, &[(peer(), 7)]).len(), 1);
    }
}
