//! Postgres as a node sees it: a model behind a network, that can be out of reach, restart, and leave
//! the outcome of a statement unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use holdfast_domain::{ProductId, Timestamp};
use holdfast_store::{
    StoreError,
    model::{self, Model},
};
use parking_lot::Mutex;
use rand::Rng;
use tokio::sync::oneshot;

use super::executor::{Executor, Group};

/// How long a node waits for an answer before it gives up on the connection.
const GIVE_UP: Duration = Duration::from_secs(2);
/// How often, in a thousand, a statement is held up for long: it may arrive after its sender's death.
const LATE: u32 = 4;

/// What stands between the nodes and the model.
struct Weather {
    is_up: bool,
    /// Counts restarts: what began before one is cut off by it.
    starts: u32,
    /// Nodes that are cut off, by number.
    cut: BTreeSet<usize>,
    /// How many in a thousand statements or answers are lost.
    lost: u32,
}

/// The database; clones share it.
#[derive(Clone)]
pub(super) struct Database {
    executor: Executor,
    model: Arc<Mutex<Model>>,
    weather: Arc<Mutex<Weather>>,
    levels: Arc<Mutex<Levels>>,
}

/// How many units of each product were available after each entry of its ledger.
///
/// One commit may make several entries. Each is a state that the product went through, if only for a
/// moment: who was refused in it was refused rightly. A commit counts for others once its node has
/// heard of it: until then nobody could know.
#[derive(Clone, Debug, Default)]
pub(super) struct Levels(BTreeMap<ProductId, Vec<Level>>);

#[derive(Clone, Copy, Debug)]
struct Level {
    version: i64,
    available: u32,
    since: Duration,
    known_since: Option<Duration>,
}

impl Levels {
    /// Tells whether there was a moment in a span at which fewer units than wanted were available, for
    /// all that anybody could know.
    pub(super) fn was_below(&self, product: ProductId, units: u32, from: Duration, to: Duration) -> bool {
        let Some(levels) = self.0.get(&product) else {
            return true;
        };
        levels.iter().enumerate().any(|(index, level)| {
            let outdated = levels[index + 1..]
                .iter()
                .filter_map(|later| later.known_since)
                .min();
            level.available < units && level.since <= to && outdated.is_none_or(|at| at >= from)
        })
    }

    fn look(&mut self, at: Duration, model: &Model) {
        for (product, levels) in &mut self.0 {
            let new = model.movements(*product).iter().skip(levels.len());
            levels.extend(new.map(|movement| Level {
                version: movement.level.version,
                available: movement.level.available(),
                since: at,
                known_since: None,
            }));
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// There was no connection; nothing was done.
    Unreachable,
    /// The connection was lost; it may or may not have been done.
    Lost,
}

impl From<NoAnswer> for StoreError {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Unreachable => model::unreachable(),
            NoAnswer::Lost => model::connection_lost(),
        }
    }
}

impl Database {
    pub(super) fn new(executor: &Executor, model: Model) -> Self {
        Self {
            executor: executor.clone(),
            model: Arc::new(Mutex::new(model)),
            weather: Arc::new(Mutex::new(Weather {
                is_up: true,
                starts: 0,
                cut: BTreeSet::new(),
                lost: 0,
            })),
            levels: Arc::default(),
        }
    }

    /// Returns the database's clock.
    pub(super) fn clock(&self) -> Timestamp {
        Timestamp::from_unix_micros(1_800_000_000_000_000).plus(self.executor.now())
    }

    /// Keeps an eye on how many units of these products are available.
    pub(super) fn watch(&self, products: &[ProductId]) {
        let levels = &mut *self.levels.lock();
        levels.0 = products.iter().map(|product| (*product, Vec::new())).collect();
        levels.look(Duration::ZERO, &self.model.lock());
    }

    /// Notes that a node has heard of a product's counters.
    pub(super) fn heard(&self, product: ProductId, version: i64) {
        let at = self.executor.now();
        let levels = &mut *self.levels.lock();
        for level in levels.0.get_mut(&product).into_iter().flatten() {
            if level.version <= version {
                level.known_since.get_or_insert(at);
            }
        }
    }

    /// Returns what was seen.
    pub(super) fn levels(&self) -> Levels {
        self.levels.lock().clone()
    }

    /// Looks at the model, as nobody in the history can.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Model) -> T) -> T {
        look(&self.model.lock())
    }

    pub(super) fn set_up(&self, is_up: bool) {
        let weather = &mut *self.weather.lock();
        weather.is_up = is_up;
        weather.starts += 1;
    }

    pub(super) fn set_cut(&self, node: usize, is_cut: bool) {
        let cut = &mut self.weather.lock().cut;
        if is_cut {
            cut.insert(node);
        } else {
            cut.remove(&node);
        }
    }

    pub(super) fn set_lost(&self, per_thousand: u32) {
        self.weather.lock().lost = per_thousand;
    }

    /// Sends a statement for a node and waits for its answer.
    ///
    /// Once sent, it is carried out whatever becomes of the node - now or much later.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        node: usize,
        statement: impl FnOnce(&mut Model, Timestamp) -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let sent_under = self.connect(node);
        if sent_under.is_none() {
            self.executor.sleep(Duration::from_millis(1)).await;
        }
        let starts = sent_under.ok_or(NoAnswer::Unreachable)?;
        let (answer, answered) = oneshot::channel();
        let database = self.clone();
        self.executor.spawn(Group::Postgres, async move {
            database.carry_out(node, starts, statement, answer).await;
        });
        match self.executor.timeout(GIVE_UP, answered).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(_)) | None => Err(NoAnswer::Lost),
        }
    }

    async fn carry_out<T>(
        &self,
        node: usize,
        starts: u32,
        statement: impl FnOnce(&mut Model, Timestamp) -> T,
        answer: oneshot::Sender<T>,
    ) {
        self.executor.sleep(self.delay()).await;
        if self.is_lost() || self.connect(node) != Some(starts) {
            return;
        }
        let done = {
            let model = &mut *self.model.lock();
            let done = statement(model, self.clock());
            self.levels.lock().look(self.executor.now(), model);
            done
        };
        self.executor.sleep(self.delay()).await;
        if !self.is_lost() && self.connect(node) == Some(starts) {
            // Fails only if the node has given up or died.
            let _ = answer.send(done);
        }
    }

    /// Names the connection that a node has or could make.
    fn connect(&self, node: usize) -> Option<u32> {
        let weather = self.weather.lock();
        (weather.is_up && !weather.cut.contains(&node)).then_some(weather.starts)
    }

    fn is_lost(&self) -> bool {
        let lost = self.weather.lock().lost;
        lost > 0 && self.executor.draw(|rng| rng.random_range(0..1_000)) < lost
    }

    fn delay(&self) -> Duration {
        self.executor.draw(|rng| {
            if rng.random_range(0..1_000) < LATE {
                Duration::from_millis(rng.random_range(100..=3_000))
            } else {
                Duration::from_micros(rng.random_range(200..=4_000))
            }
        })
    }
}
