//! The network between the nodes, and between them and the database, with a
//! switch in every direction.
//!
//! Each node is told to advertise a relay instead of its link, and is given a
//! socket of its own that leads to the database. A relay carries bytes from
//! one place to another as long as the way between them is open, one way or
//! both ways. It needs no privileges and no particular system, unlike network
//! namespaces; what it cannot imitate is a network that loses single packets.
//!
//! Invariant: bytes pass a relay in order or not at all. Held bytes arrive
//! late, as they do under TCP when a partition heals before anybody gives up.

mod caller;
mod relay;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use holdfast_store::Store;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::Secret;
use crate::postgres;
use crate::private_file;
use crate::up::Grounds;
use caller::Callers;

/// How long to wait when the system refuses to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where bytes come from and go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// A node, by its index.
    Node(usize),
    Database,
}

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flow {
    #[default]
    Open,
    /// They are held back; nobody is told.
    Held,
    /// Connections break, and none comes up.
    Cut,
}

/// A way from one place to another.
pub(super) type Way = (Place, Place);

/// All relays of a cluster. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Network {
    gates: Arc<HashMap<Way, Gate>>,
    blocks: Arc<Mutex<Vec<Block>>>,
}

/// Ways that are blocked together.
#[derive(Clone, Debug)]
struct Block {
    id: u64,
    ways: Vec<Way>,
    flow: Flow,
}

/// What may pass on one way, and what has.
#[derive(Clone, Debug, Default)]
struct Gate {
    flow: watch::Sender<Flow>,
    /// Bytes since the beginning.
    passed: watch::Sender<u64>,
}

/// Both directions of a connection, seen from the end that made it.
#[derive(Clone, Debug)]
struct Ways {
    there: Gate,
    back: Gate,
}

impl Network {
    /// Lays relays in the files of `directory` and sends the nodes that are to
    /// be launched through them. The relays end with the runtime.
    pub(super) async fn lay(grounds: &mut Grounds, store: &Store, directory: &Path) -> anyhow::Result<Self> {
        let instance = grounds
            .instance()
            .context("the database is not ours to cut off")?;
        let database = instance.socket.clone();
        let network = Self::open(grounds.plans.len());
        let names = grounds.plans.iter().map(|plan| plan.name.clone()).collect();
        let callers = Arc::new(Callers::new(store.clone(), names));
        private_file::make_directory(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        for (index, plan) in grounds.plans.iter_mut().enumerate() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            plan.advertise = Some(listener.local_addr()?.to_string());
            tokio::spawn(relay_links(
                network.clone(),
                Arc::clone(&callers),
                listener,
                index,
                reachable(plan.link),
            ));
            let sockets = directory.join(&plan.name);
            private_file::make_directory(&sockets)
                .with_context(|| format!("cannot make {}", sockets.display()))?;
            let socket = postgres::socket_in(&sockets);
            let listener = UnixListener::bind(&socket)
                .with_context(|| format!("cannot listen on {}", socket.display()))?;
            plan.database_url = Some(Secret::new(postgres::url_of_socket_in(&sockets)?));
            let ways = network.ways(Place::Node(index), Place::Database);
            tokio::spawn(relay_sessions(listener, database.clone(), ways));
        }
        Ok(network)
    }

    /// Makes the gates for this many nodes, all open.
    fn open(nodes: usize) -> Self {
        let places = (0..nodes).map(Place::Node).chain([Place::Database]);
        let gates = places
            .clone()
            .flat_map(|from| places.clone().map(move |to| (from, to)))
            .filter(|(from, to)| from != to)
            .map(|way| (way, Gate::default()))
            .collect();
        Self {
            gates: Arc::new(gates),
            blocks: Arc::default(),
        }
    }

