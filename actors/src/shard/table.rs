//! The table of shards that this node has open.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_domain::{ShardId, id::SHARD_COUNT};
use holdfast_store::{Lease, Service};
use parking_lot::RwLock;
use tokio::sync::watch;

use super::{Shard, entities::Kind};

/// The shards that this node has open, by service and number.
pub(crate) struct Shards {
    slots: Vec<RwLock<Option<Arc<Shard>>>>,
    /// Wakes those who wait for a shard to open.
    opened: watch::Sender<()>,
}

impl Shards {
    pub(crate) fn none() -> Self {
        let slots = Service::ALL.len() * usize::from(SHARD_COUNT);
        Self {
            slots: (0..slots).map(|_| RwLock::new(None)).collect(),
            opened: watch::Sender::default(),
        }
    }

    /// Returns a shard if it is open.
    pub(crate) fn get(&self, service: Service, shard: ShardId) -> Option<Arc<Shard>> {
        self.slot(service, shard).read().clone()
    }

    /// Returns a shard if it is open and lets requests in.
    pub(crate) fn serving(&self, service: Service, shard: ShardId) -> Option<Arc<Shard>> {
        self.get(service, shard).filter(|shard| shard.is_serving())
    }

    /// Waits until a shard is open.
    pub(crate) async fn opened(&self, service: Service, shard: ShardId) -> Arc<Shard> {
        let mut opened = self.opened.subscribe();
        loop {
            if let Some(open) = self.get(service, shard) {
                return open;
            }
            if opened.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Lists a service's open shards.
    pub(crate) fn owned(&self, service: Service) -> Vec<ShardId> {
        ShardId::all()
            .filter(|shard| self.get(service, *shard).is_some())
            .collect()
    }

    /// Lists all open shards.
    pub(crate) fn all(&self) -> Vec<Arc<Shard>> {
        self.slots.iter().filter_map(|slot| slot.read().clone()).collect()
    }

    /// Counts the entities in memory, by kind.
    pub(crate) fn residents(&self) -> [(&'static str, usize); 4] {
        let mut sums = [0; 4];
        for shard in self.all() {
            shard.count(&mut sums);
        }
        Kind::ALL.map(|(kind, name)| (name, sums[kind as usize]))
    }

    /// Tells whether no shard is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.read().is_none())
    }

    /// Puts an opened shard in its place; closes what was there.
    pub(crate) fn put(&self, shard: Arc<Shard>) {
        let lease = shard.lease();
        if let Some(before) = self.slot(lease.service, lease.shard).write().replace(shard) {
            before.close();
        }
        self.opened.send_replace(());
    }

    /// Closes a shard, if it is open under this very lease.
    pub(crate) fn close(&self, lease: Lease) {
        let mut slot = self.slot(lease.service, lease.shard).write();
        if slot.as_ref().is_some_and(|shard| shard.lease() == lease)
            && let Some(shard) = slot.take()
        {
            shard.close();
        }
    }

    /// Closes all shards.
    pub(crate) fn close_all(&self) {
        for slot in &self.slots {
            if let Some(shard) = slot.write().take() {
                shard.close();
            }
        }
    }

    /// Stops entities that have been idle for longer than `idle`, and the longest idle ones above
    /// `cap`; returns how many remain.
    pub(crate) fn passivate(&self, idle: Duration, cap: usize) -> usize {
        let shards = self.all();
        let Some(horizon) = Instant::now().checked_sub(idle) else {
            return 0;
        };
        let resident: usize = shards.iter().map(|shard| shard.passivate(horizon)).sum();
        let Some(excess) = resident.checked_sub(cap).filter(|excess| *excess > 0) else {
            return resident;
        };
        let mut times: Vec<Instant> = shards.iter().flat_map(|shard| shard.idle_times()).collect();
        if times.is_empty() {
            return resident;
        }
        let nth = (excess - 1).min(times.len() - 1);
        let (_, horizon, _) = times.select_nth_unstable(nth);
        shards.iter().map(|shard| shard.passivate(*horizon)).sum()
    }

    fn slot(&self, service: Service, shard: ShardId) -> &RwLock<Option<Arc<Shard>>> {
        &self.slots[crate::map::index(service, shard)]
    }
}
