//! The world of one history: the database, the network, the nodes and what they do to each other.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{NodeId, ProductId, StockLevel};
use holdfast_store::model::{Guards, Model};
use parking_lot::Mutex;
use rand::Rng;
use tokio::sync::oneshot;

use super::{
    database::Database,
    executor::{Executor, Group},
    network::Network,
    plan::{Breakage, Fault},
    process::Process,
    trace::Trace,
};
use crate::{command::Request, entity::Outcome, map::ShardMap, product::Holds};

/// How long a node that is asked to stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// How often a node that stops looks whether its shards have moved.
const STOP_POLL: Duration = Duration::from_millis(20);
/// The pause before a process that has ended is started again.
const RESTART: Duration = Duration::from_millis(50);

/// What holds the promise up; all, unless a test takes one away.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Switches {
    /// What the store checks.
    pub(super) guards: Guards,
    /// Whether units are refused before what makes them short is durable.
    #[cfg(test)]
    pub(super) refuses_early: bool,
    /// Whether answers are given before what they tell of is durable.
    #[cfg(test)]
    pub(super) answers_early: bool,
}

/// The latest version of the cluster map, which all nodes that read it share.
#[derive(Default)]
pub(super) struct Maps(Mutex<Arc<ShardMap>>);

impl Maps {
    /// Reads the map as it stands.
    pub(super) fn read(&self, model: &Model) -> Arc<ShardMap> {
        let latest = &mut *self.0.lock();
        if latest.version() != model.map_version() {
            *latest = Arc::new(ShardMap::from(model.map_load()));
        }
        Arc::clone(latest)
    }
}

/// The world of one history.
pub(super) struct World {
    pub(super) executor: Executor,
    pub(super) database: Database,
    pub(super) network: Network,
    pub(super) trace: Arc<Trace>,
    pub(super) maps: Arc<Maps>,
    #[cfg(test)]
    switches: Switches,
    /// By node: its process, if one runs.
    processes: Mutex<Vec<Option<Arc<Process>>>>,
    /// By node: how many in a thousand its monotonic clock is fast.
    drift: Vec<i32>,
    runs: Mutex<u32>,
    is_over: Mutex<bool>,
}

impl World {
    pub(super) fn new(
        executor: &Executor,
        model: Model,
        nodes: usize,
        #[cfg_attr(not(test), expect(unused_variables, reason = "only tests take anything away"))]
        switches: Switches,
        trace: Arc<Trace>,
    ) -> Arc<Self> {
        let drift = (0..nodes).map(|_| executor.draw(|rng| rng.random_range(-200..=200)));
        Arc::new(Self {
            executor: executor.clone(),
            database: Database::new(executor, model),
            network: Network::new(executor),
            trace,
            maps: Arc::default(),
            #[cfg(test)]
            switches,
            processes: Mutex::new(vec![None; nodes]),
            drift: drift.collect(),
            runs: Mutex::new(0),
            is_over: Mutex::new(false),
        })
    }

    /// Draws what makes an id unlike any other.
    pub(super) fn entropy(&self) -> [u8; 10] {
        self.executor.draw(Rng::random)
    }

