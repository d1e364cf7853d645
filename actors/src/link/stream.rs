//! The stream that a session runs over: it counts, it obeys the fault switch, and it gives up on a
//! peer that is silent.
//!
//! `ractor_cluster` pings but never looks whether the answers come, so a peer that is stopped or
//! behind a partition would be kept for ever. Here a read that brings nothing for `idle_timeout`
//! fails, and so does a write that moves nothing: the session's writer queue has no bound of its
//! own, and the only thing that ends its growth is the end of the session.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ractor_cluster::{BoxRead, BoxWrite, ClusterBidiStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::DropGuard;

use super::connection::Connection;
use super::counters::{FrameCounter, Meter};

/// Both halves of a connection, before `ractor_cluster` takes them.
pub(super) struct LinkStream {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) connection: Arc<Connection>,
}

impl LinkStream {
    pub(super) fn new(
        read: BoxRead,
        write: BoxWrite,
        connection: Arc<Connection>,
        idle_timeout: Duration,
    ) -> Self {
        Self {
            reader: Reader {
                inner: read,
                _closed: connection.closed.clone().drop_guard(),
                connection: Arc::clone(&connection),
                silence: Patience::new(idle_timeout),
                meter: None,
            },
            writer: Writer {
                inner: write,
                connection: Arc::clone(&connection),
                idle_timeout,
                stall: None,
                meter: None,
            },
            connection,
        }
    }

    /// Counts from here on: what follows the hello are frames.
    pub(super) fn count(&mut self, meter: &Meter) {
        self.reader.meter = Some((meter.clone(), FrameCounter::default()));
        self.writer.meter = Some((meter.clone(), FrameCounter::default()));
        self.connection.count(meter.clone());
    }
}

impl ClusterBidiStream for LinkStream {
    fn split(self: Box<Self>) -> (BoxRead, BoxWrite) {
        (Box::new(self.reader), Box::new(self.writer))
    }

    fn peer_label(&self) -> Option<String> {
        Some(self.connection.label.clone())
    }
}

/// The receiving half.
pub(super) struct Reader {
    inner: BoxRead,
    connection: Arc<Connection>,
    silence: Patience,
    meter: Option<(Meter, FrameCounter)>,
    _closed: DropGuard,
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if let Poll::Ready(gate) = me.connection.inbound.poll_open(context) {
            gate?;
            let before = buf.filled().len();
            let read = Pin::new(&mut me.inner).poll_read(context, buf);
            // The gate may have been shut meanwhile: then nobody hears that the peer is gone.
            let has_ended = read.is_ready() && buf.filled().len() == before;
            let is_hidden = has_ended && me.connection.inbound.poll_open(context).is_pending();
            if let Poll::Ready(result) = read
                && !is_hidden
            {
                me.silence.renew();
                me.connection.hear();
                if let Some((meter, frames)) = &mut me.meter {
                    let piece = &buf.filled()[before..];
                    meter.received(piece.len() as u64, frames.feed(piece));
                }
                return Poll::Ready(result);
            }
        }
        ready!(me.silence.poll_exhausted(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer is silent")))
    }
}

/// The sending half.
pub(super) struct Writer {
    inner: BoxWrite,
    connection: Arc<Connection>,
    idle_timeout: Duration,
    /// Set while bytes wait that the peer does not take.
    stall: Option<Patience>,
    meter: Option<(Meter, FrameCounter)>,
}

impl Writer {
    /// Tries `attempt` if the gate is open, and fails once nothing has moved for too long.
    fn poll_moving<T>(
        &mut self,
        context: &mut Context<'_>,
        attempt: impl FnOnce(Pin<&mut BoxWrite>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(gate) = self.connection.outbound.poll_open(context) {
            gate?;
            if let Poll::Ready(result) = attempt(Pin::new(&mut self.inner), context) {
                self.stall = None;
                return Poll::Ready(result);
            }
        }
        let idle_timeout = self.idle_timeout;
        let stall = self.stall.get_or_insert_with(|| Patience::new(idle_timeout));
        ready!(stall.poll_exhausted(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer takes no bytes",
        )))
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let written = ready!(me.poll_moving(context, |inner, cx| inner.poll_write(cx, bytes)))?;
        if let Some((meter, frames)) = &mut me.meter {
            meter.sent(written as u64, frames.feed(&bytes[..written]));
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_moving(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_moving(context, AsyncWrite::poll_shutdown)
    }
}

/// Runs out some time after it was last renewed. Renewing only notes the time: the timer itself is
/// moved when it fires, not with every read.
struct Patience {
    limit: Duration,
    renewed: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            renewed: Instant::now(),
            alarm: Box::pin(sleep(limit)),
        }
    }

    fn renew(&mut self) {
        self.renewed = Instant::now();
    }

    fn poll_exhausted(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.alarm.as_mut().poll(context));
            let due = self.renewed + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    /// A stream with little patience, and its other end.
    fn stream(idle_timeout: Duration) -> (LinkStream, DuplexStream) {
        let (near, far) = duplex(16);
        let (read, write) = tokio::io::split(near);
        let connection = Arc::new(Connection::new("test".to_owned(), None));
        let stream = LinkStream::new(Box::new(read), Box::new(write), connection, idle_timeout);
        (stream, far)
    }

    #[tokio::test]
    async fn a_read_that_brings_nothing_fails() {
        let (mut stream, _far) = stream(Duration::from_millis(30));
        let error = stream.reader.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_write_that_moves_nothing_fails() {
        let (mut stream, _far) = stream(Duration::from_millis(30));
        stream.writer.write_all(&[0; 16]).await.unwrap();
        let error = stream.writer.write_u8(0).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn whatever_moves_renews_the_patience() {
        let (mut stream, mut far) = stream(Duration::from_secs(1));
        let began = Instant::now();
        // Longer altogether than the timeout, and never as long at a time.
        while began.elapsed() < Duration::from_millis(1_300) {
            sleep(Duration::from_millis(100)).await;
            far.write_u8(7).await.unwrap();
            assert_eq!(stream.reader.read_u8().await.unwrap(), 7);
            stream.writer.write_all(&[0; 16]).await.unwrap();
            far.read_exact(&mut [0; 16]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_cut_is_felt_by_a_half_that_waits() {
        let (mut stream, _far) = stream(Duration::from_mins(1));
        let connection = Arc::clone(&stream.connection);
        let reading = tokio::spawn(async move { stream.reader.read_u8().await });
        tokio::task::yield_now().await;
        connection.cut();
        let error = reading.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(connection.closed.is_cancelled());
    }
}
