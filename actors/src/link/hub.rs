//! What the parts of a link share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use ractor::{ActorId, ActorRef};
use ractor_cluster::NodeServerMessage;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::LinkEvent;
use super::calls::CallTally;
use super::counters::{Meter, Tally};
use super::fault::FaultSwitch;
use super::name::LinkName;
use super::options::{LinkOptions, Peer};
use super::outbox;
use super::pending::Pending;
use super::roster::{Ready, Roster};
use super::session::{Limits, Session};
use super::stream::LinkStream;
use super::tls::Tls;

/// How many events a subscriber may fall behind before it is told that it lags.
const EVENT_BACKLOG: usize = 1_024;

/// The shared state of one link.
pub(super) struct Hub {
    pub(super) me: LinkName,
    /// The options, without the cookie.
    pub(super) options: LinkOptions,
    pub(super) tls: Option<Tls>,
    pub(super) faults: FaultSwitch,
    pub(super) server: ActorRef<NodeServerMessage>,
    /// Cancelled when the link shall end.
    pub(super) shutdown: CancellationToken,
    /// Cancelled when the link has ended.
    pub(super) ended: CancellationToken,
    pub(super) total: Arc<Tally>,
    pub(super) calls: Arc<CallTally>,
    roster: RwLock<Roster<ActorId, Arc<Session>>>,
    tallies: Mutex<HashMap<Uuid, Arc<Tally>>>,
    events: broadcast::Sender<LinkEvent>,
    changed: watch::Sender<()>,
    labels: AtomicU64,
    /// How many calls were made.
    asked: AtomicU64,
    /// Calls that went out in batches. Whichever session an answer comes by, it is known by its number.
    pub(super) pending: Pending,
    /// Where the link's own tasks run.
    pub(super) runtime: Handle,
}

impl Hub {
    pub(super) fn new(
        mut options: LinkOptions,
        tls: Option<Tls>,
        server: ActorRef<NodeServerMessage>,
    ) -> Self {
        options.cookie.clear();
        let me = LinkName::new(options.node_name.clone(), options.node_id);
        Self {
            roster: RwLock::new(Roster::new(me.id, options.idle_timeout)),
            me,
            options,
            tls,
            faults: FaultSwitch::default(),
            server,
            shutdown: CancellationToken::new(),
            ended: CancellationToken::new(),
            total: Arc::default(),
            calls: Arc::default(),
            tallies: Mutex::default(),
            events: broadcast::Sender::new(EVENT_BACKLOG),
            changed: watch::Sender::new(()),
            labels: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            pending: Pending::default(),
            runtime: Handle::current(),
        }
    }

    /// A name for a new connection that no other of this link has.
    pub(super) fn next_label(&self) -> String {
        format!("{}#{}", self.me.host(), self.labels.fetch_add(1, Relaxed))
    }

