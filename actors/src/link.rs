//! The link: calls between the nodes of a cluster, over one session with each peer.
//!
//! **Invariant.** A call is answered, or fails with a [`LinkError`] that says whether the peer may
//! have carried it out. It fails as soon as its session ends, and never waits past its deadline.
//!
//! `ractor_cluster` carries the bytes and authenticates by a shared cookie. It is the link and not
//! the membership: who is in the cluster stands in Postgres, and [`Link::set_peers`] is told. A
//! session is at most a hint that a peer is alive.
//!
//! ```text
//! Link
//!  |- accept loop ---- handshake (TLS, hello) --.
//!  |- dialer per peer  handshake (TLS, hello) --+-> stream -> NodeServer (ractor_cluster)
//!  |- gateway          the one remotable actor                `- a session per connection
//!  `- upkeep           keep-alives, strangers                    `- shadow of the peer's gateway
//! ```
//!
//! Most of what is here guards against something that `ractor_cluster` 0.16 does or does not do:
//!
//! - *It never drops a silent peer.* Nodes send keep-alives; calls to a peer that misses some in a row
//!   fail at once, and streams have an idle timeout.
//! - *It never connects again.* There is a dialer for each peer.
//! - *Each message costs it several tasks and a system call at either end.* Calls and answers that are
//!   ready at the same moment go in one message, if the peer's release reads those.
//! - *Its writer queue has no bound.* Calls and bytes in flight to a peer are limited, then
//!   [`LinkError::Overloaded`]; nothing is one-way but keep-alives and batches, whose
//!   calls and answers count like others.
//! - *A dropped reply or an undecodable message is silence until the deadline.* The message is plain
//!   bytes, and [`InboundReply`] answers `Internal` when dropped.
//! - *It keeps one session per name.* A name carries the incarnation, so that a restarted node does
//!   not compete with its own stale session.
//! - *It reports the end of connections that never became the session.* Only the end of the session
//!   held means that a peer is down.
//! - *It looks actors up by process-wide registries.* A peer's gateway is found among the children of
//!   this node's session with that peer, so several nodes can share a process.
//! - *Its listener does TLS handshakes one after another and knows nothing of names.* It is parked on
//!   a loopback port; streams come from our own accept loop, and a certificate must name the node
//!   that authenticates.
//! - *It logs every payload at debug level.* Keep its log target at `info` or above.

mod accept;
mod calls;
mod connection;
mod counters;
mod dial;
mod error;
mod events;
mod fault;
mod gateway;
mod handshake;
mod hub;
mod name;
mod options;
mod outbox;
mod pending;
mod roster;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod upkeep;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ractor::{Actor, ActorRef};
use ractor_cluster::node::NodeConnectionMode;
use ractor_cluster::{NodeServer, NodeServerMessage};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;
use uuid::Uuid;

pub use calls::CallCounters;
pub use counters::LinkCounters;
pub use error::{LinkError, TlsError};
pub use fault::{Direction, FaultState, FaultSwitch};
pub use gateway::{Inbound, InboundReply};
pub use handshake::{CALLER_BYTES, caller};
pub use options::{LinkOptions, Peer, TlsFiles};

use self::hub::Hub;
use crate::wire::MAX_BATCH_BYTES;
use events::Events;
use gateway::{Gateway, GatewayMessage, gateway_name};
use name::LinkName;
use tls::Tls;

/// What `ractor_cluster` adds to a frame: ids, tags and the length fields around them.
const FRAMING_BYTES: usize = 4_096;

/// How long the actors of a link that is stopped may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A change in who is connected. Peers are named by incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// Calls to this peer can be made.
    Up(Uuid),
    /// The session with this peer is lost.
    Down(Uuid),
}

/// A node's connections to its peers. Clones share them; when the last one is dropped, they end.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    hub: Arc<Hub>,
    local_addr: SocketAddr,
    gateway: ActorRef<GatewayMessage>,
    runtime: Handle,
    dialers: Mutex<HashMap<Uuid, DropGuard>>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

