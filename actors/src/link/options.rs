//! What a link is told at its start.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use super::error::LinkError;
use crate::wire::{MAX_FRAME_BYTES, NEWEST_VERSION, OLDEST_VERSION};

/// Files of the certificate that a node proves its name with.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The authorities whose certificates are accepted, in PEM.
    pub ca: PathBuf,
    /// This node's certificate chain, in PEM; its name must be the node's name.
    pub cert: PathBuf,
    /// The private key of that certificate, in PEM.
    pub key: PathBuf,
}

/// Configuration of a [`Link`](super::Link).
#[derive(Clone)]
pub struct LinkOptions {
    /// The node's stable name, such as `n1`. With TLS it is the name in the certificate.
    pub node_name: String,
    /// The node's incarnation: new at every start of the process.
    pub node_id: Uuid,
    /// The secret that all nodes of a cluster share. Never shown.
    pub cookie: String,
    /// Where to listen for peers; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Mutual TLS, if the network is not trusted.
    pub tls: Option<TlsFiles>,
    /// How long a peer that keeps alive may be silent before it counts as out of reach: calls to it fail
    /// at once until it is heard again. A quarter of it is the pause between keep-alives.
    pub silent_after: Duration,
    /// How long a peer may be silent, or refuse to take bytes, before its session is dropped.
    pub idle_timeout: Duration,
    /// How long connecting, the TLS handshake and the hello may take together.
    pub handshake_timeout: Duration,
    /// How many calls to one peer may be unanswered at a time.
    pub max_calls_in_flight: usize,
    /// How many bytes the unanswered calls to one peer may hold together.
    pub max_bytes_in_flight: usize,
    /// How long after its beginning a session is taken for the one that both ends hold.
    pub settle_after: Duration,
    /// The newest wire version to speak; older ones are spoken with peers that know no newer.
    pub wire_version: u8,
    /// How long to wait before dialing again after the first failure.
    pub redial_min: Duration,
    /// How long to wait before dialing again at most.
    pub redial_max: Duration,
    /// How long the end whose connection would lose a simultaneous dial waits before it dials.
    pub yield_delay: Duration,
}

impl LinkOptions {
    /// Returns the defaults for a node: no TLS, limits and timeouts as the design has them.
    pub fn new(
        node_name: impl Into<String>,
        node_id: Uuid,
        cookie: impl Into<String>,
        listen: SocketAddr,
    ) -> Self {
        Self {
            node_name: node_name.into(),
            node_id,
            cookie: cookie.into(),
            listen,
            tls: None,
            silent_after: Duration::from_millis(600),
            idle_timeout: Duration::from_secs(8),
            handshake_timeout: Duration::from_secs(3),
            max_calls_in_flight: 512,
            max_bytes_in_flight: 64 << 20,
            settle_after: Duration::from_secs(1),
            wire_version: NEWEST_VERSION,
            redial_min: Duration::from_millis(50),
            redial_max: Duration::from_secs(2),
            yield_delay: Duration::from_millis(200),
        }
    }

    /// Refuses what could not work, before anything is started.
    pub(super) fn validate(&self) -> Result<(), LinkError> {
        let invalid = |reason| Err(LinkError::InvalidOptions { reason });
        if self.node_name.is_empty() || self.node_name.contains('@') {
            return invalid("the node's name is empty or holds an @");
        }
        if self.cookie.is_empty() {
            return invalid("the cookie is empty");
        }
        if self.silent_after.as_millis() < 4
            || self.idle_timeout.as_millis() < 4
            || self.handshake_timeout.is_zero()
        {
            return invalid("a timeout is too short");
        }
        if self.max_calls_in_flight == 0 || self.max_bytes_in_flight < MAX_FRAME_BYTES {
            return invalid("not even one frame may be in flight");
        }
        if !(OLDEST_VERSION..=NEWEST_VERSION).contains(&self.wire_version) {
            return invalid("no such wire version is spoken");
        }
        if self.redial_min.is_zero() || self.redial_min > self.redial_max {
            return invalid("the re-dial delays are zero or out of order");
        }
        Ok(())
    }
}

impl fmt::Debug for LinkOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LinkOptions")
            .field("node_name", &self.node_name)
            .field("node_id", &self.node_id)
            .field("listen", &self.listen)
            .field("tls", &self.tls)
            .field("silent_after", &self.silent_after)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_calls_in_flight", &self.max_calls_in_flight)
            .finish_non_exhaustive()
    }
}

/// Another node, as the membership table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The peer's incarnation.
    pub node_id: Uuid,
    /// The peer's stable name.
    pub name: String,
    /// Where the peer listens, as `host:port`.
    pub link_addr: String,
    /// Whether its release sends keep-alives so often that silence tells that it is out of reach.
    pub keeps_alive: bool,
}
