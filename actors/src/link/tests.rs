//! Nodes of one process, over real sockets.

mod calls;
mod faults;
mod identity;
mod sessions;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use ractor_cluster::NodeServerMessage;
use uuid::Uuid;

use super::*;
use crate::wire::{MAX_FRAME_BYTES, OLDEST_VERSION};

/// Long enough for anything that is going to happen, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn options(name: &str) -> LinkOptions {
    LinkOptions {
        yield_delay: Duration::from_millis(20),
        redial_min: Duration::from_millis(5),
        redial_max: Duration::from_millis(50),
        // Tests of silence have less patience; the others are not to depend on it.
        silent_after: Duration::from_mins(1),
        settle_after: Duration::from_millis(20),
        ..LinkOptions::new(name, Uuid::now_v7(), "a cookie", loopback())
    }
}

/// Does with a call what its frame says.
#[derive(Default)]
struct Handler {
    who: Vec<u8>,
    calls: AtomicUsize,
    held: Mutex<Vec<InboundReply>>,
}

impl Inbound for Handler {
    fn call(&self, from: Uuid, frame: Vec<u8>, reply: InboundReply) {
        self.calls.fetch_add(1, SeqCst);
        match frame.as_slice() {
            b"who are you" => reply.send(self.who.clone()),
            b"who am I" => reply.send(from.as_bytes().to_vec()),
            b"drop this" => drop(reply),
            b"panic" => panic!("a handler that fails"),
            b"too much" => reply.send(vec![0; MAX_FRAME_BYTES + 1]),
            b"hold this" => self.held.lock().push(reply),
            _ => reply.send(frame),
        }
    }
}

/// A link with a handler behind it.
struct Node {
    link: Link,
    name: String,
    handler: Arc<Handler>,
}

impl Node {
    async fn start(options: LinkOptions) -> Self {
        let name = options.node_name.clone();
        let handler = Arc::new(Handler {
            who: options.node_id.as_bytes().to_vec(),
            ..Handler::default()
        });
        let inbound: Arc<dyn Inbound> = handler.clone();
        let link = Link::start(options, inbound).await.expect("the link starts");
        Self { link, name, handler }
    }

    fn id(&self) -> Uuid {
        self.link.node_id()
    }

    fn peer(&self) -> Peer {
        Peer {
            node_id: self.id(),
            name: self.name.clone(),
            link_addr: self.link.local_addr().to_string(),
            keeps_alive: true,
        }
    }

    fn wire_version(&self) -> u8 {
        self.link.inner.hub.options.wire_version
    }

    /// Tells whether this node's session with another has come to speak a wire version.
    fn speaks_with(&self, other: &Self, version: u8) -> bool {
        let session = self.link.inner.hub.session(other.id());
        session.is_some_and(|session| {
            session.version() == version && session.speaks_batches() == (version > OLDEST_VERSION)
        })
    }

    fn sees(&self, other: &Self) -> bool {
        self.link.connected().contains(&other.id())
    }

    async fn ask(&self, other: &Self, question: &[u8]) -> Result<Vec<u8>, LinkError> {
        self.link.call(other.id(), question.to_vec(), PATIENCE).await
    }

    fn calls(&self) -> usize {
        self.handler.calls.load(SeqCst)
    }

    fn held(&self) -> usize {
        self.handler.held.lock().len()
    }

    fn answer_held(&self, frame: &[u8]) {
        for reply in self.handler.held.lock().drain(..) {
            reply.send(frame.to_vec());
        }
    }

    /// How many authenticated sessions `ractor_cluster` has.
    async fn sessions(&self) -> usize {
        ractor::call_t!(self.link.inner.hub.server, NodeServerMessage::GetSessions, 5_000)
            .expect("the node server answers")
            .len()
    }
}

/// Tells every node about every other and waits until they are connected.
async fn connect(nodes: &[&Node]) {
    for node in nodes {
        node.link
            .set_peers(nodes.iter().map(|node| node.peer()).collect());
    }
    connected(nodes).await;
}

/// Waits until every node is connected with every other.
async fn connected(nodes: &[&Node]) {
    until("all are connected", || {
        nodes.iter().all(|one| {
            nodes
                .iter()
                .all(|other| one.id() == other.id() || one.sees(other))
        })
    })
    .await;
}

/// Two nodes of a release that knows no batches, one of such and one of this, and two of this; each pair
/// connected and speaking what it can.
async fn pairs(adjust: impl Fn(&mut LinkOptions)) -> Vec<(Node, Node)> {
    let mut pairs = Vec::new();
    for versions in [[1, 1], [1, 2], [2, 2]] {
        let mut versions = versions.into_iter();
        let (one, two) = pair_with(|options| {
            options.wire_version = versions.next().expect("one for each");
            adjust(options);
        })
        .await;
        let common = one.wire_version().min(two.wire_version());
        until("both speak what they can", || {
            one.speaks_with(&two, common) && two.speaks_with(&one, common)
        })
        .await;
        pairs.push((one, two));
    }
    pairs
}

/// Two nodes, connected.
async fn pair() -> (Node, Node) {
    pair_with(|_| {}).await
}

async fn pair_with(mut adjust: impl FnMut(&mut LinkOptions)) -> (Node, Node) {
    let mut start = async |name| {
        let mut options = options(name);
        adjust(&mut options);
        Node::start(options).await
    };
    let (one, two) = (start("n1").await, start("n2").await);
    connect(&[&one, &two]).await;
    (one, two)
}
