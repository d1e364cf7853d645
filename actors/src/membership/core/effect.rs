//! What the membership wants done.

use std::time::Duration;

use holdfast_domain::{NodeId, ShardId};
use holdfast_store::{Lease, Service};

use crate::membership::suspicion::Suspect;

/// What the membership wants done. Each names the event that tells of its end, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Read the map; a newer one comes back as [`Event::MapChanged`](super::Event::MapChanged).
    RefreshMap,
    /// Read the map, which this node has just changed, and tell the peers that there is a newer one.
    SpreadMap,
    /// Declare a peer dead; [`Event::DeclaredDead`](super::Event::DeclaredDead).
    DeclareDead(Suspect),
    /// Try a peer's lock, after a pause; [`Event::LockTried`](super::Event::LockTried).
    TryLock {
        /// The peer.
        peer: NodeId,
        /// Its lock.
        lock_key: i64,
        /// The pause.
        after: Duration,
    },
    /// Say that a peer cannot be reached, and declare it dead if a majority has said so within the
    /// window; [`Event::Voted`](super::Event::Voted).
    Vote {
        /// The peer.
        peer: NodeId,
        /// How old a vote may be to count.
        window: Duration,
    },
    /// Claim shards that nobody living owns; [`Event::Claimed`](super::Event::Claimed).
    Claim(Vec<(Service, ShardId)>),
    /// Open shards; [`Event::OpenFailed`](super::Event::OpenFailed) if that fails.
    Open(Vec<Lease>),
    /// Close shards that belong to others now.
    Close(Vec<Lease>),
    /// Let nothing new into shards, and wait for what is in flight;
    /// [`Event::Drained`](super::Event::Drained).
    Drain {
        /// Which.
        leases: Vec<Lease>,
        /// Who is to get them.
        to: NodeId,
    },
    /// Give shards away; [`Event::HandedOver`](super::Event::HandedOver).
    HandOver {
        /// Which.
        leases: Vec<Lease>,
        /// To whom.
        to: NodeId,
    },
    /// Let requests into shards again.
    Resume(Vec<Lease>),
    /// Stop serving: this incarnation is superseded.
    End,
}
