//! What the membership decides: events in, effects out.
//!
//! No clock, no randomness, no runtime and no database of its own: time comes in with every event, as
//! a duration since the start, and what has to be done goes out as [`Effect`]s, whose results come back
//! as [`Event`]s. A simulation can therefore run many of these cores against a model of the database.
//!
//! # Invariants
//! - An effect that waits for the database is never asked for twice at a time: one claim, one
//!   declaration, one vote and one lock for each peer, one hand-over for each receiver.
//! - A result may come late, twice or not at all. A late one is compared with the epochs that are held
//!   now; a lost one costs time, since every poll looks again at what remains to be done.
//! - Nothing here is trusted with safety: Postgres decides who is dead and who owns what.

mod effect;
mod event;
mod holdings;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use holdfast_domain::NodeId;
use holdfast_store::{Lease, NodeState};

pub(crate) use effect::Effect;
pub(crate) use event::{Ballot, Claim, Declaration, Event, HandOver, Lock};

use self::holdings::Holdings;
use super::{
    isolation::{Isolation, VOTE_WINDOW},
    placement,
    suspicion::{Suspect, Suspicion},
};
use crate::map::ShardMap;

/// How often a lost peer's lock is tried. Its sessions end a moment after its process, on a busy machine
/// some moments; after a second of trying the heartbeat tells as well.
const LOCK_TRIES: u32 = 40;
/// The pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// What a core is told at its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// The incarnation that it decides for.
    pub(crate) me: NodeId,
    /// How long a peer's heartbeat may stand still before it is suspected.
    pub(crate) suspect_after: Duration,
    /// How long a peer may be without a session before it is voted against.
    pub(crate) vote_after: Duration,
}

/// The membership's state machine.
#[derive(Debug)]
pub(crate) struct MembershipCore {
    config: Config,
    map: Arc<ShardMap>,
    suspicion: Suspicion,
    isolation: Isolation,
    holdings: Holdings,
    /// Peers whose locks are being tried, and how often they were held.
    locks: BTreeMap<NodeId, u32>,
    /// Peers that are being declared dead.
    declaring: BTreeSet<NodeId>,
    /// Peers that are being voted against.
    voting: BTreeSet<NodeId>,
    /// The version of the map from which the claim under way was computed.
    claiming: Option<i64>,
    /// Whether the process is to stop: it takes on nothing more.
    is_leaving: bool,
    is_over: bool,
    /// Whether nothing is left to do for the map as it is, nor will be before something else happens.
    is_in_line: bool,
}

impl MembershipCore {
    /// Starts, with the shards that are open already if an earlier core has failed.
    pub(crate) fn new(config: Config, open: &[Lease]) -> Self {
        Self {
            config,
            map: Arc::default(),
            suspicion: Suspicion::new(config.suspect_after),
            isolation: Isolation::new(config.vote_after),
            holdings: Holdings::new(config.me, open),
            locks: BTreeMap::new(),
            declaring: BTreeSet::new(),
            voting: BTreeSet::new(),
            claiming: None,
            is_leaving: false,
            is_over: false,
            is_in_line: false,
        }
    }

    /// Takes an event that came at `now`, a duration since the start; returns what is to be done, in
    /// this order.
    pub(crate) fn on(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        if self.is_over {
            return Vec::new();
        }
        if !matches!(event, Event::Polled { .. } | Event::PollFailed) {
            self.is_in_line = false;
        }
        match event {
            Event::Polled {
                state: NodeState::Dead | NodeState::Left,
                ..
            } => self.supersede(),
            Event::Polled {
                map_version,
                peers,
                linked,
                ..
            } => self.polled(now, map_version, &peers, &linked),
            Event::PollFailed => {
                self.suspicion.poll_failed(now);
                Vec::new()
            }
            Event::MapChanged(map) => self.map_changed(map),
            Event::LinkDown(peer) => self.link_down(peer),
            Event::LockTried { peer, lock } => self.lock_tried(peer, lock),
            Event::DeclaredDead { peer, declaration } => self.declared(peer, declaration),
            Event::Voted { peer, ballot } => self.voted(peer, ballot),
            Event::Claimed(claim) => self.claimed(claim),
            Event::OpenFailed(leases) => {
                self.holdings.forget(&leases);
                Vec::new()
            }
            Event::Drained { to, quiet, busy } => self.holdings.drained(to, &quiet, &busy),
            Event::HandedOver { to, asked, hand_over } => self.handed_over(to, &asked, &hand_over),
            Event::DrainRequested => {
                self.is_leaving = true;
                Vec::new()
            }
        }
    }

    /// Tells how long ago each peer's heartbeat was seen to move.
    pub(crate) fn peer_ages(&self, now: Duration) -> impl Iterator<Item = (NodeId, Duration)> {
        self.suspicion.ages(now)
    }

    fn polled(
        &mut self,
        now: Duration,
        map_version: i64,
        peers: &[(NodeId, i64)],
        linked: &[NodeId],
    ) -> Vec<Effect> {
        let suspects = self.suspicion.polled(now, peers);
        let mut effects: Vec<Effect> = suspects
            .into_iter()
            .filter_map(|suspect| self.declare(suspect))
            .collect();
        effects.extend(self.vote(now, peers, linked));
        if map_version > self.map.version() {
            effects.push(Effect::RefreshMap);
        } else if !self.is_in_line {
            // What has failed before is tried again.
            effects.extend(self.follow_map());
        }
        effects
    }

    fn map_changed(&mut self, map: Arc<ShardMap>) -> Vec<Effect> {
        if map.version() <= self.map.version() {
            return Vec::new();
        }
        self.map = map;
        self.follow_map()
    }