impl Link {
    /// Starts listening. No peer is dialed before [`set_peers`](Self::set_peers) names it.
    ///
    /// # Errors
    /// If the options contradict themselves, the address cannot be bound, the certificates cannot
    /// be used, or the actors do not start. Nothing is left running then.
    pub async fn start(options: LinkOptions, inbound: Arc<dyn Inbound>) -> Result<Self, LinkError> {
        options.validate()?;
        let tls = match &options.tls {
            Some(files) => Some(Tls::load(files, &options.node_name).await?),
            None => None,
        };
        let listen_error = |source| LinkError::Listen {
            addr: options.listen,
            source,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(listen_error)?;
        let local_addr = listener.local_addr().map_err(listen_error)?;

        let me = LinkName::new(options.node_name.clone(), options.node_id);
        let server = NodeServer::new(
            0,
            options.cookie.clone(),
            me.local(),
            me.host(),
            None,
            Some(NodeConnectionMode::Isolated),
        )
        .with_listen_addr(Ipv4Addr::LOCALHOST.into())
        .with_max_inbound_frame_size((MAX_BATCH_BYTES + FRAMING_BYTES) as u64);
        let (server, server_ended) = Actor::spawn(None, server, ()).await?;

        let hub = Arc::new(Hub::new(options, tls, server.clone()));
        let gateway = Gateway {
            hub: Arc::downgrade(&hub),
            inbound,
        };
        // The gateway stands before the first peer can come in, or that peer would not find it.
        let name = Some(gateway_name(me.id));
        let (gateway, gateway_ended) = match Actor::spawn(name, gateway, ()).await {
            Ok(spawned) => spawned,
            Err(error) => {
                server.stop(None);
                return Err(error.into());
            }
        };
        let subscription = NodeServerMessage::SubscribeToEvents {
            id: me.local(),
            subscription: Box::new(Events {
                hub: Arc::downgrade(&hub),
            }),
        };
        // Fails only if the server has ended already, which the next task notices.
        let _ = server.send_message(subscription);

        tokio::spawn(conclude(
            Arc::clone(&hub),
            gateway.clone(),
            server_ended,
            gateway_ended,
        ));
        tokio::spawn(upkeep::upkeep(Arc::clone(&hub)));
        let acceptor = tokio::spawn(accept::accept(Arc::clone(&hub), listener));
        Ok(Self {
            inner: Arc::new(Inner {
                hub,
                local_addr,
                gateway,
                runtime: Handle::current(),
                dialers: Mutex::default(),
                acceptor: Mutex::new(Some(acceptor)),
            }),
        })
    }

    /// The address that peers can dial, with the port that was actually bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr
    }

    /// This node's incarnation.
    pub fn node_id(&self) -> Uuid {
        self.inner.hub.me.id
    }

    /// Names the peers to be connected with, in place of those named before.
    ///
    /// Each is dialed until it answers, and again when its session is lost. An incarnation that is
    /// not named any more loses its session and may not come back unless it is named again. This
    /// node's own incarnation is passed over.
    pub fn set_peers(&self, peers: Vec<Peer>) {
        let hub = &self.inner.hub;
        if hub.shutdown.is_cancelled() {
            return;
        }
        // Held throughout, so that of two lists the dialers follow the one set last.
        let mut dialers = self.inner.dialers.lock();
        let (dial, forget) = hub.set_peers(peers);
        for peer in forget {
            dialers.remove(&peer);
        }
        for peer in dial {
            let token = hub.shutdown.child_token();
            dialers.insert(peer.node_id, token.clone().drop_guard());
            let dialing = dial::keep_connected(Arc::clone(hub), peer);
            self.inner
                .runtime
                .spawn(async move { token.run_until_cancelled(dialing).await });
        }
    }

