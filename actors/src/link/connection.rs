//! What is known about one live connection, shared by its two halves, the fault switch and the
//! events of `ractor_cluster`.
//!
//! A connection's label is handed to `ractor_cluster`, which returns it as the peer's address with
//! every event: that is how an event finds its connection.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::counters::Meter;
use super::fault::FaultState;

/// One live connection.
pub(super) struct Connection {
    pub(super) label: String,
    /// The peer's certificate, if it had to show one. Says which *node* it is, not which
    /// incarnation: that is for the authenticated name to claim and for us to compare.
    pub(super) certificate: Option<CertificateDer<'static>>,
    /// Cancelled when the connection has ended, whoever ended it.
    pub(super) closed: CancellationToken,
    pub(super) inbound: Gate,
    pub(super) outbound: Gate,
    peer: OnceLock<Uuid>,
    meter: OnceLock<Meter>,
    verified: AtomicBool,
    /// Whether the peer was heard since that was last asked.
    heard: AtomicBool,
}

impl Connection {
    pub(super) fn new(label: String, certificate: Option<CertificateDer<'static>>) -> Self {
        Self {
            label,
            certificate,
            closed: CancellationToken::new(),
            inbound: Gate::default(),
            outbound: Gate::default(),
            peer: OnceLock::new(),
            meter: OnceLock::new(),
            verified: AtomicBool::new(false),
            heard: AtomicBool::new(true),
        }
    }

    /// The incarnation that the peer gave in its hello.
    pub(super) fn peer(&self) -> Option<Uuid> {
        self.peer.get().copied()
    }

    /// Records the incarnation that the peer gave; the first one stays.
    pub(super) fn bind(&self, peer: Uuid) {
        let _ = self.peer.set(peer);
    }

    /// Where what passes is counted, once the hello is over.
    pub(super) fn meter(&self) -> Option<&Meter> {
        self.meter.get()
    }

    /// Records where to count; the first meter stays.
    pub(super) fn count(&self, meter: Meter) {
        let _ = self.meter.set(meter);
    }

    /// Records that the authenticated name agrees with the hello and the certificate.
    pub(super) fn verify(&self) {
        self.verified.store(true, SeqCst);
    }

    pub(super) fn is_verified(&self) -> bool {
        self.verified.load(SeqCst)
    }

    /// Records that the peer was heard.
    pub(super) fn hear(&self) {
        self.heard.store(true, SeqCst);
    }

    /// Tells whether the peer was heard since this was last asked.
    pub(super) fn was_heard(&self) -> bool {
        self.heard.swap(false, SeqCst)
    }

    /// Breaks the connection off at once. Nothing more is read or written.
    pub(super) fn cut(&self) {
        self.inbound.set(FaultState::Cut);
        self.outbound.set(FaultState::Cut);
    }
}

/// One direction of a connection: open, stopped up, or broken for good.
#[derive(Default)]
pub(super) struct Gate {
    state: AtomicU8,
    waker: AtomicWaker,
}

const OPEN: u8 = 0;
const BLACK_HOLE: u8 = 1;
const CUT: u8 = 2;

impl Gate {
    /// Changes the state and wakes the half that waits at the gate. A cut is for good: the bytes
    /// that would have passed meanwhile are lost, so the stream could not be taken up again.
    pub(super) fn set(&self, state: FaultState) {
        let wanted = match state {
            FaultState::Open => OPEN,
            FaultState::BlackHole => BLACK_HOLE,
            FaultState::Cut => CUT,
        };
        let _ = self
            .state
            .fetch_update(SeqCst, SeqCst, |now| (now != CUT).then_some(wanted));
        self.waker.wake();
    }

    /// Ready when bytes may pass, pending while they may not.
    pub(super) fn poll_open(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        // Registered even when open: the half goes on to wait for its socket, and a fault must be
        // able to wake it there.
        self.waker.register(context.waker());
        match self.state.load(SeqCst) {
            OPEN => Poll::Ready(Ok(())),
            BLACK_HOLE => Poll::Pending,
            _ => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}