    fn declare(&mut self, suspect: Suspect) -> Option<Effect> {
        self.declaring
            .insert(suspect.node_id)
            .then_some(Effect::DeclareDead(suspect))
    }

    fn declared(&mut self, peer: NodeId, declaration: Declaration) -> Vec<Effect> {
        self.declaring.remove(&peer);
        match declaration {
            Declaration::Dead => vec![Effect::SpreadMap],
            Declaration::Alive | Declaration::Unknown => Vec::new(),
        }
    }

    /// Votes against peers that live but cannot be reached, once this node serves itself.
    fn vote(&mut self, now: Duration, peers: &[(NodeId, i64)], linked: &[NodeId]) -> Vec<Effect> {
        let serves = |id| self.map.standing_of(id).is_some_and(NodeState::serves);
        let without_session: Vec<NodeId> = peers
            .iter()
            .map(|(peer, _)| *peer)
            .filter(|peer| serves(self.config.me) && serves(*peer) && !linked.contains(peer))
            .collect();
        let mut votes = self.isolation.polled(now, &without_session);
        votes.retain(|peer| self.voting.insert(*peer));
        let vote = |peer| Effect::Vote {
            peer,
            window: VOTE_WINDOW,
        };
        votes.into_iter().map(vote).collect()
    }

    fn voted(&mut self, peer: NodeId, ballot: Ballot) -> Vec<Effect> {
        self.voting.remove(&peer);
        match ballot {
            Ballot::Dead => vec![Effect::SpreadMap],
            Ballot::Counted | Ballot::Unknown => Vec::new(),
        }
    }

    /// Finds out whether a lost peer's process is gone: then nobody holds its lock.
    fn link_down(&mut self, peer: NodeId) -> Vec<Effect> {
        let Some(node) = self.map.node(peer).filter(|node| !node.state.is_over()) else {
            return Vec::new();
        };
        if self.locks.contains_key(&peer) {
            return Vec::new();
        }
        self.locks.insert(peer, 0);
        vec![Effect::TryLock {
            peer,
            lock_key: node.lock_key,
            after: Duration::ZERO,
        }]
    }

    fn lock_tried(&mut self, peer: NodeId, lock: Lock) -> Vec<Effect> {
        let tries = self.locks.remove(&peer).unwrap_or_default() + 1;
        match lock {
            Lock::Free { seq: Some(seq) } => {
                self.declare(Suspect { node_id: peer, seq }).into_iter().collect()
            }
            Lock::Free { seq: None } => vec![Effect::RefreshMap],
            Lock::Held if tries < LOCK_TRIES => {
                let Some(node) = self.map.node(peer).filter(|node| !node.state.is_over()) else {
                    return Vec::new();
                };
                self.locks.insert(peer, tries);
                vec![Effect::TryLock {
                    peer,
                    lock_key: node.lock_key,
                    after: LOCK_PAUSE,
                }]
            }
            Lock::Held | Lock::Unknown => Vec::new(),
        }
    }

    fn claimed(&mut self, claim: Claim) -> Vec<Effect> {
        let computed_from = self.claiming.take();
        let mut effects = match claim {
            Claim::Got(leases) => {
                let new = self.holdings.take(leases);
                if new.is_empty() {
                    vec![Effect::RefreshMap]
                } else {
                    vec![Effect::Open(new), Effect::SpreadMap]
                }
            }
            Claim::Refused => vec![Effect::RefreshMap],
            Claim::Unknown => Vec::new(),
        };
        // What has become free meanwhile had to wait for this claim to end.
        if computed_from.is_some_and(|version| version < self.map.version()) {
            effects.extend(self.follow_map());
        }
        effects
    }

    fn handed_over(&mut self, to: NodeId, asked: &[Lease], hand_over: &HandOver) -> Vec<Effect> {
        let mut effects = self.holdings.handed_over(to, asked, hand_over);
        let is_known = |new: &Lease| self.map.ownership(new.service, new.shard).epoch >= new.epoch;
        match hand_over {
            HandOver::Moved(moved) if !moved.is_empty() && moved.iter().all(is_known) => {
                effects.extend(self.follow_map());
            }
            // If it is unknown whether they moved, the map will tell; until then the fence guards.
            HandOver::Moved(_) | HandOver::Unknown => effects.push(Effect::RefreshMap),
        }
        effects
    }

    /// Brings what is held in line with the map: claims, opens, closes, hands over.
    fn follow_map(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        match self.standing() {
            None | Some(NodeState::Joining) => return effects,
            Some(NodeState::Dead | NodeState::Left) => return self.supersede(),
            Some(NodeState::Active) if !self.is_leaving => effects.extend(self.claim()),
            Some(NodeState::Active | NodeState::Draining) => {}
        }
        effects.extend(self.holdings.reconcile(&self.map));
        effects.extend(self.holdings.hand_over(&self.map));
        self.is_in_line = effects.is_empty() && self.claiming.is_none();
        effects
    }

    fn claim(&mut self) -> Option<Effect> {
        if self.claiming.is_some() {
            return None;
        }
        let mut wanted = placement::to_claim(&self.map, self.config.me);
        // What was claimed since the map was read.
        wanted.retain(|(service, shard)| !self.holdings.holds(*service, *shard));
        if wanted.is_empty() {
            return None;
        }
        self.claiming = Some(self.map.version());
        Some(Effect::Claim(wanted))
    }

    /// Returns where this incarnation stands, as the map says; `None` before it was read.
    fn standing(&self) -> Option<NodeState> {
        self.map.standing_of(self.config.me)
    }

    fn supersede(&mut self) -> Vec<Effect> {
        self.is_over = true;
        vec![Effect::End]
    }
}