    /// Makes what a product promises by.
    #[cfg_attr(
        not(test),
        expect(clippy::unused_self, reason = "only tests take anything away")
    )]
    pub(super) fn holds(&self, committed: StockLevel) -> Holds {
        #[cfg(test)]
        if self.switches.refuses_early {
            return Holds::new(committed).ungated();
        }
        Holds::new(committed)
    }

    /// Tells whether answers do not wait for what they tell of.
    #[cfg(test)]
    pub(super) fn answers_early(&self) -> bool {
        self.switches.answers_early
    }

    /// Returns how much time has passed on a node's clock.
    pub(super) fn drifted(&self, node: usize, elapsed: Duration) -> Duration {
        let per_thousand = u32::try_from(1_000 + self.drift[node]).unwrap_or(1_000);
        elapsed * per_thousand / 1_000
    }

    /// Starts a node, unless it runs or the history is over.
    pub(super) fn start(self: &Arc<Self>, node: usize) {
        if *self.is_over.lock() || self.at(node).is_some() {
            return;
        }
        let run = {
            let mut runs = self.runs.lock();
            *runs += 1;
            *runs
        };
        self.trace.note(&self.executor, || format!("n{node} starts"));
        let process = Process::start(self, node, run);
        self.processes.lock()[node] = Some(process);
    }

    /// Ends a node's process at once, if one runs.
    pub(super) fn kill(&self, node: usize) {
        let process = self.processes.lock()[node].take();
        if let Some(process) = process {
            self.trace.note(&self.executor, || format!("n{node} is gone"));
            process.end();
            self.executor.kill(process.group);
        }
    }

    /// Ends a process that found itself superseded, and starts its node anew.
    pub(super) fn ended(self: &Arc<Self>, process: &Arc<Process>) {
        let (world, node, group) = (Arc::clone(self), process.node, process.group);
        process.end();
        self.executor.spawn(Group::World, async move {
            if world.at(node).is_some_and(|found| found.group == group) {
                world.kill(node);
                world.executor.sleep(RESTART).await;
                world.start(node);
            }
        });
    }

    /// Returns a node's process.
    pub(super) fn at(&self, node: usize) -> Option<Arc<Process>> {
        self.processes.lock()[node].clone()
    }

    /// Draws one of the processes that run.
    pub(super) fn any_process(&self) -> Option<Arc<Process>> {
        let running: Vec<_> = self.processes.lock().iter().flatten().cloned().collect();
        let index = self
            .executor
            .draw(|rng| rng.random_range(0..running.len().max(1)));
        running.get(index).cloned()
    }

    /// Returns an incarnation's process, if it runs.
    pub(super) fn process(&self, id: NodeId) -> Option<Arc<Process>> {
        let processes = self.processes.lock();
        processes
            .iter()
            .flatten()
            .find(|process| process.id == id)
            .cloned()
    }

    /// Tells whether an incarnation's process runs.
    pub(super) fn is_running(&self, id: NodeId) -> bool {
        self.process(id).is_some()
    }

    /// Lists the processes that a node has a session with.
    pub(super) fn linked(&self, node: usize) -> Vec<NodeId> {
        let processes = self.processes.lock();
        let others = processes.iter().flatten().filter(|process| process.node != node);
        let linked = others.filter(|process| self.network.is_open(node, process.node));
        linked.map(|process| process.id).collect()
    }

    /// Tells all other nodes that there is a newer map.
    pub(super) fn spread_map(self: &Arc<Self>, from: usize) {
        let others = self
            .processes
            .lock()
            .iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>();
        for to in others.into_iter().filter(|process| process.node != from) {
            let world = Arc::clone(self);
            self.executor.spawn(Group::World, async move {
                if world.network.carry(from, to.node).await && !to.has_ended() {
                    to.hear_of_map();
                }
            });
        }
    }

    /// Carries a request to a process and its answer back; drops the reply if either is lost.
    pub(super) fn deliver(
        self: &Arc<Self>,
        from: usize,
        to: Arc<Process>,
        request: Request,
        budget: Duration,
        reply: oneshot::Sender<Outcome>,
    ) {
        let world = Arc::clone(self);
        self.executor.spawn(Group::World, async move {
            if !world.network.carry(from, to.node).await || to.has_ended() {
                return;
            }
            let (done, outcome) = oneshot::channel();
            let (serving, executor) = (Arc::clone(&to), world.executor.clone());
            world.executor.spawn(to.group, async move {
                if let Some(outcome) = executor.timeout(budget, serving.dispatch(request)).await {
                    let _ = done.send(outcome);
                }
            });
            let Ok(outcome) = outcome.await else { return };
            if world.network.carry(to.node, from).await {
                let _ = reply.send(outcome);
            }
        });
    }

    /// Lets something break, and mends it when its time is over.
    pub(super) async fn suffer(self: &Arc<Self>, fault: &Fault, products: &[ProductId]) {
        self.executor.sleep(fault.at).await;
        self.trace.note(&self.executor, || {
            format!("{:?} for {} ms", fault.what, fault.lasts.as_millis())
        });
        let until = self.executor.now() + fault.lasts;
        let mend = self.break_something(&fault.what, products).await;
        let left = until.saturating_sub(self.executor.now());
        self.executor.sleep(left).await;
        mend();
    }

    /// Tells whether every node runs.
    pub(super) fn is_whole(&self) -> bool {
        self.processes.lock().iter().all(Option::is_some)
    }

    async fn break_something(
        self: &Arc<Self>,
        what: &Breakage,
        products: &[ProductId],
    ) -> Box<dyn FnOnce() + Send> {
        let world = Arc::clone(self);
        match *what {
            Breakage::Kill(node) => {
                self.kill(node);
                Box::new(move || world.start(node))
            }
            Breakage::Pause(node) => {
                let group = self.at(node).map(|process| process.group);
                group.inspect(|group| self.executor.freeze(*group, true));
                Box::new(move || {
                    group.inspect(|group| world.executor.freeze(*group, false));
                })
            }
            Breakage::Cut(from, to) => {
                self.network.set_cut(from, to, true);
                Box::new(move || world.network.set_cut(from, to, false))
            }
            Breakage::CutFromPostgres(node) => {
                self.database.set_cut(node, true);
                Box::new(move || world.database.set_cut(node, false))
            }
            Breakage::PostgresDown => {
                self.database.set_up(false);
                Box::new(move || world.database.set_up(true))
            }
            Breakage::Storm(per_thousand) => {
                self.network.set_storm(per_thousand);
                self.database.set_lost(per_thousand / 2);
                Box::new(move || {
                    world.network.set_storm(0);
                    world.database.set_lost(0);
                })
            }
            Breakage::Stop(node) => {
                self.stop(node).await;
                Box::new(move || world.start(node))
            }
            Breakage::Crash(product) => {
                let processes: Vec<_> = self.processes.lock().iter().flatten().cloned().collect();
                for process in processes {
                    process.crash(products[product]);
                }
                Box::new(|| {})
            }
        }
    }

    /// Stops a node in an orderly way: it hands over what it has, as far as its time allows.
    async fn stop(self: &Arc<Self>, node: usize) {
        let Some(process) = self.at(node) else { return };
        process.leave();
        let limit = self.executor.now() + STOP_LIMIT;
        while process.owns_any() && self.executor.now() < limit {
            self.executor.sleep(STOP_POLL).await;
        }
        if self.at(node).is_some_and(|found| found.group == process.group) {
            self.kill(node);
        }
    }

    /// Ends the history: nothing runs any more.
    pub(super) fn end(&self) {
        *self.is_over.lock() = true;
        (0..self.drift.len()).for_each(|node| self.kill(node));
    }
}
