//! What the membership wants done.

use std::time::Duration;

use holdfast_domain::{NodeId, ShardId};
use holdfast_store::{Lease, Service};

use super::{Ballot, Claim, Declaration, Event, HandOver, Lock};
use crate::membership::suspicion::Suspect;

/// What the membership wants done. Each names the event that tells of its end, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Read the map; a newer one comes back as [`Event::MapChanged`].
    RefreshMap,
    /// Read the map, which this node has just changed, and tell the peers that there is a newer one.
    SpreadMap,
    /// Declare a peer dead; [`Event::DeclaredDead`].
    DeclareDead(Suspect),
    /// Try a peer's lock, after a pause; [`Event::LockTried`].
    TryLock {
        /// The peer.
        peer: NodeId,
        /// Its lock.
        lock_key: i64,
        /// The pause.
        after: Duration,
    },
    /// Say that a peer cannot be reached, and declare it dead if a majority has said so within the
    /// window; [`Event::Voted`].
    Vote {
        /// The peer.
        peer: NodeId,
        /// How old a vote may be to count.
        window: Duration,
    },
    /// Claim shards that nobody living owns; [`Event::Claimed`].
    Claim(Vec<(Service, ShardId)>),
    /// Open shards; [`Event::OpenFailed`] if that fails.
    Open(Vec<Lease>),
    /// Close shards that belong to others now.
    Close(Vec<Lease>),
    /// Let nothing new into shards, and wait for what is in flight;
    /// [`Event::Drained`].
    Drain {
        /// Which.
        leases: Vec<Lease>,
        /// Who is to get them.
        to: NodeId,
    },
    /// Give shards away; [`Event::HandedOver`].
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

impl Effect {
    /// Returns the event that stands for the result if performing the effect failed half-way and nobody
    /// knows what became of it; `None` for effects whose end nobody waits for.
    ///
    /// Without it the effect would count as under way for ever, and never be asked for again.
    pub(crate) fn if_lost(&self) -> Option<Event> {
        match self {
            Self::DeclareDead(suspect) => Some(Event::DeclaredDead {
                peer: suspect.node_id,
                declaration: Declaration::Unknown,
            }),
            Self::TryLock { peer, .. } => Some(Event::LockTried {
                peer: *peer,
                lock: Lock::Unknown,
            }),
            Self::Vote { peer, .. } => Some(Event::Voted {
                peer: *peer,
                ballot: Ballot::Unknown,
            }),
            Self::Claim(_) => Some(Event::Claimed(Claim::Unknown)),
            // Something may be in flight still: they are served on.
            Self::Drain { leases, to } => Some(Event::Drained {
                to: *to,
                quiet: Vec::new(),
                busy: leases.clone(),
            }),
            Self::HandOver { leases, to } => Some(Event::HandedOver {
                to: *to,
                asked: leases.clone(),
                hand_over: HandOver::Unknown,
            }),
            Self::RefreshMap
            | Self::SpreadMap
            | Self::Open(_)
            | Self::Close(_)
            | Self::Resume(_)
            | Self::End => None,
        }
    }
}