    /// A number for a new call that no other of this link has, whatever session it goes over.
    pub(super) fn next_call(&self) -> u64 {
        self.asked.fetch_add(1, Relaxed)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            calls: self.options.max_calls_in_flight,
            bytes: self.options.max_bytes_in_flight,
            linger: self.options.idle_timeout,
        }
    }

    /// Counts for `peer`.
    pub(super) fn meter(&self, peer: Uuid) -> Meter {
        Meter {
            link: Arc::clone(&self.total),
            peer: Arc::clone(self.tallies.lock().entry(peer).or_default()),
        }
    }

    pub(super) fn tally(&self, peer: Uuid) -> Option<Arc<Tally>> {
        self.tallies.lock().get(&peer).cloned()
    }

    /// Gives a stream to `ractor_cluster`, which authenticates it and makes it a session.
    pub(super) fn hand_over(&self, stream: LinkStream, is_server: bool) {
        let message = NodeServerMessage::ConnectionOpenedExternal {
            stream: Box::new(stream),
            is_server,
        };
        if self.server.send_message(message).is_err() {
            tracing::debug!("a connection came up while the link was ending");
        }
    }

    pub(super) fn set_peers(&self, peers: Vec<Peer>) -> (Vec<Peer>, Vec<Uuid>) {
        let mut roster = self.roster.write();
        let changes = roster.set_peers(peers);
        for (peer, session) in changes.end {
            session.end("the peer is not listed any more");
            self.announce(LinkEvent::Down(peer));
        }
        (changes.dial, changes.forget)
    }

    /// Ends the sessions of strangers that nobody has listed in time, and forgets what was counted
    /// for peers that are neither listed nor connected.
    pub(super) fn tidy(&self) {
        let mut roster = self.roster.write();
        for (peer, session) in roster.take_unlisted(Instant::now()) {
            session.end("the peer was never listed");
            self.announce(LinkEvent::Down(peer));
        }
        self.tallies
            .lock()
            .retain(|peer, tally| roster.name_of(*peer).is_some() || Arc::strong_count(tally) > 1);
    }

    pub(super) fn welcomes(&self, peer: Uuid) -> bool {
        !self.shutdown.is_cancelled() && self.roster.read().welcomes(peer)
    }

    /// Tells whether `name` is what the list has for its incarnation, if it has it.
    pub(super) fn agrees_with_list(&self, name: &LinkName) -> bool {
        self.roster
            .read()
            .name_of(name.id)
            .is_none_or(|listed| listed == name.node)
    }

    /// Holds `session` for its peer from now on.
    pub(super) fn session_ready(&self, session: Session) {
        let peer = session.peer;
        let session = Arc::new(session);
        let mut roster = self.roster.write();
        if self.shutdown.is_cancelled() {
            session.end("the link is ending");
            return;
        }
        // Shows the other end what this one reads, long before the first keep-alive.
        session.beat();
        match roster.ready(peer, session.id(), Arc::clone(&session), Instant::now()) {
            Ready::Up => {
                session.meter.connected();
                self.announce(LinkEvent::Up(peer));
            }
            Ready::Replaced(loser) => {
                session.meter.connected();
                loser.end("another session took its place");
                outbox::inherit(&session, &loser);
            }
            Ready::Refused => session.end("the peer is not listed any more"),
        }
    }

    /// Lets go of the session that ended, if it was held.
    pub(super) fn session_ended(&self, id: ActorId) {
        let mut roster = self.roster.write();
        if let Some((peer, session)) = roster.ended(&id) {
            session.end("the session ended");
            self.announce(LinkEvent::Down(peer));
        }
    }

    /// Lets go of every session, because there is nothing left that could hold one.
    pub(super) fn all_ended(&self) {
        let mut roster = self.roster.write();
        for (peer, session) in roster.take_all() {
            session.end("the link ended");
            self.announce(LinkEvent::Down(peer));
        }
    }

    pub(super) fn session(&self, peer: Uuid) -> Option<Arc<Session>> {
        self.roster.read().session(peer).cloned()
    }

    /// Has every session take note of whether its peer was heard, and show it that this node lives.
    pub(super) fn keep_alive(&self) {
        let roster = self.roster.read();
        for session in roster.sessions() {
            session.keep_alive(roster.keeps_alive(session.peer));
        }
    }

    pub(super) fn connected(&self) -> Vec<Uuid> {
        let roster = self.roster.read();
        let heard = roster.sessions().filter(|session| !session.is_silent());
        heard.map(|session| session.peer).collect()
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<LinkEvent> {
        self.events.subscribe()
    }

    /// Waits until a session with `peer` is held, or until none is.
    pub(super) async fn until_held(&self, peer: Uuid, held: bool) {
        let mut changed = self.changed.subscribe();
        let as_wanted = || self.roster.read().session(peer).is_some() == held;
        while !as_wanted() {
            // Fails only if the sender is gone, and that is `self`.
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// As [`until_held`](Self::until_held), but for no longer than `limit`. Tells whether it is so.
    pub(super) async fn held_within(&self, peer: Uuid, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.until_held(peer, true))
            .await
            .is_ok()
    }

    /// Called with the roster locked, so that events come in the order of what they tell.
    fn announce(&self, event: LinkEvent) {
        // Fails only if nobody listens.
        let _ = self.events.send(event);
        self.changed.send_replace(());
    }
}
