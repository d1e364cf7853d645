//! Watches a connection for clients that hold it without using it.
//!
//! Three things are timed: a head that has begun and does not end, a rest between requests, and an
//! answer of which nothing is taken. While a request is in progress, until its answer's last byte, only
//! the last of these applies. On HTTP/2 any frame
//! counts as the beginning of a head; such a connection ends with a GOAWAY, which loses no request.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// No head has begun.
const NONE: u64 = u64::MAX;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From the first byte of a head to its last; also from a new connection to its first head.
    pub(super) head: Duration,
    /// From an answer to the next head's first byte.
    pub(super) rest: Duration,
    /// For how long the client may take nothing of what it is being sent.
    pub(super) stall: Duration,
}

/// What to do about a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again after this long.
    Wait(Duration),
    /// It is not being used: finish it.
    Close,
    /// Its client does not take what it is sent: end it.
    Cut,
}

/// What a connection does, in milliseconds since it began.
#[derive(Debug)]
pub(super) struct Activity {
    began_at: Instant,
    in_progress: AtomicU32,
    head_since_ms: AtomicU64,
    rest_since_ms: AtomicU64,
    stalled_since_ms: AtomicU64,
}

impl Activity {
    /// Begins with a client that is expected to send a head at once.
    pub(super) fn begin() -> Self {
        Self {
            began_at: Instant::now(),
            in_progress: AtomicU32::new(0),
            head_since_ms: AtomicU64::new(0),
            rest_since_ms: AtomicU64::new(0),
            stalled_since_ms: AtomicU64::new(NONE),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began_at.elapsed().as_millis()).unwrap_or(NONE - 1)
    }

    /// Notes that a request is in progress for as long as the guard lives.
    pub(super) fn work(self: &Arc<Self>) -> Work {
        self.in_progress.fetch_add(1, Ordering::Relaxed);
        self.head_since_ms.store(NONE, Ordering::Relaxed);
        Work(self.clone())
    }

    fn bytes_came(&self) {
        let is_first = self.in_progress.load(Ordering::Relaxed) == 0
            && self.head_since_ms.load(Ordering::Relaxed) == NONE;
        if is_first {
            self.head_since_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// Notes whether bytes could be written or have to wait for the client.
    fn wrote(&self, has_to_wait: bool) {
        if !has_to_wait {
            self.stalled_since_ms.store(NONE, Ordering::Relaxed);
        } else if self.stalled_since_ms.load(Ordering::Relaxed) == NONE {
            self.stalled_since_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// Judges the connection as it is now.
    pub(super) fn verdict(&self, limits: Limits) -> Verdict {
        let stalled_since = self.stalled_since_ms.load(Ordering::Relaxed);
        let stalled_ms = u128::from(self.now_ms().saturating_sub(stalled_since));
        if stalled_since != NONE && stalled_ms >= limits.stall.as_millis() {
            return Verdict::Cut;
        }
        if self.in_progress.load(Ordering::Relaxed) > 0 {
            return Verdict::Wait(limits.head);
        }
        let head_since = self.head_since_ms.load(Ordering::Relaxed);
        let (since, limit) = if head_since == NONE {
            (self.rest_since_ms.load(Ordering::Relaxed), limits.rest)
        } else {
            (head_since, limits.head)
        };
        let spent = Duration::from_millis(self.now_ms().saturating_sub(since));
        match limit.checked_sub(spent) {
            // A rest may turn into a head, whose limit is shorter.
            Some(left) if !left.is_zero() => Verdict::Wait(left.min(limits.head)),
            _ => Verdict::Close,
        }
    }
}

/// A request in progress.
pub(super) struct Work(Arc<Activity>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.rest_since_ms.store(self.0.now_ms(), Ordering::Relaxed);
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose reads are noted.
pub(super) struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.bytes_came();
        }
        poll
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.activity.wrote(poll.is_pending());
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.activity.wrote(poll.is_pending());
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_rest_and_a_head_have_each_their_own_limit() {
        let activity = Arc::new(Activity::begin());
        drop(activity.work());
        let strict_head = Limits {
            head: Duration::ZERO,
            rest: HOUR,
            stall: HOUR,
        };
        assert!(
            matches!(activity.verdict(strict_head), Verdict::Wait(_)),
            "it rests"
        );
        activity.bytes_came();
        assert_eq!(
            activity.verdict(strict_head),
            Verdict::Close,
            "its head has begun"
        );
        let strict_rest = Limits {
            head: HOUR,
            rest: Duration::ZERO,
            stall: HOUR,
        };
        assert!(
            matches!(activity.verdict(strict_rest), Verdict::Wait(_)),
            "it does not rest"
        );
    }

    #[test]
    fn a_client_that_takes_nothing_is_cut_off_whatever_it_waits_for() {
        let activity = Arc::new(Activity::begin());
        let limits = Limits {
            head: HOUR,
            rest: HOUR,
            stall: Duration::ZERO,
        };
        let _work = activity.work();
        assert!(matches!(activity.verdict(limits), Verdict::Wait(_)));
        activity.wrote(true);
        assert_eq!(activity.verdict(limits), Verdict::Cut);
        activity.wrote(false);
        assert!(matches!(activity.verdict(limits), Verdict::Wait(_)));
    }

    #[test]
    fn a_request_in_progress_is_not_timed_here() {
        let activity = Arc::new(Activity::begin());
        let impatient = Limits {
            head: Duration::ZERO,
            rest: Duration::ZERO,
            stall: HOUR,
        };
        let work = activity.work();
        activity.bytes_came();
        assert!(matches!(activity.verdict(impatient), Verdict::Wait(_)));
        drop(work);
        assert_eq!(activity.verdict(impatient), Verdict::Close);
    }
}
