//! From a TCP connection to a stream that `ractor_cluster` may have: TLS if configured, then a hello.
//!
//! In the hello each end gives its incarnation. So a stranger or a mute client never reaches
//! `ractor_cluster`; a dialer that finds a newer incarnation behind an old address learns it at once;
//! and faults for one peer hold from the first byte. It proves nothing - the session authenticates
//! afterwards, and what it proves must then agree with the hello, see `events.rs`.

use std::io;
use std::sync::Arc;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

use super::connection::Connection;
use super::hub::Hub;
use super::options::Peer;
use super::stream::LinkStream;
use super::tls::Transport;

/// Opens every hello: four letters and the version of what follows.
const MAGIC: [u8; 5] = *b"HFLK\x01";
const ID_BYTES: usize = 16;

/// How many of a hello's first bytes tell who dials.
pub const CALLER_BYTES: usize = MAGIC.len() + ID_BYTES;

/// Why a connection did not become a session.
#[derive(Debug, Error)]
pub(super) enum HandshakeError {
    #[error("connection failed")]
    Io(#[from] io::Error),
    #[error("the peer did not finish its handshake in time")]
    TooSlow,
    #[error("the peer does not speak this protocol")]
    NotALink,
    #[error("the peer is incarnation {found}")]
    OtherIncarnation { found: Uuid },
    #[error("incarnation {peer} is not welcome")]
    Unwelcome { peer: Uuid },
}

/// Connects to `peer`. Nothing but that very incarnation will do.
pub(super) async fn dial(hub: &Hub, peer: &Peer) -> Result<LinkStream, HandshakeError> {
    let dialing = async {
        let socket = TcpStream::connect(&peer.link_addr).await?;
        socket.set_nodelay(true)?;
        let transport = match &hub.tls {
            Some(tls) => tls.connect(socket, &peer.name).await?,
            None => plain(socket),
        };
        let mut stream = stream(hub, transport);
        hub.faults.bind(&stream.connection, peer.node_id);

        stream.writer.write_all(&hello(hub.me.id, peer.node_id)).await?;
        stream.writer.flush().await?;
        expect_magic(&mut stream).await?;
        match read_id(&mut stream).await? {
            found if found == peer.node_id => Ok(counted(hub, stream, found)),
            found => Err(HandshakeError::OtherIncarnation { found }),
        }
    };
    timeout(hub.options.handshake_timeout, dialing)
        .await
        .unwrap_or(Err(HandshakeError::TooSlow))
}

/// Takes a connection that somebody dialed.
pub(super) async fn accept(hub: &Hub, socket: TcpStream) -> Result<LinkStream, HandshakeError> {
    let accepting = async {
        socket.set_nodelay(true)?;
        let transport = match &hub.tls {
            Some(tls) => tls.accept(socket).await?,
            None => plain(socket),
        };
        let mut stream = stream(hub, transport);

        expect_magic(&mut stream).await?;
        let peer = read_id(&mut stream).await?;
        let wanted = read_id(&mut stream).await?;
        hub.faults.bind(&stream.connection, peer);
        if !hub.welcomes(peer) {
            return Err(HandshakeError::Unwelcome { peer });
        }
        // Answered even if the peer wanted another incarnation: so it learns which one is here.
        let mut answer = Vec::with_capacity(CALLER_BYTES);
        answer.extend(MAGIC);
        answer.extend(hub.me.id.as_bytes());
        stream.writer.write_all(&answer).await?;
        stream.writer.flush().await?;
        if wanted == hub.me.id {
            Ok(counted(hub, stream, peer))
        } else {
            Err(HandshakeError::OtherIncarnation { found: hub.me.id })
        }
    };
    timeout(hub.options.handshake_timeout, accepting)
        .await
        .unwrap_or(Err(HandshakeError::TooSlow))
}

/// Makes what a dialer says first.
fn hello(me: Uuid, peer: Uuid) -> Vec<u8> {
    let mut hello = Vec::with_capacity(CALLER_BYTES + ID_BYTES);
    hello.extend(MAGIC);
    hello.extend(me.as_bytes());
    hello.extend(peer.as_bytes());
    hello
}

/// Reads which incarnation dials, for whoever stands between two ends of a link that has no TLS; `None`:
/// this does not begin a hello.
pub fn caller(hello: &[u8; CALLER_BYTES]) -> Option<Uuid> {
    Uuid::from_slice(hello.strip_prefix(&MAGIC)?).ok()
}

fn plain(socket: TcpStream) -> Transport {
    let (read, write) = socket.into_split();
    Transport {
        read: Box::new(read),
        write: Box::new(write),
        certificate: None,
    }
}

fn stream(hub: &Hub, transport: Transport) -> LinkStream {
    let connection = Arc::new(Connection::new(hub.next_label(), transport.certificate));
    hub.faults.admit(&connection);
    LinkStream::new(
        transport.read,
        transport.write,
        connection,
        hub.options.idle_timeout,
    )
}

fn counted(hub: &Hub, mut stream: LinkStream, peer: Uuid) -> LinkStream {
    stream.count(&hub.meter(peer));
    stream
}

async fn expect_magic(stream: &mut LinkStream) -> Result<(), HandshakeError> {
    let mut found = [0; MAGIC.len()];
    stream.reader.read_exact(&mut found).await?;
    if found == MAGIC {
        Ok(())
    } else {
        Err(HandshakeError::NotALink)
    }
}

async fn read_id(stream: &mut LinkStream) -> Result<Uuid, HandshakeError> {
    let mut id = [0; ID_BYTES];
    stream.reader.read_exact(&mut id).await?;
    Ok(Uuid::from_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_tells_who_dials_and_what_is_none_does_not() {
        let (me, peer) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let hello = hello(me, peer);
        let (first, rest) = hello.split_first_chunk().expect("all of it");
        assert_eq!(caller(first), Some(me));
        assert_eq!(rest, peer.as_bytes());
        assert_eq!(caller(&[b'x'; CALLER_BYTES]), None);
    }
}
