//! The heartbeat: a thread of its own, with connections of its own.
//!
//! A busy runtime or a busy pool must not look like a dead node - and a runtime that hangs must not
//! look like a living one: the thread stops beating when the runtime has not run for a while.

use std::{
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use holdfast_domain::NodeId;
use holdfast_store::{HeartbeatConnection, NodeLock, NodeState, StoreError};
use tokio_util::sync::CancellationToken;

use super::{Event, isolation::could_be_outvoted};
use crate::node::{Inner, Shared};

/// For how long the runtime may not have run before the heartbeat stops.
const STALL_MAX: Duration = Duration::from_millis(500);
/// The pause before connecting anew.
const RECONNECT: Duration = Duration::from_millis(100);

/// The heartbeat's thread, which also holds the lock that tells that the process lives. Dropping it
/// stops the heart.
pub(crate) struct Heartbeat {
    switch: Arc<Switch>,
}

#[derive(Default)]
struct Switch {
    stop: CancellationToken,
    is_held: AtomicBool,
}

/// The lock that a process holds while it lives; lost with its connection, and taken again.
struct Lock {
    key: i64,
    held: Option<NodeLock>,
}

impl Heartbeat {
    /// Starts to beat.
    pub(crate) fn start(shared: &Shared, lock_key: i64, lock: NodeLock) -> io::Result<Self> {
        let switch = Arc::new(Switch::default());
        let (thread_switch, node) = (Arc::clone(&switch), Arc::downgrade(shared));
        let lock = Lock {
            key: lock_key,
            held: Some(lock),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name(format!("beat-{}", shared.options.name))
            .spawn(move || runtime.block_on(live(&node, &thread_switch, lock)))?;
        Ok(Self { switch })
    }

    /// Stops for good.
    pub(crate) fn stop(&self) {
        self.switch.stop.cancel();
    }

    /// Stops or resumes for a while.
    pub(crate) fn hold(&self, hold: bool) {
        self.switch.is_held.store(hold, Ordering::Release);
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Beats, and keeps the lock beside it: a connection that hangs must not hold up the other.
async fn live(node: &Weak<Inner>, switch: &Switch, lock: Lock) {
    tokio::select! {
        () = beat_for_life(node, switch) => {}
        () = keep_lock(node, lock) => {}
        () = switch.stop.cancelled() => {}
    }
}

async fn keep_lock(node: &Weak<Inner>, mut lock: Lock) {
    while let Some(shared) = node.upgrade() {
        lock.keep(&shared).await;
        let interval = shared.options.heartbeat_interval;
        drop(shared);
        tokio::time::sleep(interval).await;
    }
}

async fn beat_for_life(node: &Weak<Inner>, switch: &Switch) {
    loop {
        let Some(shared) = node.upgrade() else { return };
        let (url, node_id) = (shared.options.database_url.clone(), shared.node_id);
        let timeout = shared.options.suspect_after;
        drop(shared);
        let ended = match HeartbeatConnection::connect(&url, node_id, timeout).await {
            Ok(connection) => beat_until_error(node, switch, connection).await,
            Err(error) => Err(error),
        };
        let Err(error) = ended else { return };
        if matches!(error, StoreError::Fenced { .. }) {
            // Its row is gone: a newer incarnation of this name has joined.
            if let Some(shared) = node.upgrade() {
                shared.tell_membership(Event::Polled {
                    map_version: 0,
                    state: NodeState::Dead,
                    peers: Vec::new(),
                    linked: Vec::new(),
                });
            }
            return;
        }
        tracing::warn!(error = &error as &dyn std::error::Error, "a heartbeat failed");
        if let Some(shared) = node.upgrade() {
            shared.pulse.failed();
            shared.metrics.membership.beat_failed();
            shared.tell_membership(Event::PollFailed);
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn beat_until_error(
    node: &Weak<Inner>,
    switch: &Switch,
    mut connection: HeartbeatConnection,
) -> Result<(), StoreError> {
    loop {
        let Some(shared) = node.upgrade() else {
            return Ok(());
        };
        let interval = shared.options.heartbeat_interval;
        let is_stalled = shared.pulse.stalled_for() > STALL_MAX;
        if !is_stalled && !switch.is_held.load(Ordering::Acquire) {
            let sent_at = Instant::now();
            let beat = connection.beat().await?;
            shared
                .pulse
                .beat(sent_at, beat.state.is_over() || may_be_outvoted(&shared));
            shared.metrics.membership.beat();
            shared.clock.learn(beat.now, sent_at.elapsed());
            let peers = connection.peers().await?;
            let peers = peers.iter().filter(|peer| peer.node_id != shared.node_id);
            shared.tell_membership(Event::Polled {
                map_version: beat.map_version,
                state: beat.state,
                peers: peers.map(|peer| (peer.node_id, peer.seq)).collect(),
                linked: shared.link.connected().into_iter().map(NodeId).collect(),
            });
        }
        drop(shared);
        tokio::time::sleep(interval).await;
    }
}

/// Tells whether so many others have no session with this node that their votes could end it.
fn may_be_outvoted(shared: &Shared) -> bool {
    let (map, linked) = (shared.map(), shared.link.connected());
    let serving = map.members().filter(|node| node.state.serves());
    let serving: Vec<NodeId> = serving.map(|node| node.node_id).collect();
    could_be_outvoted(shared.node_id, &serving, |peer| linked.contains(&peer.0))
}

impl Lock {
    /// Makes sure that the lock is held; Postgres lets go of it when it restarts.
    async fn keep(&mut self, shared: &Shared) {
        if let Some(held) = &mut self.held
            && held.check().await.is_ok()
        {
            return;
        }
        let options = &shared.options;
        let acquired = NodeLock::acquire(
            &options.database_url,
            shared.node_id,
            self.key,
            options.suspect_after,
        );
        self.held = acquired.await.ok();
    }
}
