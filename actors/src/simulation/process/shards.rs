//! The shards that a process has open.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use holdfast_domain::ShardId;
use holdfast_store::{Lease, Service};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::executor::Executor;
use crate::entity::Fault;

/// How long a request is parked at most.
const PARKED_FOR_MAX: Duration = Duration::from_secs(1);

/// An open shard.
pub(super) struct Shard {
    pub(super) lease: Lease,
    is_draining: AtomicBool,
    is_closed: AtomicBool,
    in_flight: AtomicUsize,
    quiet: Notify,
    turned: Notify,
}

/// A request on its way through a shard.
pub(super) struct Passage(Arc<Shard>);

impl Drop for Passage {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.quiet.notify_waiters();
        }
    }
}

impl Shard {
    pub(super) fn new(lease: Lease) -> Arc<Self> {
        Arc::new(Self {
            lease,
            is_draining: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            quiet: Notify::new(),
            turned: Notify::new(),
        })
    }

    /// Lets a request in, unless the shard is to be handed over.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Passage, Fault> {
        if !self.is_serving() {
            return Err(Fault::Draining);
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Passage(Arc::clone(self)))
    }

    /// Lets a request in; parks it while the shard is to be handed over.
    pub(super) async fn admit(self: &Arc<Self>, executor: &Executor) -> Result<Passage, Fault> {
        let turned_away = || Err(Fault::Draining);
        let admitted = async {
            loop {
                let turned = self.turned.notified();
                if self.is_closed.load(Ordering::Relaxed) {
                    return Err(Fault::NotOwner {
                        owner: None,
                        epoch: 0,
                    });
                }
                if self.is_serving() {
                    return self.enter();
                }
                turned.await;
            }
        };
        executor
            .timeout(PARKED_FOR_MAX, admitted)
            .await
            .unwrap_or_else(turned_away)
    }

    pub(super) fn is_serving(&self) -> bool {
        !self.is_draining.load(Ordering::Relaxed)
    }

    /// Turns new requests away and waits until none is in flight; `false` if that takes too long.
    pub(super) async fn drain(&self, executor: &Executor, limit: Duration) -> bool {
        self.is_draining.store(true, Ordering::Relaxed);
        let quiet = async {
            loop {
                let notified = self.quiet.notified();
                if self.in_flight.load(Ordering::Relaxed) == 0 {
                    return;
                }
                notified.await;
            }
        };
        executor.timeout(limit, quiet).await.is_some()
    }

    pub(super) fn resume(&self) {
        self.is_draining.store(false, Ordering::Relaxed);
        self.turned.notify_waiters();
    }

    fn close(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
        self.is_closed.store(true, Ordering::Relaxed);
        self.turned.notify_waiters();
    }
}

/// All open shards.
#[derive(Default)]
pub(super) struct Shards(Mutex<BTreeMap<usize, Arc<Shard>>>);

impl Shards {
    pub(super) fn get(&self, service: Service, shard: ShardId) -> Option<Arc<Shard>> {
        self.0.lock().get(&crate::map::index(service, shard)).cloned()
    }

    pub(super) fn put(&self, shard: Arc<Shard>) {
        let index = crate::map::index(shard.lease.service, shard.lease.shard);
        self.0.lock().insert(index, shard);
    }

    /// Closes a shard, if it is open under this very lease.
    pub(super) fn close(&self, lease: Lease) -> bool {
        let index = crate::map::index(lease.service, lease.shard);
        let mut open = self.0.lock();
        let is_open = open.get(&index).is_some_and(|shard| shard.lease == lease);
        if is_open && let Some(shard) = open.remove(&index) {
            shard.close();
        }
        is_open
    }

    pub(super) fn owned(&self, service: Service) -> Vec<ShardId> {
        let open = self.0.lock();
        let owned = open.values().filter(|shard| shard.lease.service == service);
        owned.map(|shard| shard.lease.shard).collect()
    }

    pub(super) fn has_any(&self) -> bool {
        !self.0.lock().is_empty()
    }
}
