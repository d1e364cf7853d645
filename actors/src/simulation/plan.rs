//! What happens in one history: who asks for what and what breaks, all of it drawn from the seed.
//!
//! A plan is plain data, so that a failing one can be made smaller by leaving things out. The order
//! in which tasks run, and how long messages take, come from the seed as well, and not from the plan.

use std::{fmt, time::Duration};

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// When the last fault has been mended, unless a node takes longer to stop.
pub(super) const HEALED: Duration = Duration::from_secs(6);
/// When everything that was begun must have come to its end.
pub(super) const END: Duration = Duration::from_secs(40);

/// One history's plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Names the history.
    pub(super) seed: u64,
    /// How many nodes there are at the beginning.
    pub(super) nodes: usize,
    /// Each product's units at the beginning.
    pub(super) stock: Vec<u32>,
    /// What clients ask for.
    pub(super) asks: Vec<Ask>,
    /// What breaks.
    pub(super) faults: Vec<Fault>,
}

/// Something that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// When.
    pub(super) at: Duration,
    /// What.
    pub(super) what: What,
}

/// What a client asks for. Orders are named by the number of the ask that placed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Units of products, by number.
    Place(Vec<(usize, u32)>),
    /// The same request as another ask, under the same key, at the same time or later.
    PlaceAgain(usize),
    /// Payment of an order.
    Pay(usize),
    /// Calling an order off.
    Cancel(usize),
    /// A provider's report that a payment of an order was captured: the first or the second of its payments.
    Report(usize, u8),
    /// Units that arrive, or are taken away.
    Adjust(usize, i64),
}

/// Something that breaks, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// When.
    pub(super) at: Duration,
    /// For how long.
    pub(super) lasts: Duration,
    /// What.
    pub(super) what: Breakage,
}

/// What breaks. Nodes are named by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Breakage {
    /// A node's process is gone, and started again afterwards.
    Kill(usize),
    /// A node's process stands still.
    Pause(usize),
    /// Messages from one node to another are lost.
    Cut(usize, usize),
    /// Statements of a node do not reach Postgres, nor do its answers come back.
    CutFromPostgres(usize),
    /// Postgres is gone, and everything that was under way with it.
    PostgresDown,
    /// Messages and answers are lost, come twice or late, by this many in a thousand.
    Storm(u32),
    /// A node hands its shards over and stops; it is started again afterwards.
    Stop(usize),
    /// A product's actor fails, on every node.
    Crash(usize),
}

impl Plan {
    /// Draws a plan.
    pub(super) fn of(seed: u64) -> Self {
        // Another stream than the schedule's, which begins from the seed itself.
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x9e37_79b9_7f4a_7c15);
        let nodes = rng.random_range(2..=4);
        let products = rng.random_range(1..=5);
        let stock = (0..products).map(|_| rng.random_range(0..=12)).collect();
        let asks = asks(&mut rng, products);
        let faults = (0..rng.random_range(0..=4)).map(|_| fault(&mut rng, nodes, products));
        let mut faults: Vec<_> = faults.collect();
        faults.sort_by_key(|fault| fault.at);
        Self {
            seed,
            nodes,
            stock,
            asks,
            faults,
        }
    }
}

fn asks(rng: &mut SmallRng, products: usize) -> Vec<Ask> {
    let count = rng.random_range(5..=30);
    let mut asks: Vec<Ask> = Vec::with_capacity(count);
    for _ in 0..count {
        let placed: Vec<usize> = (0..asks.len())
            .filter(|index| matches!(asks[*index].what, What::Place(_)))
            .collect();
        let earlier = (!placed.is_empty()).then(|| placed[rng.random_range(0..placed.len())]);
        let what = match (rng.random_range(0..100), earlier) {
            (0..50, _) | (_, None) => What::Place(lines(rng, products)),
            (50..60, Some(order)) => What::PlaceAgain(order),
            (60..72, Some(order)) => What::Pay(order),
            (72..80, Some(order)) => What::Report(order, rng.random_range(0..2)),
            (80..88, Some(order)) => What::Cancel(order),
            _ => What::Adjust(rng.random_range(0..products), rng.random_range(-3..=5)),
        };
        asks.push(Ask {
            at: millis(rng, 300, 5_000),
            what,
        });
    }
    // In bursts: much of what goes wrong needs company.
    for index in 1..asks.len() {
        if rng.random_bool(0.5) {
            asks[index].at = asks[index - 1].at + millis(rng, 0, 5);
        }
    }
    // Many payments come when their order has expired.
    for ask in &mut asks {
        if matches!(ask.what, What::Report(..)) && rng.random_bool(0.7) {
            ask.at = millis(rng, 3_000, 9_000);
        }
    }
    asks
}

fn lines(rng: &mut SmallRng, products: usize) -> Vec<(usize, u32)> {
    let wanted = rng.random_range(1..=products.min(3));
    let mut lines: Vec<(usize, u32)> = Vec::with_capacity(wanted);
    for _ in 0..wanted {
        let product = rng.random_range(0..products);
        if lines.iter().all(|(other, _)| *other != product) {
            lines.push((product, rng.random_range(1..=3)));
        }
    }
    lines
}

fn fault(rng: &mut SmallRng, nodes: usize, products: usize) -> Fault {
    let node = rng.random_range(0..nodes);
    let what = match rng.random_range(0..100) {
        0..22 => Breakage::Kill(node),
        22..38 => Breakage::Pause(node),
        38..52 => Breakage::Cut(node, (node + rng.random_range(1..nodes)) % nodes),
        52..62 => Breakage::CutFromPostgres(node),
        62..74 => Breakage::PostgresDown,
        74..84 => Breakage::Storm(rng.random_range(10..=200)),
        84..92 => Breakage::Stop(node),
        _ => Breakage::Crash(rng.random_range(0..products)),
    };
    let at = millis(rng, 200, 4_500);
    let longest = u64::try_from(HEALED.saturating_sub(at).as_millis()).unwrap_or(u64::MAX);
    Fault {
        at,
        lasts: millis(rng, 20, longest.min(2_500)),
        what,
    }
}

fn millis(rng: &mut SmallRng, from: u64, to: u64) -> Duration {
    Duration::from_millis(rng.random_range(from..=to))
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6} ms  {:?}", self.at.as_millis(), self.what)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at.as_millis(), self.lasts.as_millis());
        write!(f, "{at:>6} ms  {:?} for {lasts} ms", self.what)
    }
}
