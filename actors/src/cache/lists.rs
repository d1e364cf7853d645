//! Pages of lists of products, as the database gave them to those who see active products alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use holdfast_domain::{Product, ProductStatus, UserId};
use holdfast_store::{Page, PageRequest, ProductFilter, ProductKey, ProductPosition, ProductSort};
use moka::{notification::RemovalCause, sync::Cache};

use super::{
    CacheOptions,
    counters::Counters,
    flights::{Demand, Flights, Landed},
    products::{ENTRY_SHARE, OVERHEAD_BYTES, text_bytes},
    sees_only_active,
    ticks::{Tick, Ticks, is_servable},
};

/// A page as the database gives it.
pub(crate) type ProductPage = Page<Product, ProductKey>;

/// What a page depends on; who asks is not part of it, since all of them see the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListKey {
    query: Option<String>,
    status: Option<ProductStatus>,
    seller_id: Option<UserId>,
    sort: ProductSort,
    limit: u32,
    after: Option<ProductKey>,
}

impl ListKey {
    /// Returns a page's key; `None`: its viewer may see what others may not.
    pub(crate) fn public(
        filter: &ProductFilter,
        sort: ProductSort,
        page: &PageRequest<ProductKey>,
    ) -> Option<Self> {
        sees_only_active(filter.viewer.as_ref()).then(|| Self {
            query: filter.query.clone(),
            status: filter.status,
            seller_id: filter.seller_id,
            sort,
            limit: page.limit,
            after: page.after.clone(),
        })
    }

    /// Returns what to ask the database for, as somebody who is not signed in.
    pub(crate) fn question(&self) -> (ProductFilter, ProductSort, PageRequest<ProductKey>) {
        let filter = ProductFilter {
            query: self.query.clone(),
            status: self.status,
            seller_id: self.seller_id,
            viewer: None,
        };
        let page = PageRequest {
            limit: self.limit,
            after: self.after.clone(),
        };
        (filter, self.sort, page)
    }
}

/// A page that may be served for a while.
#[derive(Clone, Debug)]
struct Kept {
    page: Arc<ProductPage>,
    /// Before the database was asked.
    asked: Tick,
}

/// A page, and for how long it may have been out of date when it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct AgedPage {
    pub(crate) page: Arc<ProductPage>,
    pub(crate) staleness_ms: u64,
}

/// What the database says; it could not be asked: why, for the log.
pub(crate) type Listed = Result<Arc<ProductPage>, &'static str>;

/// See the module's page.
pub(crate) struct Lists {
    /// `None`: nothing is kept here.
    kept: Option<Cache<ListKey, Kept>>,
    flights: Arc<Flights<ListKey, Listed>>,
    /// When all pages were last said to be out of date.
    void: AtomicU64,
    ticks: Ticks,
    max_age: Duration,
    /// What one entry may take, in bytes.
    entry_max: usize,
    counters: Arc<Counters>,
}

impl Lists {
    pub(super) fn new(options: CacheOptions, counters: Arc<Counters>) -> Self {
        let room = options.max_bytes / 4;
        let ticks = Ticks::begin();
        let evictions = Arc::clone(&counters);
        let kept = options.enabled.then(|| {
            Cache::builder()
                .max_capacity(room)
                .weigher(|key, kept: &Kept| u32::try_from(bytes(key, &kept.page)).unwrap_or(u32::MAX))
                .time_to_live(options.max_age)
                .eviction_listener(move |_, _, cause| {
                    if cause == RemovalCause::Size {
                        evictions.lists.evicted();
                    }
                })
                .build()
        });
        Self {
            kept,
            flights: Arc::new(Flights::new(ticks)),
            void: AtomicU64::new(0),
            ticks,
            max_age: options.max_age,
            entry_max: usize::try_from(room / ENTRY_SHARE).unwrap_or(usize::MAX),
            counters,
        }
    }

    /// Tells whether pages are kept here.
    pub(crate) fn is_enabled(&self) -> bool {
        self.kept.is_some()
    }

    /// Returns a page that is kept and young enough, or asks the database by `fetch`, or shares the
    /// question with others.
    pub(crate) async fn get<F>(
        self: &Arc<Self>,
        key: &ListKey,
        fetch: impl Fn() -> F + Send + 'static,
    ) -> Result<AgedPage, &'static str>
    where
        F: Future<Output = Listed> + Send + 'static,
    {
        let came = self.ticks.now();
        if let Some(kept) = self.kept.as_ref().and_then(|cache| cache.get(key))
            && is_servable(kept.asked, self.void_at(), came, self.max_age)
        {
            self.counters.lists.hit();
            return Ok(AgedPage {
                page: kept.page,
                staleness_ms: came.millis_since(kept.asked),
            });
        }
        self.counters.lists.missed();
        let (myself, kept_as) = (Arc::clone(self), key.clone());
        let keep = move |landed: &Landed<Listed>| {
            if let Ok(page) = &landed.value {
                myself.keep(&kept_as, page, landed.asked);
            }
        };
        let landed = self.flights.read(key, Demand::Running, fetch, keep).await;
        let landed = landed.ok_or("a read was lost")?;
        if landed.asked < came {
            self.counters.lists.shared();
        }
        Ok(AgedPage {
            staleness_ms: came.millis_since(landed.asked),
            page: landed.value?,
        })
    }

    fn keep(&self, key: &ListKey, page: &Arc<ProductPage>, asked: Tick) {
        let Some(cache) = &self.kept else { return };
        if bytes(key, page) <= self.entry_max {
            let page = Arc::clone(page);
            cache.insert(key.clone(), Kept { page, asked });
            cache.run_pending_tasks();
        }
    }

    /// Drops all pages: any of them may show any product.
    pub(super) fn forget_all(&self) {
        if !self.is_enabled() {
            return;
        }
        self.void.fetch_max(self.ticks.now().0, Ordering::AcqRel);
        self.flights.outdate_where(|_| true);
        self.counters.lists.invalidated();
    }

    fn void_at(&self) -> Tick {
        Tick(self.void.load(Ordering::Acquire))
    }

    /// Returns how many pages are kept, and their bytes, about.
    pub(super) fn size(&self) -> (u64, u64) {
        self.kept.as_ref().map_or((0, 0), |cache| {
            cache.run_pending_tasks();
            (cache.entry_count(), cache.weighted_size())
        })
    }
}

/// Returns what an entry takes, in bytes, about.
fn bytes(key: &ListKey, page: &ProductPage) -> usize {
    let after = match key.after.as_ref().map(|after| &after.position) {
        Some(ProductPosition::Name(name)) => name.len(),
        _ => 0,
    };
    let key_bytes = size_of::<ListKey>() + key.query.as_ref().map_or(0, String::len) + after;
    let items = page
        .items
        .iter()
        .map(|product| size_of::<Product>() + text_bytes(product));
    OVERHEAD_BYTES + key_bytes + size_of::<Kept>() + size_of::<ProductPage>() + items.sum::<usize>()
}

#[cfg(test)]
mod tests;
