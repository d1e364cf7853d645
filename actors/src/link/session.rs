//! A session that is held with a peer, and the calls in flight over it.
//!
//! The gateway's shadow is looked up once, when the session becomes ready, among the children of
//! *this* session: process groups and registries are shared by all nodes of a process, and ids of
//! remote actors are only unique within a session.
//!
//! A peer is silent when so many of this node's own keep-alives in a row went out without a byte from
//! it. It is shown no more keep-alives then, so that one that hears but is not heard finds out as well.
//! The session is kept: what was sent into the silence arrives when it ends, and whoever gets it is
//! heard again.
//!
//! A call counts as in flight until it is answered, its session ends, or `idle_timeout` has passed,
//! even if its caller stopped waiting long before: its frame may still stand in the session's
//! writer queue, which has no bound of its own. A peer that takes nothing is dropped after that
//! time together with its queue, so the queue never holds more than the limits below.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use ractor::concurrency::{OneshotReceiver, oneshot};
use ractor::{ActorId, ActorRef};
use ractor_cluster::NodeSessionMessage;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::connection::Connection;
use super::counters::Meter;
use super::error::LinkError;
use super::gateway::{GatewayMessage, gateway_name};
use super::hub::Hub;
use super::outbox::{self, Outbox};
use super::pending::{Expected, Pending};
use super::upkeep::BEATS_PER_TIMEOUT;
use crate::wire::{self, MAX_FRAME_BYTES, OLDEST_VERSION, Parcel};

/// How much may be in flight to one peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) calls: usize,
    pub(super) bytes: usize,
    /// How long a call without an answer is taken to be in flight.
    pub(super) linger: Duration,
}

/// A session that is ready for calls.
pub(super) struct Session {
    me: Uuid,
    pub(super) peer: Uuid,
    pub(super) meter: Meter,
    pub(super) outbox: Outbox,
    actor: ActorRef<NodeSessionMessage>,
    gateway: ActorRef<GatewayMessage>,
    connection: Arc<Connection>,
    ended: CancellationToken,
    /// Keep-alives since the peer was last heard.
    unheard: AtomicU32,
    silent: watch::Sender<bool>,
    linger: Duration,
    calls: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    pending: Pending,
    runtime: Handle,
    /// From when on the other end holds this very session, if any.
    settled_at: Instant,
    /// The newest wire version that this end speaks.
    newest: u8,
    /// The newest wire version that both ends speak, as far as the peer has told.
    version: AtomicU8,
}

impl Session {
    /// Finds the gateway of `peer` among the children of its session; nothing, if the peer has
    /// not advertised one.
    pub(super) fn new(
        hub: &Hub,
        peer: Uuid,
        actor: ActorRef<NodeSessionMessage>,
        connection: Arc<Connection>,
        meter: Meter,
    ) -> Option<Self> {
        let limits = hub.limits();
        let name = gateway_name(peer);
        let gateway = actor
            .get_children()
            .into_iter()
            .find(|child| !child.get_id().is_local() && child.get_name().as_ref() == Some(&name))?;
        Some(Self {
            me: hub.me.id,
            peer,
            meter,
            outbox: Outbox::default(),
            actor,
            gateway: gateway.into(),
            connection,
            ended: CancellationToken::new(),
            unheard: AtomicU32::new(0),
            silent: watch::Sender::new(false),
            linger: limits.linger,
            calls: Arc::new(Semaphore::new(limits.calls)),
            bytes: Arc::new(Semaphore::new(limits.bytes)),
            pending: hub.pending.clone(),
            runtime: hub.runtime.clone(),
            settled_at: Instant::now() + hub.options.settle_after,
            newest: hub.options.wire_version,
            version: AtomicU8::new(OLDEST_VERSION),
        })
    }

    pub(super) fn id(&self) -> ActorId {
        self.actor.get_id()
    }

