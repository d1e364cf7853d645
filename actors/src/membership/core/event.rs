//! What the membership hears.

use std::sync::Arc;

use holdfast_domain::NodeId;
use holdfast_store::{Lease, NodeState};

use crate::map::ShardMap;

/// What the membership hears: of the cluster, and of what became of its effects.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A heartbeat went through.
    Polled {
        /// The version of the cluster map.
        map_version: i64,
        /// Where this incarnation stands.
        state: NodeState,
        /// The sequence numbers of all other incarnations that are not over.
        peers: Vec<(NodeId, i64)>,
        /// The peers that this node has a session with.
        linked: Vec<NodeId>,
    },
    /// The database could not be asked.
    PollFailed,
    /// The session with a peer is lost.
    LinkDown(NodeId),
    /// A newer map was read.
    MapChanged(Arc<ShardMap>),
    /// A lost peer's lock was tried.
    LockTried {
        /// The peer.
        peer: NodeId,
        /// What was found.
        lock: Lock,
    },
    /// A peer was to be declared dead.
    DeclaredDead {
        /// The peer.
        peer: NodeId,
        /// What became of it.
        declaration: Declaration,
    },
    /// A peer was voted against.
    Voted {
        /// The peer.
        peer: NodeId,
        /// What became of it.
        ballot: Ballot,
    },
    /// Shards were to be claimed.
    Claimed(Claim),
    /// Shards could not be opened.
    OpenFailed(Vec<Lease>),
    /// Shards let nothing new in, and what was in flight has ended or was waited for long enough.
    Drained {
        /// Who is to get them.
        to: NodeId,
        /// Those in which nothing is in flight.
        quiet: Vec<Lease>,
        /// The others.
        busy: Vec<Lease>,
    },
    /// Shards were to be handed over.
    HandedOver {
        /// To whom.
        to: NodeId,
        /// Which.
        asked: Vec<Lease>,
        /// What became of it.
        hand_over: HandOver,
    },
    /// The process is to stop.
    DrainRequested,
}

/// What trying a peer's lock found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Somebody holds it: the process lives, or died just now.
    Held,
    /// The process is gone.
    Free {
        /// Where its heartbeat stands; `None` if the incarnation is known to be over.
        seq: Option<i64>,
    },
    /// The database could not be asked.
    Unknown,
}

/// What became of a declaration of death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declaration {
    /// This call did it.
    Dead,
    /// The peer has beaten since, or is over already.
    Alive,
    /// The database could not be asked, or did not answer.
    Unknown,
}

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ballot {
    /// It counts, but too few have said the same.
    Counted,
    /// The peer is over, by this vote or before.
    Dead,
    /// The database could not be asked, or did not answer.
    Unknown,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// These were got; others were faster with the rest.
    Got(Vec<Lease>),
    /// This incarnation is not active: it is over, or drains.
    Refused,
    /// The database could not be asked, or did not answer.
    Unknown,
}

/// What became of a hand-over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HandOver {
    /// The receiver's new leases; the rest stayed.
    Moved(Vec<Lease>),
    /// The database could not be asked, or did not answer.
    Unknown,
}
