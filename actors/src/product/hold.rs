//! Promises of units, between a decision and its commit.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use holdfast_domain::{Product, StockLevel};
use ractor::ActorRef;
use tokio::sync::oneshot;

use super::ProductMessage;
use crate::lane::LaneError;

/// Where a product's units are promised: its actor, or what stands for it in a simulation.
pub(crate) trait Shelf: Send + Sync {
    /// Asks for units; `false` if the product is gone.
    fn want(&self, wanted: Wanted, answer: oneshot::Sender<HoldAnswer>) -> bool;

    /// Tells that a promise was kept, and the counters since.
    fn kept(&self, hold: HoldId, level: StockLevel);

    /// Tells that a promise was broken.
    fn broken(&self, hold: HoldId);

    /// Tells that the store disagrees with what the product believes.
    fn distrust(&self);
}

// Every send fails only if the actor is gone, and with it what it had promised.
impl Shelf for ActorRef<ProductMessage> {
    fn want(&self, wanted: Wanted, answer: oneshot::Sender<HoldAnswer>) -> bool {
        self.send_message(ProductMessage::Hold(wanted, answer)).is_ok()
    }

    fn kept(&self, hold: HoldId, level: StockLevel) {
        let _ = self.send_message(ProductMessage::Kept(hold, level));
    }

    fn broken(&self, hold: HoldId) {
        let _ = self.send_message(ProductMessage::Broken(hold));
    }

    fn distrust(&self) {
        let _ = self.send_message(ProductMessage::Distrust);
    }
}

/// Requests for units that may wait until promises are kept or broken.
const PARKED_MAX: usize = 4_096;

/// Names a promise of one product's actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldId(u64);

/// What somebody wants of a product's stock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Units that must be available; 0 for a change that only adds.
    pub(crate) units: u32,
}

/// What a product says to somebody who wants units.
pub(crate) enum HoldAnswer {
    /// They are promised.
    Held {
        /// The product as it is now.
        product: Arc<Product>,
        /// The committed counters.
        base: StockLevel,
        /// The promise.
        hold: Hold,
    },
    /// There are fewer, and that is durable.
    Short {
        /// The product as it is now.
        product: Arc<Product>,
        /// How many there are.
        available: u32,
    },
    /// There is no such product.
    NoSuchProduct,
    /// Too many wait already.
    Overloaded,
}

/// A promise of units. Dropped without [`committed`](Self::committed), its units are free again.
pub(crate) struct Hold {
    id: HoldId,
    shelf: Arc<dyn Shelf>,
    is_settled: bool,
}

impl Hold {
    /// Tells the product that the promise was kept, and its counters since.
    pub(crate) fn committed(mut self, level: StockLevel) {
        self.is_settled = true;
        self.shelf.kept(self.id, level);
    }

    /// Tells the product why the promise was broken.
    pub(crate) fn failed(self, error: &LaneError) {
        if *error == LaneError::Conflict {
            self.shelf.distrust();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.is_settled {
            self.shelf.broken(self.id);
        }
    }
}

/// A product's stock: committed counters, promises, and who waits for their outcome.
pub(crate) struct Holds {
    committed: StockLevel,
    promised: HashMap<HoldId, u32>,
    /// The sum of `promised`.
    promised_units: u32,
    parked: VecDeque<(Wanted, oneshot::Sender<HoldAnswer>)>,
    next_id: u64,
    /// Whether units are refused that are merely promised to others: shows that this is noticed.
    #[cfg(feature = "fault-points")]
    is_ungated: bool,
}

impl Holds {
    pub(crate) fn new(committed: StockLevel) -> Self {
        Self {
            committed,
            promised: HashMap::new(),
            promised_units: 0,
            parked: VecDeque::new(),
            next_id: 0,
            #[cfg(feature = "fault-points")]
            is_ungated: false,
        }
    }

    /// Leaves the output gate open.
    #[cfg(feature = "fault-points")]
    pub(crate) fn ungated(self) -> Self {
        Self {
            is_ungated: true,
            ..self
        }
    }

    pub(crate) fn committed(&self) -> StockLevel {
        self.committed
    }

    /// Promises units, refuses them, or lets the request wait.
    pub(crate) fn want(
        &mut self,
        shelf: &Arc<dyn Shelf>,
        product: &Arc<Product>,
        wanted: Wanted,
        answer: oneshot::Sender<HoldAnswer>,
    ) {
        match self.decide(wanted) {
            Decision::Promise => self.promise(shelf, product, wanted, answer),
            Decision::Refuse => {
                let available = self.committed.available();
                let _ = answer.send(HoldAnswer::Short {
                    product: Arc::clone(product),
                    available,
                });
            }
            Decision::Wait if self.parked.len() >= PARKED_MAX => {
                let _ = answer.send(HoldAnswer::Overloaded);
            }
            Decision::Wait => self.parked.push_back((wanted, answer)),
        }
    }

    /// Takes note that a promise was kept.
    pub(crate) fn kept(
        &mut self,
        shelf: &Arc<dyn Shelf>,
        product: &Arc<Product>,
        hold: HoldId,
        level: StockLevel,
    ) {
        if level.version > self.committed.version {
            self.committed = level;
        }
        self.broken(shelf, product, hold);
    }

    /// Takes note that a promise no longer stands, and decides anew for those who wait.
    pub(crate) fn broken(&mut self, shelf: &Arc<dyn Shelf>, product: &Arc<Product>, hold: HoldId) {
        if let Some(units) = self.promised.remove(&hold) {
            self.promised_units = self.promised_units.saturating_sub(units);
        }
        for (wanted, answer) in std::mem::take(&mut self.parked) {
            if !answer.is_closed() {
                self.want(shelf, product, wanted, answer);
            }
        }
    }

    fn decide(&self, wanted: Wanted) -> Decision {
        let committed = self.committed.available();
        let free = committed.saturating_sub(self.promised_units);
        #[cfg(feature = "fault-points")]
        if self.is_ungated && wanted.units > free {
            return Decision::Refuse;
        }
        if wanted.units <= free {
            Decision::Promise
        } else if wanted.units > committed {
            Decision::Refuse
        } else {
            Decision::Wait
        }
    }

    fn promise(
        &mut self,
        shelf: &Arc<dyn Shelf>,
        product: &Arc<Product>,
        wanted: Wanted,
        answer: oneshot::Sender<HoldAnswer>,
    ) {
        let id = HoldId(self.next_id);
        self.next_id += 1;
        self.promised.insert(id, wanted.units);
        self.promised_units += wanted.units;
        let hold = Hold {
            id,
            shelf: Arc::clone(shelf),
            is_settled: false,
        };
        // If nobody waits any more, the hold is dropped with the answer and comes back as broken.
        let _ = answer.send(HoldAnswer::Held {
            product: Arc::clone(product),
            base: self.committed,
            hold,
        });
    }
}

enum Decision {
    /// The units are free.
    Promise,
    /// The units are not there, and that is durable.
    Refuse,
    /// The units are promised to others, who may yet not take them.
    Wait,
}

/// Asks a product on this node for units, and waits for its decision.
pub(crate) async fn want(shelf: &dyn Shelf, wanted: Wanted) -> Option<HoldAnswer> {
    let (answer, decision) = oneshot::channel();
    if !shelf.want(wanted, answer) {
        return None;
    }
    decision.await.ok()
}
