//! Who should be connected, and who is: the decisions of the link, without its IO.
//!
//! Events come with the session that they concern, and only the session that is *held* for a peer
//! counts. `ractor_cluster` reports `disconnected` for connections that lost a simultaneous dial or
//! never authenticated too; taking those for the peer's end would tear down a healthy session.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::options::Peer;

/// How many incarnations that are gone are remembered.
const MAX_RETIRED: usize = 4_096;

/// The peers wanted and the sessions held. `K` names a session, `S` is one.
pub(super) struct Roster<K, S> {
    me: Uuid,
    /// How long a session with a peer that nobody has listed yet is kept: a joining node may dial
    /// before this node has read that it exists.
    patience: Duration,
    listed: HashMap<Uuid, Peer>,
    held: HashMap<Uuid, Held<K, S>>,
    retired: Retired,
}

struct Held<K, S> {
    key: K,
    session: S,
    since: Instant,
}

/// What a new list of peers means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changes<S> {
    /// Peers to dial from now on.
    pub(super) dial: Vec<Peer>,
    /// Peers to leave alone from now on.
    pub(super) forget: Vec<Uuid>,
    /// Sessions to end.
    pub(super) end: Vec<(Uuid, S)>,
}

/// What a session that became ready means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ready<S> {
    /// The peer was not connected and now is.
    Up,
    /// The peer was connected through this other session, which has to end.
    Replaced(S),
    /// The peer's incarnation is gone: the session must end.
    Refused,
}

impl<K: PartialEq, S: Clone> Roster<K, S> {
    pub(super) fn new(me: Uuid, patience: Duration) -> Self {
        Self {
            me,
            patience,
            listed: HashMap::new(),
            held: HashMap::new(),
            retired: Retired::default(),
        }
    }

    /// Replaces the list of peers wanted. This node may stand in it, and is passed over.
    pub(super) fn set_peers(&mut self, peers: Vec<Peer>) -> Changes<S> {
        let wanted: HashMap<Uuid, Peer> = peers
            .into_iter()
            .filter(|peer| peer.node_id != self.me)
            .map(|peer| (peer.node_id, peer))
            .collect();
        let forget: Vec<Uuid> = self
            .listed
            .keys()
            .filter(|id| !wanted.contains_key(id))
            .copied()
            .collect();
        let mut end = Vec::new();
        for &id in &forget {
            self.retired.insert(id);
            end.extend(self.held.remove(&id).map(|held| (id, held.session)));
        }
        let dial = wanted
            .values()
            .filter(|peer| self.listed.get(&peer.node_id) != Some(peer))
            .cloned()
            .collect();
        for id in wanted.keys() {
            self.retired.remove(*id);
        }
        self.listed = wanted;
        Changes { dial, forget, end }
    }

    /// Takes the sessions of peers that dialed and were not listed within the patience.
    pub(super) fn take_unlisted(&mut self, now: Instant) -> Vec<(Uuid, S)> {
        let overdue: Vec<Uuid> = self
            .held
            .iter()
            .filter(|(id, held)| {
                !self.listed.contains_key(id) && now.duration_since(held.since) >= self.patience
            })
            .map(|(id, _)| *id)
            .collect();
        overdue
            .into_iter()
            .filter_map(|id| self.held.remove(&id).map(|held| (id, held.session)))
            .collect()
    }

    /// Tells whether a session with this incarnation may come up.
    pub(super) fn welcomes(&self, peer: Uuid) -> bool {
        peer != self.me && !self.retired.contains(peer)
    }

    /// The stable name that the list has for an incarnation.
    pub(super) fn name_of(&self, peer: Uuid) -> Option<&str> {
        self.listed.get(&peer).map(|peer| peer.name.as_str())
    }

    /// Tells whether the silence of an incarnation means that it is out of reach.
    pub(super) fn keeps_alive(&self, peer: Uuid) -> bool {
        self.listed.get(&peer).is_some_and(|peer| peer.keeps_alive)
    }

    /// Takes note of a session that is ready for calls.
    pub(super) fn ready(&mut self, peer: Uuid, key: K, session: S, now: Instant) -> Ready<S> {
        if !self.welcomes(peer) {
            return Ready::Refused;
        }
        let held = Held {
            key,
            session,
            since: now,
        };
        match self.held.insert(peer, held) {
            None => Ready::Up,
            Some(replaced) => Ready::Replaced(replaced.session),
        }
    }

