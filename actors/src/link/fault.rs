//! The fault switch: partitions without a network to partition.
//!
//! A black hole keeps bytes back rather than losing them, as a real partition does under TCP: if it
//! heals before anybody's patience ends, everything that was held arrives, late. A cut breaks the
//! connections and refuses new ones. Each direction has its own state, so that one node can hear
//! another without being heard.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use uuid::Uuid;

use super::connection::Connection;

/// What happens to bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultState {
    /// They pass.
    #[default]
    Open,
    /// They are held back; nobody is told.
    BlackHole,
    /// The connection breaks, in both directions, and none comes up.
    Cut,
}

/// Which bytes a fault concerns, seen from the node whose switch it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Those that the node receives.
    Inbound,
    /// Those that the node sends.
    Outbound,
    /// All of them.
    Both,
}

/// Sets faults on the connections of one node, for everything or for one peer.
///
/// Between a fault for everything and one for a peer the worse one counts.
#[derive(Default)]
pub struct FaultSwitch {
    board: Mutex<Board>,
}

#[derive(Default)]
struct Board {
    everything: Fault,
    peers: HashMap<Uuid, Fault>,
    connections: HashMap<String, Weak<Connection>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Fault {
    inbound: FaultState,
    outbound: FaultState,
}

impl Fault {
    fn set(&mut self, direction: Direction, state: FaultState) {
        if direction != Direction::Outbound {
            self.inbound = state;
        }
        if direction != Direction::Inbound {
            self.outbound = state;
        }
    }

    fn worse(self, other: Self) -> Self {
        Self {
            inbound: self.inbound.max(other.inbound),
            outbound: self.outbound.max(other.outbound),
        }
    }
}

impl Board {
    fn apply(&self, connection: &Connection) {
        let own = connection.peer().and_then(|peer| self.peers.get(&peer));
        let fault = self.everything.worse(own.copied().unwrap_or_default());
        if fault.inbound == FaultState::Cut || fault.outbound == FaultState::Cut {
            connection.cut();
        } else {
            connection.inbound.set(fault.inbound);
            connection.outbound.set(fault.outbound);
        }
    }

    fn apply_all(&self) {
        for connection in self.connections.values().filter_map(Weak::upgrade) {
            self.apply(&connection);
        }
    }
}

impl FaultSwitch {
    /// Sets the state of one direction, for `peer` or, if none is given, for everything.
    pub fn set(&self, peer: Option<Uuid>, direction: Direction, state: FaultState) {
        let mut board = self.board.lock();
        match peer {
            None => board.everything.set(direction, state),
            Some(peer) => {
                let fault = board.peers.entry(peer).or_default();
                fault.set(direction, state);
                if *fault == Fault::default() {
                    board.peers.remove(&peer);
                }
            }
        }
        board.apply_all();
    }

    /// Takes every fault back.
    pub fn heal(&self) {
        let mut board = self.board.lock();
        board.everything = Fault::default();
        board.peers.clear();
        board.apply_all();
    }

    /// Puts a new connection under the switch. While its peer is unknown, only the faults for
    /// everything concern it.
    pub(super) fn admit(&self, connection: &Arc<Connection>) {
        let mut board = self.board.lock();
        board.connections.retain(|_, known| known.strong_count() > 0);
        board
            .connections
            .insert(connection.label.clone(), Arc::downgrade(connection));
        board.apply(connection);
    }

    /// Records whom a connection leads to, and puts it under that peer's faults.
    pub(super) fn bind(&self, connection: &Connection, peer: Uuid) {
        let board = self.board.lock();
        connection.bind(peer);
        board.apply(connection);
    }

    /// Finds a live connection by its label.
    pub(super) fn find(&self, label: &str) -> Option<Arc<Connection>> {
        self.board.lock().connections.get(label)?.upgrade()
    }

    /// How many connections there are, sessions or not.
    #[cfg(test)]
    pub(super) fn live_connections(&self) -> usize {
        let board = self.board.lock();
        let known = board.connections.values();
        known.filter(|known| known.strong_count() > 0).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::task::{Context, Poll, Waker};

    fn passes(connection: &Connection) -> (bool, bool) {
        let context = Context::from_waker(Waker::noop());
        let open = |poll| matches!(poll, Poll::Ready(Ok(())));
        (
            open(connection.inbound.poll_open(&context)),
            open(connection.outbound.poll_open(&context)),
        )
    }

    fn connection(switch: &FaultSwitch, label: &str, peer: u128) -> Arc<Connection> {
        let connection = Arc::new(Connection::new(label.to_owned(), None));
        switch.admit(&connection);
        switch.bind(&connection, Uuid::from_u128(peer));
        connection
    }

    #[test]
    fn a_fault_concerns_one_direction_of_one_peer() {
        let switch = FaultSwitch::default();
        let one = connection(&switch, "one", 1);
        let two = connection(&switch, "two", 2);
        let peer = Some(Uuid::from_u128(1));
        switch.set(peer, Direction::Inbound, FaultState::BlackHole);
        assert_eq!(passes(&one), (false, true));
        assert_eq!(passes(&two), (true, true));
        switch.set(peer, Direction::Inbound, FaultState::Open);
        assert_eq!(passes(&one), (true, true));
    }

    #[test]
    fn the_worse_of_two_faults_counts() {
        let switch = FaultSwitch::default();
        switch.set(None, Direction::Outbound, FaultState::BlackHole);
        let one = connection(&switch, "one", 1);
        assert_eq!(passes(&one), (true, false));
        switch.set(Some(Uuid::from_u128(1)), Direction::Outbound, FaultState::Open);
        assert_eq!(passes(&one), (true, false));
        switch.heal();
        assert_eq!(passes(&one), (true, true));
    }

    #[test]
    fn a_cut_connection_stays_cut_after_healing_and_a_new_one_is_whole() {
        let switch = FaultSwitch::default();
        let one = connection(&switch, "one", 1);
        switch.set(None, Direction::Inbound, FaultState::Cut);
        switch.heal();
        assert_eq!(passes(&one), (false, false));
        let next = connection(&switch, "next", 1);
        assert_eq!(passes(&next), (true, true));
    }

    #[test]
    fn a_connection_that_ended_is_forgotten() {
        let switch = FaultSwitch::default();
        drop(connection(&switch, "one", 1));
        assert!(switch.find("one").is_none());
        let two = connection(&switch, "two", 2);
        assert!(switch.find("two").is_some_and(|found| Arc::ptr_eq(&found, &two)));
        assert_eq!(switch.board.lock().connections.len(), 1);
    }
}