    /// Sends `frame` as this node's call `id`, and waits for the answer for no longer than `timeout`.
    pub(super) async fn call(
        self: &Arc<Self>,
        id: u64,
        frame: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<u8>, LinkError> {
        let deadline = Instant::now() + timeout;
        let mut silent = self.silent.subscribe();
        if *silent.borrow_and_update() {
            return Err(LinkError::NotConnected);
        }
        let admitted = self.admit(frame.len())?;
        let linger = timeout.max(self.linger);
        let (answer, expected) = self.send(id, frame, linger)?;
        let mut in_flight = InFlight {
            waiting: Some((answer, admitted, expected)),
            until: Instant::now() + linger,
            ended: self.ended.clone(),
        };
        self.meter.called();
        tokio::select! {
            biased;
            answer = in_flight.answer() => answer,
            () = self.ended.cancelled() => Err(LinkError::Closed),
            _ = silent.wait_for(|silent| *silent) => Err(LinkError::Silent),
            () = sleep_until(deadline) => Err(LinkError::Timeout),
        }
    }

    /// Sends a call in the newest way that the peer is able to read.
    fn send(
        self: &Arc<Self>,
        id: u64,
        frame: Vec<u8>,
        linger: Duration,
    ) -> Result<(OneshotReceiver<Vec<u8>>, Option<Expected>), LinkError> {
        if self.speaks_batches() {
            let (answer, expected) = self.pending.expect(id);
            outbox::send(self, Parcel::Call { id, frame });
            return Ok((answer, Some(expected)));
        }
        let (port, answer) = oneshot();
        let call = GatewayMessage::Call {
            from: self.me,
            frame,
            reply: (port, linger).into(),
        };
        if self.gateway.send_message(call).is_err() {
            self.lose_gateway();
            return Err(LinkError::NotConnected);
        }
        Ok((answer, None))
    }

    /// Tells whether calls may go in batches. Their answers come by whatever session the other end holds:
    /// two that dialed each other at once may still disagree about that when this one is new.
    pub(super) fn speaks_batches(&self) -> bool {
        self.version() > OLDEST_VERSION && Instant::now() >= self.settled_at
    }

    /// Where tasks of this session run, whoever begins them.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Sends what has come together.
    pub(super) fn send_batch(&self, parcels: &[Parcel]) {
        match wire::encode_batch(parcels) {
            Ok(batch) => {
                if self
                    .gateway
                    .send_message(GatewayMessage::Batch { from: self.me, batch })
                    .is_err()
                {
                    self.lose_gateway();
                }
            }
            // Nobody would ever answer.
            Err(error) => {
                tracing::error!(%error, "a batch could not be encoded");
                self.end("a batch could not be encoded");
            }
        }
    }

    /// Learns the newest wire version that the peer reads.
    pub(super) fn peer_reads(&self, version: u8) {
        let version = version.min(self.newest);
        if self.version.swap(version, Relaxed) != version {
            // It may have had no session yet to hear by when this node showed itself first.
            self.beat();
        }
    }

    /// The peer's gateway is gone though its session is not: only a new session can tell whether another
    /// has taken its place.
    fn lose_gateway(&self) {
        self.end("the gateway is gone");
    }

    /// Takes note of whether the peer was heard, and shows it that this node is alive.
    /// `ractor_cluster`'s own pings come up to five seconds apart, which would not do.
    ///
    /// `tells` says whether the peer's silence means anything.
    pub(super) fn keep_alive(&self, tells: bool) {
        let unheard = if self.connection.was_heard() {
            0
        } else {
            self.unheard.load(Relaxed).saturating_add(1)
        };
        self.unheard.store(unheard, Relaxed);
        let is_silent = tells && unheard >= BEATS_PER_TIMEOUT;
        self.silent
            .send_if_modified(|silent| std::mem::replace(silent, is_silent) != is_silent);
        if !is_silent {
            self.beat();
        }
    }

    /// Shows the peer that this node is alive, and what it reads.
    pub(super) fn beat(&self) {
        let beat = GatewayMessage::Beat {
            from: self.me,
            reads: self.newest,
        };
        let _ = self.gateway.send_message(beat);
    }

    /// Tells whether the peer is out of reach though the session is up.
    pub(super) fn is_silent(&self) -> bool {
        *self.silent.borrow()
    }

    /// Ends the session: calls in flight fail at once, and the connection is broken off.
    pub(super) fn end(&self, reason: &str) {
        self.ended.cancel();
        self.actor.stop(Some(reason.to_owned()));
        self.connection.cut();
    }

    /// The newest wire version that both ends are known to speak.
    pub(super) fn version(&self) -> u8 {
        self.version.load(Relaxed)
    }

    /// Tells whether no call is in flight.
    #[cfg(test)]
    pub(super) fn is_idle(&self, limits: Limits) -> bool {
        self.calls.available_permits() == limits.calls
    }

    fn admit(&self, size: usize) -> Result<Admitted, LinkError> {
        if size > MAX_FRAME_BYTES {
            return Err(LinkError::FrameTooLarge { size });
        }
        let take = |room: &Arc<Semaphore>, amount| {
            Arc::clone(room)
                .try_acquire_many_owned(amount)
                .map_err(|_| LinkError::Overloaded)
        };
        let bytes = u32::try_from(size).map_err(|_| LinkError::FrameTooLarge { size })?;
        Ok(Admitted {
            _call: take(&self.calls, 1)?,
            _bytes: take(&self.bytes, bytes)?,
        })
    }
}

/// Room taken up by one call.
struct Admitted {
    _call: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// A call that has been sent. If its caller leaves, its room is kept until it is over.
struct InFlight {
    waiting: Option<(OneshotReceiver<Vec<u8>>, Admitted, Option<Expected>)>,
    until: Instant,
    ended: CancellationToken,
}

impl InFlight {
    async fn answer(&mut self) -> Result<Vec<u8>, LinkError> {
        let Some((answer, ..)) = &mut self.waiting else {
            return Err(LinkError::Closed);
        };
        let outcome = answer.await.map_err(|_| LinkError::Closed);
        self.waiting = None;
        outcome
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let Some((answer, admitted, expected)) = self.waiting.take() else {
            return;
        };
        // Outside a runtime everything is ending anyway, the session included.
        if let Ok(runtime) = Handle::try_current() {
            let (until, ended) = (self.until, self.ended.clone());
            runtime.spawn(async move {
                let _ = ended.run_until_cancelled(timeout_at(until, answer)).await;
                drop((admitted, expected));
            });
        }
    }
}