    /// Takes note of a session that ended; the peer is down only if it was the one held.
    pub(super) fn ended(&mut self, key: &K) -> Option<(Uuid, S)> {
        let peer = self
            .held
            .iter()
            .find_map(|(id, held)| (held.key == *key).then_some(*id))?;
        self.held.remove(&peer).map(|held| (peer, held.session))
    }

    /// Takes every session, because the link itself has ended.
    pub(super) fn take_all(&mut self) -> Vec<(Uuid, S)> {
        self.held.drain().map(|(id, held)| (id, held.session)).collect()
    }

    pub(super) fn session(&self, peer: Uuid) -> Option<&S> {
        self.held.get(&peer).map(|held| &held.session)
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = &S> {
        self.held.values().map(|held| &held.session)
    }

    #[cfg(test)]
    fn connected(&self) -> Vec<Uuid> {
        self.held.keys().copied().collect()
    }
}

/// Incarnations that were listed once and are not any more. They never return, so a straggler of
/// one is turned away; when too many are remembered, the oldest is forgotten.
#[derive(Default)]
struct Retired {
    ids: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

impl Retired {
    fn insert(&mut self, id: Uuid) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        while self.order.len() > MAX_RETIRED {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }

    fn remove(&mut self, id: Uuid) {
        if self.ids.remove(&id) {
            self.order.retain(|known| *known != id);
        }
    }

    fn contains(&self, id: Uuid) -> bool {
        self.ids.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(8);

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn peer(n: u128) -> Peer {
        Peer {
            node_id: id(n),
            name: format!("n{n}"),
            link_addr: format!("host-{n}:1"),
            keeps_alive: true,
        }
    }

    fn roster() -> Roster<u64, &'static str> {
        Roster::new(id(1), PATIENCE)
    }

    #[test]
    fn a_list_names_whom_to_dial_and_never_this_node() {
        let mut roster = roster();
        let changes = roster.set_peers(vec![peer(1), peer(2)]);
        assert_eq!(changes.dial, [peer(2)]);
        let changes = roster.set_peers(vec![peer(1), peer(2)]);
        assert_eq!(changes.dial, []);
    }

    #[test]
    fn a_peer_that_moved_is_dialed_anew() {
        let mut roster = roster();
        roster.set_peers(vec![peer(2)]);
        let mut moved = peer(2);
        moved.link_addr = "elsewhere:1".to_owned();
        assert_eq!(roster.set_peers(vec![moved.clone()]).dial, [moved]);
    }

    #[test]
    fn an_incarnation_that_left_the_list_loses_its_session_and_gets_no_other() {
        let mut roster = roster();
        roster.set_peers(vec![peer(2)]);
        assert_eq!(roster.ready(id(2), 7, "seven", Instant::now()), Ready::Up);
        let changes = roster.set_peers(vec![]);
        assert_eq!(changes.forget, [id(2)]);
        assert_eq!(changes.end, [(id(2), "seven")]);
        assert!(!roster.welcomes(id(2)));
        assert_eq!(roster.ready(id(2), 8, "eight", Instant::now()), Ready::Refused);
        roster.set_peers(vec![peer(2)]);
        assert!(roster.welcomes(id(2)));
    }

    #[test]
    fn only_the_end_of_the_session_held_takes_a_peer_down() {
        let mut roster = roster();
        roster.ready(id(2), 7, "seven", Instant::now());
        assert_eq!(roster.ended(&6), None);
        assert_eq!(
            roster.ready(id(2), 8, "eight", Instant::now()),
            Ready::Replaced("seven")
        );
        assert_eq!(roster.ended(&7), None, "seven is not held any more");
        assert_eq!(roster.ended(&8), Some((id(2), "eight")));
        assert!(roster.connected().is_empty());
    }

    #[test]
    fn a_peer_that_nobody_lists_is_kept_for_the_patience_only() {
        let mut roster = roster();
        let now = Instant::now();
        roster.ready(id(2), 7, "seven", now);
        roster.ready(id(3), 8, "eight", now);
        roster.set_peers(vec![peer(3)]);
        assert_eq!(roster.take_unlisted(now), []);
        assert_eq!(roster.take_unlisted(now + PATIENCE), [(id(2), "seven")]);
        assert_eq!(roster.connected(), [id(3)]);
    }

    #[test]
    fn what_is_remembered_of_the_gone_is_bounded() {
        let mut retired = Retired::default();
        for n in 0..=MAX_RETIRED as u128 {
            retired.insert(id(n));
        }
        assert_eq!(retired.ids.len(), MAX_RETIRED);
        assert!(!retired.contains(id(0)));
        assert!(retired.contains(id(1)));
    }
}
