//! Signs of life: of this node's runtimes, of its heartbeat, and of its peers.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use holdfast_domain::NodeId;
use parking_lot::Mutex;

/// How often a runtime shows that it is alive.
const TICK: Duration = Duration::from_millis(100);

/// What a node cannot do without.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runtime {
    /// Where requests are served.
    Main,
    /// The lane's thread.
    Lane,
}

/// Signs of life, read and written from the runtimes and from the heartbeat's thread.
pub(crate) struct Pulse {
    /// When each [`Runtime`] last showed that it gets to run.
    ticked_at: [Mutex<Instant>; 2],
    /// When the last heartbeat that went through was sent.
    beat_at: Mutex<Instant>,
    /// Whether, as of the last heartbeat, nobody can have ended this incarnation since.
    is_sure: AtomicBool,
    /// When each peer's heartbeat was last seen to move.
    peers: Mutex<HashMap<NodeId, Instant>>,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            ticked_at: [Mutex::new(now), Mutex::new(now)],
            beat_at: Mutex::new(now),
            is_sure: AtomicBool::new(true),
            peers: Mutex::default(),
        }
    }

    /// Shows for as long as it is polled that the runtime gets to run, which is the one that polls it.
    pub(crate) async fn keep_ticking(&self, runtime: Runtime) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            self.tick(runtime);
        }
    }

    fn tick(&self, runtime: Runtime) {
        let [main, lane] = &self.ticked_at;
        let ticked_at = match runtime {
            Runtime::Main => main,
            Runtime::Lane => lane,
        };
        *ticked_at.lock() = Instant::now();
    }

    /// Returns for how long one of the runtimes has not shown that it gets to run.
    pub(crate) fn stalled_for(&self) -> Duration {
        let stalled = self.ticked_at.iter().map(|ticked_at| ticked_at.lock().elapsed());
        stalled.max().unwrap_or_default()
    }

    /// Notes that a heartbeat went through that was sent at `sent_at`, and whether others may end this
    /// incarnation though its heart beats.
    pub(crate) fn beat(&self, sent_at: Instant, may_be_ended: bool) {
        *self.beat_at.lock() = sent_at;
        self.is_sure.store(!may_be_ended, Ordering::Release);
    }

    /// Notes that a heartbeat failed: whoever is ended loses its connections.
    pub(crate) fn failed(&self) {
        self.is_sure.store(false, Ordering::Release);
    }

    /// Tells whether nothing but silence can have ended this incarnation since the last heartbeat.
    pub(crate) fn is_sure(&self) -> bool {
        self.is_sure.load(Ordering::Acquire)
    }

    /// Returns how long ago the last heartbeat that went through was sent.
    pub(crate) fn age(&self) -> Duration {
        self.beat_at.lock().elapsed()
    }

    /// Notes for how long each peer's heartbeat has stood still.
    pub(crate) fn saw_peers(&self, peers: impl Iterator<Item = (NodeId, Duration)>) {
        let now = Instant::now();
        *self.peers.lock() = peers
            .map(|(peer, age)| (peer, now.checked_sub(age).unwrap_or(now)))
            .collect();
    }

    /// Returns for how long a peer's heartbeat has stood still.
    pub(crate) fn peer_age(&self, peer: NodeId) -> Option<Duration> {
        self.peers.lock().get(&peer).map(Instant::elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_stalled_if_one_of_its_runtimes_has() {
        const LONG: Duration = Duration::from_secs(10);
        for ticking in [Runtime::Main, Runtime::Lane] {
            let pulse = Pulse::new();
            let long_ago = Instant::now()
                .checked_sub(LONG)
                .expect("the machine runs for longer");
            for ticked_at in &pulse.ticked_at {
                *ticked_at.lock() = long_ago;
            }
            pulse.tick(ticking);
            assert!(pulse.stalled_for() >= LONG, "{ticking:?} alone");
            pulse.tick(Runtime::Main);
            pulse.tick(Runtime::Lane);
            assert!(pulse.stalled_for() < LONG, "both");
        }
    }
}
