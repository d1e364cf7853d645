//! Active products with their stock, as their owners or the database told them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use holdfast_domain::{Product, ProductId, id::SHARD_COUNT};
use moka::{notification::RemovalCause, ops::compute::Op, sync::Cache};

use super::{
    CacheOptions, KnownProduct,
    counters::Counters,
    flights::{Demand, Flights, Landed},
    is_public,
    ticks::{Tick, Ticks, is_servable},
};
use crate::command::Changed;

/// What an entry takes besides its texts: the cache's own books, about.
pub(super) const OVERHEAD_BYTES: usize = 256;
/// The share of all room that one entry may take at most.
pub(super) const ENTRY_SHARE: u64 = 64;

/// What an owner's memory says.
#[derive(Clone, Debug)]
pub(crate) enum FromOwner {
    /// The product.
    Found(Arc<KnownProduct>),
    /// There is none.
    Absent,
    /// Nobody could be asked.
    Nobody,
}

/// What the database says.
#[derive(Clone, Debug)]
pub(crate) enum FromDatabase {
    /// The product.
    Found(Arc<KnownProduct>),
    /// There is none.
    Absent,
    /// It could not be asked; why, for the log.
    Failed(&'static str),
}

/// A product that may be served for a while.
#[derive(Clone, Debug)]
struct Kept {
    found: Arc<KnownProduct>,
    /// Before its owner or the database was asked.
    asked: Tick,
}

/// A product, and for how long it may have been out of date when it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Aged {
    pub(crate) found: Arc<KnownProduct>,
    pub(crate) staleness_ms: u64,
}

/// What an owner said, and for how long it may have been out of date when it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) said: FromOwner,
    pub(crate) staleness_ms: u64,
}

/// See the module's page.
pub(crate) struct Products {
    /// `None`: nothing is kept here.
    kept: Option<Cache<ProductId, Kept>>,
    from_owner: Arc<Flights<ProductId, FromOwner>>,
    from_database: Arc<Flights<ProductId, FromDatabase>>,
    /// For each shard, when all of it was last said to be out of date.
    void: Vec<AtomicU64>,
    ticks: Ticks,
    max_age: Duration,
    /// What one entry may take, in bytes.
    entry_max: usize,
    counters: Arc<Counters>,
}

impl Products {
    pub(super) fn new(options: CacheOptions, counters: Arc<Counters>) -> Self {
        let room = options.max_bytes / 4 * 3;
        let ticks = Ticks::begin();
        let evictions = Arc::clone(&counters);
        let kept = options.enabled.then(|| {
            Cache::builder()
                .max_capacity(room)
                .weigher(|_, kept: &Kept| u32::try_from(bytes(&kept.found)).unwrap_or(u32::MAX))
                // Whether an entry may be served is decided by its own age, which began earlier.
                .time_to_live(options.max_age)
                .eviction_listener(move |_, _, cause| {
                    if cause == RemovalCause::Size {
                        evictions.products.evicted();
                    }
                })
                .build()
        });
        Self {
            kept,
            from_owner: Arc::new(Flights::new(ticks)),
            from_database: Arc::new(Flights::new(ticks)),
            void: (0..SHARD_COUNT).map(|_| AtomicU64::new(0)).collect(),
            ticks,
            max_age: options.max_age,
            entry_max: usize::try_from(room / ENTRY_SHARE).unwrap_or(usize::MAX),
            counters,
        }
    }

    /// Tells whether products are kept here.
    pub(crate) fn is_enabled(&self) -> bool {
        self.kept.is_some()
    }

    /// Returns a product that is kept, young enough, and `is_enough` for who asks.
    pub(crate) fn get(&self, id: ProductId, is_enough: impl Fn(&KnownProduct) -> bool) -> Option<Aged> {
        let kept = self.kept.as_ref()?.get(&id);
        let hit = kept.and_then(|kept| {
            let now = self.ticks.now();
            (is_servable(kept.asked, self.void_at(id), now, self.max_age) && is_enough(&kept.found)).then(
                || Aged {
                    staleness_ms: now.millis_since(kept.asked),
                    found: kept.found,
                },
            )
        });
        match &hit {
            Some(_) => self.counters.products.hit(),
            None => self.counters.products.missed(),
        }
        hit
    }

    /// Asks the owner by `fetch`, or shares the question with others; keeps what it says.
    pub(crate) async fn ask_owner<F>(
        self: &Arc<Self>,
        id: ProductId,
        fetch: impl Fn() -> F + Send + 'static,
    ) -> Told
    where
        F: Future<Output = FromOwner> + Send + 'static,
    {
        let came = self.ticks.now();
        let myself = Arc::clone(self);
        let keep = move |landed: &Landed<FromOwner>| {
            if let FromOwner::Found(found) = &landed.value {
                myself.keep(found, landed.asked);
            }
        };
        let landed = self.from_owner.read(&id, Demand::Running, fetch, keep).await;
        let Some(landed) = landed else {
            return Told {
                said: FromOwner::Nobody,
                staleness_ms: 0,
            };
        };
        if landed.asked < came {
            self.counters.products.shared();
        }
        Told {
            staleness_ms: came.millis_since(landed.asked),
            said: landed.value,
        }
    }

