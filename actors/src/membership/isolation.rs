//! Who cannot be reached: a state machine over sessions, without a clock or a link of its own.
//!
//! A node that is cut off from its peers but not from Postgres beats on, and what it owns is out of
//! reach for all others. Each of them says so in Postgres, as Orleans' silos do in their table, and a
//! majority ends it.
//!
//! *Invariant*: one observer's word ends nobody, for it may be the one that is cut off. With two nodes
//! there is no majority, and each goes on with what it owns.

use std::{collections::BTreeMap, time::Duration};

use holdfast_domain::NodeId;

/// How often a vote is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(1);
/// How old a vote may be to count.
pub(crate) const VOTE_WINDOW: Duration = Duration::from_secs(2);

/// Tells whether some are more than half of all, as votes are counted.
pub(crate) fn is_majority(some: usize, all: usize) -> bool {
    some > all / 2
}

/// Tells whether so many of those who serve have no session with `me` that their votes could end it.
pub(crate) fn could_be_outvoted(me: NodeId, serving: &[NodeId], is_linked: impl Fn(NodeId) -> bool) -> bool {
    let others = serving.iter().filter(|peer| **peer != me);
    is_majority(others.filter(|peer| !is_linked(**peer)).count(), serving.len())
}

/// What an observer remembers of peers without a session.
#[derive(Debug)]
pub(crate) struct Isolation {
    vote_after: Duration,
    lost: BTreeMap<NodeId, Lost>,
}

/// A peer without a session.
#[derive(Clone, Copy, Debug)]
struct Lost {
    since: Duration,
    voted_at: Option<Duration>,
}

impl Isolation {
    /// Starts without having lost anybody. `vote_after` is on the observer's monotonic clock.
    pub(crate) fn new(vote_after: Duration) -> Self {
        Self {
            vote_after,
            lost: BTreeMap::new(),
        }
    }

    /// Takes the peers that live and have no session with the observer at `now`; returns those to vote
    /// against.
    pub(crate) fn polled(&mut self, now: Duration, without_session: &[NodeId]) -> Vec<NodeId> {
        self.lost.retain(|peer, _| without_session.contains(peer));
        let mut votes = Vec::new();
        for peer in without_session {
            let lost = self.lost.entry(*peer).or_insert(Lost {
                since: now,
                voted_at: None,
            });
            let is_gone = now.saturating_sub(lost.since) >= self.vote_after;
            let is_due = lost
                .voted_at
                .is_none_or(|at| now.saturating_sub(at) >= RENEWED_EVERY);
            if is_gone && is_due {
                lost.voted_at = Some(now);
                votes.push(*peer);
            }
        }
        votes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::testing::id;

    const TICK: Duration = Duration::from_millis(200);

    #[test]
    fn a_node_that_a_majority_does_not_reach_could_be_outvoted() {
        let serving = [id(1), id(2), id(3)];
        let with = |linked: &'static [u8]| {
            could_be_outvoted(id(1), &serving, |peer| linked.iter().any(|n| id(*n) == peer))
        };
        assert!(with(&[]));
        assert!(!with(&[2]), "one vote of three is too few");
        assert!(!with(&[2, 3]));
        assert!(
            !could_be_outvoted(id(1), &serving[..2], |_| false),
            "one of two is no majority"
        );
        assert!(
            !could_be_outvoted(id(1), &serving[..1], |_| false),
            "nobody is there to vote"
        );
    }

    #[test]
    fn one_alone_is_a_majority_of_one_and_half_is_none() {
        assert!(is_majority(1, 1), "nobody else serves");
        assert!(!is_majority(1, 2), "the other is out of reach");
        assert!(is_majority(2, 2));
        assert!(is_majority(2, 3), "one of two is within reach");
        assert!(!is_majority(2, 4));
    }

    fn isolation() -> Isolation {
        Isolation::new(Duration::from_secs(3))
    }

    #[test]
    fn a_peer_without_a_session_for_three_seconds_is_voted_against_once_a_second() {
        let mut isolation = isolation();
        let votes: Vec<u32> = (0..=25)
            .filter(|tick| !isolation.polled(TICK * *tick, &[id(2)]).is_empty())
            .collect();
        assert_eq!(votes, [15, 20, 25]);
    }

    #[test]
    fn a_session_that_comes_back_clears_its_peer() {
        let mut isolation = isolation();
        for tick in 0..100 {
            let without = if tick % 14 == 13 { vec![] } else { vec![id(2)] };
            assert_eq!(isolation.polled(TICK * tick, &without), []);
        }
    }

    #[test]
    fn an_observer_that_slept_gives_its_peers_time_to_come_back() {
        let mut isolation = isolation();
        isolation.polled(Duration::ZERO, &[]);
        assert_eq!(isolation.polled(Duration::from_mins(1), &[id(2), id(3)]), []);
    }
}