    /// Sends `frame` to `peer` and returns the frame that it answers with.
    ///
    /// # Errors
    /// [`LinkError::is_certainly_undelivered`] tells whether the call may have been carried out.
    /// [`LinkError::Closed`] comes as soon as the session is lost, [`LinkError::Silent`] once the peer
    /// is found to be out of reach, [`LinkError::Timeout`] after
    /// `timeout`, everything else without waiting.
    pub async fn call(&self, peer: Uuid, frame: Vec<u8>, timeout: Duration) -> Result<Vec<u8>, LinkError> {
        let hub = &self.inner.hub;
        let counted = hub.calls.begin();
        let result = match hub.session(peer) {
            Some(session) => session.call(hub.next_call(), frame, timeout).await,
            None => Err(LinkError::NotConnected),
        };
        counted.ended(&result);
        result
    }

    /// The newest wire version that a peer is known to read: the oldest until it has told. `None` while there
    /// is no session with it.
    pub fn reads(&self, peer: Uuid) -> Option<u8> {
        let session = self.inner.hub.session(peer)?;
        Some(session.version())
    }

    /// Follows who comes and goes. A subscriber that lags should look at
    /// [`connected`](Self::connected) anew.
    pub fn subscribe(&self) -> broadcast::Receiver<LinkEvent> {
        self.inner.hub.subscribe()
    }

    /// The peers that can be called now: with a session, and not silent.
    pub fn connected(&self) -> Vec<Uuid> {
        self.inner.hub.connected()
    }

    /// What has passed between this node and all peers since the start.
    pub fn counters(&self) -> LinkCounters {
        self.inner.hub.total.snapshot()
    }

    /// Calls to all peers since the start, by how they ended.
    pub fn call_counters(&self) -> CallCounters {
        self.inner.hub.calls.snapshot()
    }

    /// What has passed between this node and one peer. Counts of peers that are neither named nor
    /// connected are forgotten.
    pub fn peer_counters(&self, peer: Uuid) -> Option<LinkCounters> {
        self.inner.hub.tally(peer).map(|tally| tally.snapshot())
    }

    /// The switch for faults, for tests of what a cluster does when its network fails.
    pub fn faults(&self) -> &FaultSwitch {
        &self.inner.hub.faults
    }

    /// Ends the link and waits until everything of it has ended. Calls in flight fail.
    pub async fn stop(&self) {
        let inner = &self.inner;
        inner.hub.shutdown.cancel();
        let acceptor = inner.acceptor.lock().take();
        if let Some(acceptor) = acceptor {
            // An error would be a panic of the loop, which has ended it as well.
            let _ = acceptor.await;
        }
        let stopping = inner.hub.server.stop_and_wait(None, Some(STOP_TIMEOUT));
        if stopping.await.is_err() {
            tracing::warn!("the link did not stop in time");
            inner.hub.server.kill();
        }
        inner.hub.ended.cancelled().await;
    }

    /// Ends the link as the death of its process would: connections break, and nothing is said.
    pub fn crash(&self) {
        self.inner.crash();
    }

    /// Waits until the link has ended, by [`stop`](Self::stop), [`crash`](Self::crash) or a failure
    /// of its own. A link that has ended stays so; its owner must start another.
    pub async fn ended(&self) {
        self.inner.hub.ended.cancelled().await;
    }
}

impl Inner {
    fn crash(&self) {
        let hub = &self.hub;
        // First, so that no actor gets to say goodbye.
        hub.faults.set(None, Direction::Both, FaultState::Cut);
        hub.shutdown.cancel();
        if let Some(acceptor) = self.acceptor.lock().take() {
            acceptor.abort();
        }
        self.gateway.kill();
        hub.server.kill();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.crash();
    }
}

/// Waits for the end of the node server or the gateway, whatever brings it about, and ends the
/// rest: neither is of use without the other.
async fn conclude(
    hub: Arc<Hub>,
    gateway: ActorRef<GatewayMessage>,
    server_ended: JoinHandle<()>,
    gateway_ended: JoinHandle<()>,
) {
    tokio::select! {
        _ = server_ended => {}
        _ = gateway_ended => {}
    }
    if !hub.shutdown.is_cancelled() {
        tracing::error!("the link has failed");
    }
    hub.shutdown.cancel();
    hub.faults.set(None, Direction::Both, FaultState::Cut);
    gateway.stop(None);
    hub.server.stop(None);
    hub.all_ended();
    hub.ended.cancel();
}
