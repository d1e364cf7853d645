//! What an edge remembers of the public catalogue, and how owners tell it what is out of date.
//!
//! ```text
//! reader -> kept? -- yes, young enough ------------------------> answer, with its age
//!            `- no -> Flights: one read of a key runs, others join it or the next
//!                        `- owner's memory, or the database
//! owner  -> commits -> Outbox -> one message to each edge now and then -> what is kept is dropped
//! ```
//! *Invariants*
//! - **The bound.** Nothing is served that is older than [`CacheOptions::max_age`], counted on this
//!   node's monotonic clock from before its owner or the database was asked. Messages of owners only
//!   make it fresher: they may be late, lost, or told twice.
//! - **No way back.** What was asked for before something became out of date is not kept after it.
//! - **No way around.** Only active products, and only for those who may see nothing else, are kept
//!   or served; whoever sells or runs the shop asks the owner or the database.

mod counters;
mod flights;
mod known;
mod lists;
mod outbox;
mod products;
mod push;
mod rounds;
mod ticks;

use std::{sync::Arc, time::Duration};

use holdfast_domain::{Caller, ProductId, ProductStatus, Role};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::command::{Changed, News, ProductCommand, Reply, Request};
use counters::Counters;
pub use counters::{CacheCounters, CacheStats};
pub use known::KnownProduct;
use outbox::Outbox;

pub(crate) use lists::{ListKey, Lists};
pub(crate) use products::{FromDatabase, FromOwner, Products};
pub(crate) use push::keep_pushing;

/// What may be kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Whether anything is kept at all.
    pub enabled: bool,
    /// How much, in bytes: three quarters of it for products, the rest for pages of lists.
    pub max_bytes: u64,
    /// How old it may be when it is served.
    pub max_age: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(1),
        }
    }
}

/// The caches of a node, and what its peers are to be told.
pub(crate) struct Caches {
    pub(crate) products: Arc<Products>,
    pub(crate) lists: Arc<Lists>,
    counters: Arc<Counters>,
    outbox: Mutex<Outbox>,
    /// There is something in the outbox.
    news: Notify,
}

impl Caches {
    /// Makes empty caches, which keep nothing unless the node `is_edge`.
    pub(crate) fn new(options: CacheOptions, is_edge: bool) -> Self {
        let options = CacheOptions {
            enabled: options.enabled && is_edge,
            ..options
        };
        let counters = Arc::new(Counters::default());
        Self {
            products: Arc::new(Products::new(options, Arc::clone(&counters))),
            lists: Arc::new(Lists::new(options, Arc::clone(&counters))),
            counters,
            outbox: Mutex::new(Outbox::new(options.max_age)),
            news: Notify::new(),
        }
    }

    /// Takes note that a product of this node has changed for good, before anybody is told so.
    pub(crate) fn changed(&self, change: Changed, part: Part) {
        self.products.outdated(&change);
        if part == Part::Catalogue {
            self.lists.forget_all();
        }
        self.outbox.lock().note(change, part);
        self.news.notify_one();
    }

    /// Takes what the owner of some products says about them.
    pub(crate) fn hear(&self, news: &News) {
        self.counters.heard();
        match news {
            News::Changed { products, lists } => {
                for change in products {
                    self.products.outdated(change);
                }
                if *lists {
                    self.lists.forget_all();
                }
            }
            News::Everything { shards } => {
                self.products.forget_shards(shards);
                self.lists.forget_all();
            }
        }
    }

    /// Forgets what a request has changed, before whoever sent it hears so: their next read at this
    /// node must show it. What `reply` is and whether there is one does not matter for products, for
    /// a request that seemed to fail may have done its work.
    pub(crate) fn wrote(&self, written: Written, reply: Option<&Reply>) {
        match (written, reply) {
            (Written::Product(id, part), _) => {
                self.products.forget(id);
                if part == Part::Catalogue {
                    self.lists.forget_all();
                }
            }
            (Written::Order, Some(Reply::Order(order))) => {
                for line in &order.lines {
                    self.products.forget(line.product_id);
                }
            }
            (Written::Order, Some(Reply::Fulfilment(fulfilment))) => {
                for line in &fulfilment.lines {
                    self.products.forget(line.product_id);
                }
            }
            (Written::Order | Written::Nothing, _) => {}
        }
    }

    /// Returns what the caches have done since the start, and what they hold.
    pub(crate) fn stats(&self) -> CacheStats {
        let mut stats = self.counters.snapshot();
        (stats.products.entries, stats.products.bytes) = self.products.size();
        (stats.lists.entries, stats.lists.bytes) = self.lists.size();
        stats
    }
}

/// The part of a product that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What lists show.
    Catalogue,
    /// What lists do not show.
    Stock,
}

/// What a request changes of the things that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Nothing of them.
    Nothing,
    /// A product.
    Product(ProductId, Part),
    /// The stock of an order's products, which its reply names.
    Order,
}

impl Written {
    /// Tells what `request` changes.
    pub(crate) fn by(request: &Request) -> Self {
        match request {
            Request::Account(..) | Request::Session(_) | Request::Budget(_) => Self::Nothing,
            Request::Order(_) => Self::Order,
            Request::Product(command) => {
                let id = command.product_id();
                match command {
                    ProductCommand::Read(_) => Self::Nothing,
                    ProductCommand::Create(..) | ProductCommand::Edit(..) | ProductCommand::Archive(..) => {
                        Self::Product(id, Part::Catalogue)
                    }
                    ProductCommand::Adjust(..)
                    | ProductCommand::SetStock(..)
                    | ProductCommand::Reserve(_)
                    | ProductCommand::Settle(_)
                    | ProductCommand::ReserveAnew(..)
                    | ProductCommand::SettleAnew(..) => Self::Product(id, Part::Stock),
                }
            }
        }
    }
}

/// Tells whether a viewer (`None`: not signed in) sees active products and no others.
pub(crate) fn sees_only_active(viewer: Option<&Caller>) -> bool {
    viewer.is_none_or(|viewer| viewer.role == Role::Customer)
}

/// Tells whether a product may be kept: everyone may see it.
fn is_public(status: ProductStatus) -> bool {
    status == ProductStatus::Active
}
