//! A seeded simulation: a cluster of the decisions of production, over a model of the store.
//!
//! Nodes, clients, the network and Postgres live in virtual time on one thread. What decides is the
//! code that runs in production: the [membership's core](crate::membership), the
//! [lane's queue](crate::lane), a product's promises, placing and the saga. What is simulated is what
//! they cannot know: when messages arrive, what is lost, doubled or late, which process dies or stands
//! still, and what becomes of a statement when Postgres goes away. A seed gives one history, again and
//! again; after it, [checks](check) look for broken promises in what clients were told and what is
//! stored.
//!
//! The model's answers are compared with those of Postgres by a test of the store.

mod check;
mod client;
mod database;
mod executor;
mod history;
mod many;
mod network;
mod plan;
mod process;
mod shrink;
#[cfg(test)]
mod tests;
mod trace;
mod world;

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use holdfast_domain::{
    JsonObject, Money, OrderStatus, Product, ProductId, ProductStatus, ShardId, Sku, StockLevel, Timestamp,
    UserId,
};
use holdfast_store::{OrderRecord, OrderState, model::Model};
use rand::Rng;
use uuid::Uuid;

pub use many::simulate_many;

use self::{
    client::Cast,
    executor::{Executor, Group},
    history::History,
    plan::{END, HEALED, Plan},
    trace::Trace,
    world::{Switches, World},
};

/// A history that broke a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Gives the same history again.
    pub seed: u64,
    /// What was broken.
    pub breaches: Vec<String>,
    /// What was asked for and what broke, made as small as it still fails.
    pub plan: Vec<String>,
    /// What happened, step by step.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} breaks a promise:", self.seed)?;
        let blocks = [
            ("", &self.breaches),
            ("plan", &self.plan),
            ("history", &self.trace),
        ];
        for (title, lines) in blocks {
            if !title.is_empty() {
                writeln!(f, "{title}:")?;
            }
            for line in lines {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}

/// Runs the history of a seed.
///
/// # Errors
/// [`Failure`]: it broke a promise. It has been made smaller, and is told step by step.
pub fn simulate(seed: u64) -> Result<(), Box<Failure>> {
    let plan = Plan::of(seed);
    let switches = Switches::default();
    if run(&plan, switches, false).breaches.is_empty() {
        return Ok(());
    }
    Err(Box::new(explain(plan, switches)))
}

/// Makes a failing plan smaller and tells what happens in it.
fn explain(plan: Plan, switches: Switches) -> Failure {
    let plan = shrink::smallest(plan, |plan| !run(plan, switches, false).breaches.is_empty());
    let told = run(&plan, switches, true);
    let setting = format!("{} nodes, products with {:?} units", plan.nodes, plan.stock);
    let asks = plan
        .asks
        .iter()
        .enumerate()
        .map(|(number, ask)| format!("ask {number}  {ask}"));
    let faults = plan.faults.iter().map(ToString::to_string);
    Failure {
        seed: plan.seed,
        breaches: told.breaches,
        plan: std::iter::once(setting).chain(asks).chain(faults).collect(),
        trace: told.trace,
    }
}

/// What came of a history.
struct Told {
    breaches: Vec<String>,
    trace: Vec<String>,
}

/// Runs a history. One that panics has broken a promise as well.
fn run(plan: &Plan, switches: Switches, is_told: bool) -> Told {
    let trace = Arc::new(Trace::new(is_told));
    let history = panic::catch_unwind(AssertUnwindSafe(|| play(plan, switches, &trace)));
    let breaches = history.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        vec![format!("a panic: {}", text.unwrap_or("of another kind"))]
    });
    Told {
        breaches,
        trace: trace.take(),
    }
}

fn play(plan: &Plan, switches: Switches, trace: &Arc<Trace>) -> Vec<String> {
    let executor = Executor::new(plan.seed);
    let cast = Arc::new(cast(&executor, plan));
    let mut model = Model::with(switches.guards);
    for (number, (id, units)) in cast.products.iter().zip(&plan.stock).enumerate() {
        let (product, level) = product(*id, number, *units, cast.seller);
        model.put_product(product, level).expect("a product that is new");
    }
    let world = World::new(&executor, model, plan.nodes, switches, Arc::clone(trace));
    world.database.watch(&cast.products);
    let history = Arc::new(History::new(plan.asks.len()));
    for node in 0..plan.nodes {
        world.start(node);
    }
    for fault in plan.faults.clone() {
        let (world, cast) = (Arc::clone(&world), Arc::clone(&cast));
        executor.spawn(
            Group::World,
            async move { world.suffer(&fault, &cast.products).await },
        );
    }
    for number in 0..plan.asks.len() {
        let (world, cast, history) = (Arc::clone(&world), Arc::clone(&cast), Arc::clone(&history));
        executor.spawn(Group::Client(number), client::ask(world, cast, history, number));
    }
    executor.run_until(HEALED);
    // Long enough for every deadline, but no longer than it takes.
    let mut now = HEALED;
    let mut entries = history.entries();
    while now < END && !is_done(&world, &entries) {
        now += HEALED / 12;
        executor.run_until(now);
        entries = history.entries();
    }
    world.end();
    executor.end();
    world.database.look(|model| {
        for OrderRecord { order, round, .. } in model.orders().filter(|record| record.round > 0) {
            trace.note(&executor, || {
                format!("order {} is {} in round {round}", order.id, order.status)
            });
        }
    });
    world
        .database
        .look(|model| check::breaches(&cast, model, &entries, &world.database.levels()))
}

/// Tells whether nothing is left to happen.
fn is_done(world: &World, entries: &[history::Entry]) -> bool {
    let is_open = |record: &OrderRecord| {
        matches!(record.state, OrderState::Placing { .. })
            || record.unsettled
            || record.state == OrderState::Placed && record.order.status == OrderStatus::PendingPayment
    };
    world.is_whole()
        && entries
            .iter()
            .all(|entry| entry.is_skipped || entry.ended.is_some())
        && world.database.look(|model| !model.orders().any(is_open))
}

fn cast(executor: &Executor, plan: &Plan) -> Cast {
    let mut shards: Vec<ShardId> = Vec::with_capacity(plan.stock.len());
    while shards.len() < plan.stock.len() {
        let shard = ShardId(executor.draw(Rng::random));
        if !shards.contains(&shard) {
            shards.push(shard);
        }
    }
    let mut mint = |shard| ProductId::mint_in(shard, Timestamp::UNIX_EPOCH, executor.draw(Rng::random));
    Cast {
        plan: plan.clone(),
        products: shards.into_iter().map(&mut mint).collect(),
        customer: UserId(Uuid::from_u128(1)),
        seller: UserId(Uuid::from_u128(2)),
    }
}

/// Returns what every product costs.
fn price() -> Money {
    Money::new(1_000, "EUR".parse().expect("a known currency"))
}

fn product(id: ProductId, number: usize, units: u32, seller_id: UserId) -> (Product, StockLevel) {
    let product = Product {
        id,
        sku: Sku::parse(&format!("SKU-{number}")).expect("a well-formed SKU"),
        name: format!("Product {number}"),
        description: String::new(),
        price: price(),
        status: ProductStatus::Active,
        attributes: JsonObject::empty(),
        seller_id,
        low_stock_threshold: None,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        version: 1,
    };
    let level = StockLevel {
        product_id: id,
        on_hand: units,
        reserved: 0,
        version: 1,
    };
    (product, level)
}
