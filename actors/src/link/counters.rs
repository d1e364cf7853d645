//! What has passed over a link: bytes, frames, calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Totals since the start of the link, or since a peer was first met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Frames written to peers, keep-alives and session control included.
    pub frames_out: u64,
    /// Frames read from peers.
    pub frames_in: u64,
    /// Bytes written to peers, before encryption.
    pub bytes_out: u64,
    /// Bytes read from peers, after decryption.
    pub bytes_in: u64,
    /// Calls sent to peers.
    pub calls_out: u64,
    /// Calls received from peers.
    pub calls_in: u64,
    /// Sessions that came up with a peer that had one before.
    pub reconnects: u64,
}

/// Counters that many tasks add to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    frames_out: AtomicU64,
    frames_in: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    calls_out: AtomicU64,
    calls_in: AtomicU64,
    sessions: AtomicU64,
    reconnects: AtomicU64,
}

impl Tally {
    pub(super) fn snapshot(&self) -> LinkCounters {
        LinkCounters {
            frames_out: self.frames_out.load(Relaxed),
            frames_in: self.frames_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            calls_out: self.calls_out.load(Relaxed),
            calls_in: self.calls_in.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
        }
    }
}

/// Adds to the totals of the link and of one peer at once.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    pub(super) link: Arc<Tally>,
    pub(super) peer: Arc<Tally>,
}

impl Meter {
    fn add(&self, field: impl Fn(&Tally) -> &AtomicU64, amount: u64) {
        field(&self.link).fetch_add(amount, Relaxed);
        field(&self.peer).fetch_add(amount, Relaxed);
    }

    pub(super) fn sent(&self, bytes: u64, frames: u64) {
        self.add(|tally| &tally.bytes_out, bytes);
        self.add(|tally| &tally.frames_out, frames);
    }

    pub(super) fn received(&self, bytes: u64, frames: u64) {
        self.add(|tally| &tally.bytes_in, bytes);
        self.add(|tally| &tally.frames_in, frames);
    }

    pub(super) fn called(&self) {
        self.add(|tally| &tally.calls_out, 1);
    }

    pub(super) fn was_called(&self, times: u64) {
        self.add(|tally| &tally.calls_in, times);
    }

    /// Counts a session that came up; every one but a peer's first is a reconnect.
    pub(super) fn connected(&self) {
        if self.peer.sessions.fetch_add(1, Relaxed) > 0 {
            self.add(|tally| &tally.reconnects, 1);
        }
        self.link.sessions.fetch_add(1, Relaxed);
    }
}

/// Counts the frames in a stream of bytes that arrives in pieces: a frame is its length in eight
/// bytes, most significant first, and then as many bytes.
#[derive(Debug, Default)]
pub(super) struct FrameCounter {
    prefix: [u8; 8],
    prefix_len: usize,
    remaining: u64,
}

impl FrameCounter {
    /// Takes the next piece and returns how many frames end in it.
    pub(super) fn feed(&mut self, mut piece: &[u8]) -> u64 {
        let mut frames = 0;
        while !piece.is_empty() {
            if self.prefix_len < self.prefix.len() {
                let wanted = (self.prefix.len() - self.prefix_len).min(piece.len());
                let (taken, rest) = piece.split_at(wanted);
                self.prefix[self.prefix_len..self.prefix_len + wanted].copy_from_slice(taken);
                self.prefix_len += wanted;
                piece = rest;
                if self.prefix_len < self.prefix.len() {
                    break;
                }
                self.remaining = u64::from_be_bytes(self.prefix);
            }
            let wanted = usize::try_from(self.remaining).map_or(piece.len(), |n| n.min(piece.len()));
            piece = &piece[wanted..];
            self.remaining -= wanted as u64;
            if self.remaining == 0 {
                self.prefix_len = 0;
                frames += 1;
            }
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_however_the_bytes_are_cut() {
        let mut stream = Vec::new();
        for length in [3_u64, 0, 300, 1] {
            stream.extend(length.to_be_bytes());
            stream.extend(vec![0xff; usize::try_from(length).unwrap()]);
        }
        for piece_len in 1..=stream.len() {
            let mut counter = FrameCounter::default();
            let frames: u64 = stream.chunks(piece_len).map(|piece| counter.feed(piece)).sum();
            assert_eq!(frames, 4, "in pieces of {piece_len}");
        }
    }

    #[test]
    fn only_a_second_session_is_a_reconnect() {
        let meter = Meter {
            link: Arc::default(),
            peer: Arc::default(),
        };
        let other = Meter {
            link: Arc::clone(&meter.link),
            peer: Arc::default(),
        };
        meter.connected();
        other.connected();
        assert_eq!(meter.link.snapshot().reconnects, 0);
        meter.connected();
        assert_eq!(meter.link.snapshot().reconnects, 1);
        assert_eq!(meter.peer.snapshot().reconnects, 1);
        assert_eq!(other.peer.snapshot().reconnects, 0);
    }
}