    /// Blocks `ways` until they are [released](Self::release) under the id
    /// returned. Of several blocks on one way the worst one counts.
    pub(super) fn block(&self, ways: Vec<Way>, flow: Flow) -> u64 {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let id = blocks.iter().map(|block| block.id + 1).max().unwrap_or(0);
        blocks.push(Block { id, ways, flow });
        self.apply(&blocks);
        id
    }

    /// Takes a block away.
    pub(super) fn release(&self, id: u64) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.retain(|block| block.id != id);
        self.apply(&blocks);
    }

    /// Waits until this many more bytes have passed on a way.
    pub(super) async fn until_passed(&self, way: Way, bytes: u64) {
        let mut passed = self.gates[&way].passed.subscribe();
        let enough = *passed.borrow() + bytes;
        // Fails only if the gate is gone, and that is held here.
        let _ = passed.wait_for(|passed| *passed >= enough).await;
    }

    fn apply(&self, blocks: &[Block]) {
        for (way, gate) in self.gates.iter() {
            let worst = blocks
                .iter()
                .filter(|block| block.ways.contains(way))
                .map(|block| block.flow)
                .max()
                .unwrap_or_default();
            gate.flow.send_if_modified(|flow| {
                let changes = *flow != worst;
                *flow = worst;
                changes
            });
        }
    }

    fn ways(&self, from: Place, to: Place) -> Ways {
        let gate = |way| self.gates[&way].clone();
        Ways {
            there: gate((from, to)),
            back: gate((to, from)),
        }
    }
}

/// Relays what nodes send to the link of the node `to` at `address`.
async fn relay_links(
    network: Network,
    callers: Arc<Callers>,
    listener: TcpListener,
    to: usize,
    address: SocketAddr,
) {
    loop {
        let Ok((mut dialer, _)) = listener.accept().await else {
            // For want of descriptors, say: they come back.
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (network, callers) = (network.clone(), Arc::clone(&callers));
        tokio::spawn(async move {
            let Some((from, hello)) = callers.identify(&mut dialer).await else {
                return;
            };
            let ways = network.ways(Place::Node(from), Place::Node(to));
            if let Ok(link) = TcpStream::connect(address).await {
                // Where this cannot be set, bytes only arrive later.
                let _ = link.set_nodelay(true).and_then(|()| dialer.set_nodelay(true));
                relay::carry(dialer, link, hello, ways).await;
            }
        });
    }
}

/// Relays a node's sessions with the database.
async fn relay_sessions(listener: UnixListener, database: PathBuf, ways: Ways) {
    loop {
        let Ok((node, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (database, ways) = (database.clone(), ways.clone());
        tokio::spawn(async move {
            // While the server is down the node's connection breaks, as it
            // would if nothing listened.
            if let Ok(server) = UnixStream::connect(&database).await {
                relay::carry(node, server, Vec::new(), ways).await;
            }
        });
    }
}

/// Where this machine reaches a listener on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::{Flow, Network, Place};

    fn flow(network: &Network, from: Place, to: Place) -> Flow {
        *network.ways(from, to).there.flow.borrow()
    }

    #[test]
    fn a_block_concerns_its_ways_and_their_direction_alone() {
        let network = Network::open(3);
        let (a, b) = (Place::Node(0), Place::Node(1));
        network.block(vec![(a, b)], Flow::Held);
        assert_eq!(flow(&network, a, b), Flow::Held);
        assert_eq!(flow(&network, b, a), Flow::Open);
        assert_eq!(flow(&network, a, Place::Database), Flow::Open);
    }

    #[test]
    fn of_two_blocks_the_worst_counts_until_it_is_released() {
        let network = Network::open(2);
        let way = (Place::Node(0), Place::Database);
        let held = network.block(vec![way], Flow::Held);
        let cut = network.block(vec![way], Flow::Cut);
        assert_eq!(flow(&network, way.0, way.1), Flow::Cut);
        network.release(cut);
        assert_eq!(flow(&network, way.0, way.1), Flow::Held);
        network.release(held);
        assert_eq!(flow(&network, way.0, way.1), Flow::Open);
    }
}