    /// Asks the database by `fetch`, in a statement that begins from now on; those who come while
    /// another one runs share the next.
    pub(crate) async fn ask_database<F>(
        self: &Arc<Self>,
        id: ProductId,
        fetch: impl Fn() -> F + Send + 'static,
    ) -> FromDatabase
    where
        F: Future<Output = FromDatabase> + Send + 'static,
    {
        let (myself, counters) = (Arc::clone(self), Arc::clone(&self.counters));
        let statement = move || {
            counters.selected();
            fetch()
        };
        let keep = move |landed: &Landed<FromDatabase>| {
            if let FromDatabase::Found(found) = &landed.value {
                myself.keep(found, landed.asked);
            }
        };
        self.counters.linearizable();
        let landed = self.from_database.read(&id, Demand::Next, statement, keep).await;
        landed.map_or(FromDatabase::Failed("a read was lost"), |landed| landed.value)
    }

    /// Keeps what was asked for at `asked`, unless something newer is kept. Called by a flight, and
    /// only if nothing was outdated since.
    fn keep(&self, found: &Arc<KnownProduct>, asked: Tick) {
        let Some(cache) = &self.kept else { return };
        let may_be_kept = is_public(found.product.status) && bytes(found) <= self.entry_max;
        cache.entry(found.product.id).and_compute_with(|entry| {
            let before = entry.map(moka::Entry::into_value);
            if before.is_some_and(|before| {
                before.found.product.version > found.product.version
                    || before.found.stock.version > found.stock.version
            }) {
                // An owner that has lost its shard without knowing it may still have said this.
                Op::Nop
            } else if may_be_kept {
                Op::Put(Kept {
                    found: Arc::clone(found),
                    asked,
                })
            } else {
                Op::Remove
            }
        });
        // Left to itself the cache makes room now and then, and holds more until it does.
        cache.run_pending_tasks();
    }

    /// Drops a product if it is older than what it has become, as its owner says.
    pub(super) fn outdated(&self, change: &Changed) {
        self.drop_if(change.product_id, |kept| {
            kept.product.version < change.version || kept.stock.version < change.stock_version
        });
    }

    /// Drops a product.
    pub(super) fn forget(&self, id: ProductId) {
        self.drop_if(id, |_| true);
    }

    /// First what is on its way, then what is kept: in between, nothing that was on its way before
    /// can be kept any more.
    fn drop_if(&self, id: ProductId, is_old: impl Fn(&KnownProduct) -> bool) {
        let Some(cache) = &self.kept else { return };
        self.from_owner.outdate(&id);
        self.from_database.outdate(&id);
        if cache.get(&id).is_some_and(|kept| is_old(&kept.found)) {
            cache.invalidate(&id);
            self.counters.products.invalidated();
        }
    }

    /// Drops all products of these shards.
    pub(super) fn forget_shards(&self, shards: &[u8]) {
        if !self.is_enabled() || shards.is_empty() {
            return;
        }
        let now = self.ticks.now();
        for shard in shards {
            self.void[usize::from(*shard)].fetch_max(now.0, Ordering::AcqRel);
        }
        let is_meant = |id: &ProductId| shards.contains(&id.shard().0);
        self.from_owner.outdate_where(is_meant);
        self.from_database.outdate_where(is_meant);
        self.counters.products.invalidated();
    }

    fn void_at(&self, id: ProductId) -> Tick {
        Tick(self.void[usize::from(id.shard().0)].load(Ordering::Acquire))
    }

    /// Returns how many products are kept, and their bytes, about.
    pub(super) fn size(&self) -> (u64, u64) {
        self.kept.as_ref().map_or((0, 0), |cache| {
            cache.run_pending_tasks();
            (cache.entry_count(), cache.weighted_size())
        })
    }
}

/// Returns what an entry takes, in bytes, about.
fn bytes(found: &KnownProduct) -> usize {
    OVERHEAD_BYTES
        + size_of::<Kept>()
        + size_of::<KnownProduct>()
        + text_bytes(&found.product)
        + found.body_room()
}

/// Returns what a product's texts take.
pub(super) fn text_bytes(product: &Product) -> usize {
    product.sku.as_str().len()
        + product.name.len()
        + product.description.len()
        + product.attributes.as_str().len()
}

#[cfg(test)]
mod tests;
