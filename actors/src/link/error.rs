//! Why a link could not start, or a call got no answer.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;
use tokio_rustls::rustls;

use crate::wire::MAX_FRAME_BYTES;

/// Why a link could not start, or a call got no answer.
#[derive(Debug, Error)]
pub enum LinkError {
    /// No session with the peer is up, or the peer is silent; the call was not sent.
    #[error("no session with the peer")]
    NotConnected,
    /// Too much is unanswered by the peer already; the call was not sent.
    #[error("too many calls to the peer are in flight")]
    Overloaded,
    /// The frame is longer than a session carries; the call was not sent.
    #[error("a frame of {size} bytes exceeds the limit of {MAX_FRAME_BYTES}")]
    FrameTooLarge {
        /// The frame's length, in bytes.
        size: usize,
    },
    /// No answer came in time; the call may have been carried out.
    #[error("no answer within the deadline")]
    Timeout,
    /// The session was lost while the call was in flight; it may have been carried out.
    #[error("the session was lost while the call was in flight")]
    Closed,
    /// The peer fell silent while the call was in flight; it may have been carried out.
    #[error("the peer fell silent while the call was in flight")]
    Silent,
    /// The options contradict themselves.
    #[error("invalid link options: {reason}")]
    InvalidOptions {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The listen address could not be bound.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The certificates could not be used.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// The actors of the link could not be started.
    #[error("cannot start the link's actors")]
    Actors(#[from] ractor::SpawnErr),
}

impl LinkError {
    /// Tells whether the peer has certainly not received the call, so that sending it elsewhere
    /// cannot carry it out twice.
    pub fn is_certainly_undelivered(&self) -> bool {
        match self {
            Self::Timeout | Self::Closed | Self::Silent => false,
            Self::NotConnected
            | Self::Overloaded
            | Self::FrameTooLarge { .. }
            | Self::InvalidOptions { .. }
            | Self::Listen { .. }
            | Self::Tls(_)
            | Self::Actors(_) => true,
        }
    }
}

/// Why the configured certificates could not be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file is missing or unreadable.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("no {wanted} in {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// The certificates were read and refused.
    #[error("certificates refused")]
    Refused(#[from] rustls::Error),
    /// The authorities do not make a verifier.
    #[error("authorities refused")]
    Authorities(#[from] rustls::server::VerifierBuilderError),
    /// The node's name cannot stand in a certificate.
    #[error("{name:?} is not a name that a certificate can hold")]
    Name {
        /// The name.
        name: String,
    },
    /// The node's own certificate is for somebody else: no peer would ever accept it.
    #[error("the certificate is not for {name:?}")]
    NotOurs {
        /// The node's name.
        name: String,
    },
}
