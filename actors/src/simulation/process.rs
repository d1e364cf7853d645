//! One start of a node: what the actors are on a node, in the simulation.
//!
//! The decisions are those of production - the membership's core, the lane's queue, the products'
//! promises, placing, the saga and its settling. Only what carries them is the simulation's own: how
//! messages reach them, and where their effects go.

mod lane;
mod member;
mod ports;
mod product;
mod router;
mod shards;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use holdfast_domain::{NodeId, OrderId, ProductId, ShardId, Timestamp};
use holdfast_store::{Lease, NewNode, OrderRecord, Service};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use self::{
    product::Shelved,
    shards::{Shard, Shards},
};
use super::{database::NoAnswer, executor::Group, world::World};
use crate::{
    command::{OrderCommand, ProductCommand, Request},
    entity::{Fault, Outcome, refused},
    lane::LaneMessage,
    map::ShardMap,
    membership::core::Event,
    order,
    ports::Desk,
    product::{settle, stock},
};

/// How often a heartbeat is renewed.
const BEAT: Duration = Duration::from_millis(200);
/// How long a peer's heartbeat may stand still.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);
/// How long a peer may be without a session before it is voted against.
const VOTE_AFTER: Duration = Duration::from_millis(1_500);
/// How often unfinished orders are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// Unfinished orders of each kind that are taken up at once.
const SWEEP_MAX: u32 = 128;
/// How long an order may go unpaid.
const PAYMENT_DEADLINE: Duration = Duration::from_secs(3);

/// One start of a node.
pub(super) struct Process {
    world: Arc<World>,
    /// The node's number; stays over restarts.
    pub(super) node: usize,
    pub(super) group: Group,
    pub(super) id: NodeId,
    map: Mutex<Arc<ShardMap>>,
    map_changed: Notify,
    shards: Shards,
    products: Mutex<BTreeMap<ProductId, Shelved>>,
    orders: Mutex<BTreeMap<OrderId, Remembered>>,
    lane: mpsc::UnboundedSender<LaneMessage>,
    membership: mpsc::UnboundedSender<Event>,
    /// When the last heartbeat that went through was sent.
    beat_at: Mutex<Duration>,
    /// A reading of the database's clock, and when it was taken.
    reading: Mutex<(Timestamp, Duration)>,
    has_ended: AtomicBool,
}

/// An order as its actor remembers it, under the lease of then. Requests take turns.
#[derive(Clone)]
struct Remembered {
    lease: Lease,
    record: Arc<tokio::sync::Mutex<Option<OrderRecord>>>,
}

impl Process {
    /// Starts a node's process.
    pub(super) fn start(world: &Arc<World>, node: usize, run: u32) -> Arc<Self> {
        let group = Group::Process(run);
        let (lane, intents) = mpsc::unbounded_channel();
        let (membership, events) = mpsc::unbounded_channel();
        let now = world.database.clock();
        let process = Arc::new(Self {
            world: Arc::clone(world),
            node,
            group,
            id: NodeId::mint(now, world.entropy()),
            map: Mutex::default(),
            map_changed: Notify::new(),
            shards: Shards::default(),
            products: Mutex::default(),
            orders: Mutex::default(),
            lane,
            membership,
            beat_at: Mutex::new(world.executor.now()),
            reading: Mutex::new((now, world.executor.now())),
            has_ended: AtomicBool::new(false),
        });
        process.spawn(lane::run(Arc::clone(&process), intents));
        process.spawn(member::run(Arc::clone(&process), events));
        let booting = Arc::clone(&process);
        process.spawn(async move { booting.boot().await });
        process
    }

    /// Starts a task that lives and dies with the process.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.world.executor.spawn(self.group, work);
    }

    /// Notes something in the history's trace.
    fn note(&self, what: impl FnOnce() -> String) {
        self.world
            .trace
            .note(&self.world.executor, || format!("n{} {}", self.node, what()));
    }

    async fn boot(self: Arc<Self>) {
        let new = NewNode {
            node_id: self.id,
            name: format!("n{}", self.node),
            // Nothing here signs in.
            roles: [Service::Products, Service::Orders]
                .map(|service| service.as_str().to_owned())
                .to_vec(),
            api_addr: String::new(),
            link_addr: String::new(),
            proto: 1,
            lock_key: i64::from(self.id.0.as_bytes()[15]),
            started_at: self.world.database.clock(),
        };
        let me = self.id;
        let joined = self.until_answered(move |model, _| model.node_join(&new)).await;
        self.refresh_map().await;
        let active = self.until_answered(move |model, _| model.node_activate(me)).await;
        if let Err(error) = joined.and(active) {
            self.note(|| format!("cannot join: {error}"));
            return self.world.ended(&self);
        }
        self.refresh_map().await;
        self.note(|| format!("has joined as {me}"));
        let (beating, sweeping) = (Arc::clone(&self), Arc::clone(&self));
        self.spawn(async move { beating.keep_beating().await });
        self.spawn(async move { sweeping.keep_sweeping().await });
    }

    /// Asks the database again and again.
    async fn until_answered<T: Send + 'static>(
        &self,
        statement: impl FnOnce(&mut holdfast_store::model::Model, Timestamp) -> T + Clone + Send + 'static,
    ) -> T {
        loop {
            match self.world.database.ask(self.node, statement.clone()).await {
                Ok(answer) => return answer,
                Err(_) => self.world.executor.sleep(BEAT / 2).await,
            }
        }
    }

    async fn keep_beating(&self) {
        while !self.has_ended() {
            let (me, sent_at) = (self.id, self.world.executor.now());
            let beat = self.world.database.ask(self.node, move |model, now| {
                model.beat(me, now).map(|beat| (beat, model.peers()))
            });
            match beat.await {
                Ok(Ok((beat, peers))) => {
                    *self.beat_at.lock() = sent_at;
                    *self.reading.lock() = (beat.now, self.world.executor.now());
                    let peers = peers.iter().filter(|peer| peer.node_id != me);
                    self.tell(Event::Polled {
                        map_version: beat.map_version,
                        state: beat.state,
                        linked: self.world.linked(self.node),
                        peers: peers.map(|peer| (peer.node_id, peer.seq)).collect(),
                    });
                }
                // Its row is gone: a newer incarnation of this name has joined.
                Ok(Err(_)) => self.tell(Event::Polled {
                    map_version: 0,
                    state: holdfast_store::NodeState::Dead,
                    peers: Vec::new(),
                    linked: Vec::new(),
                }),
                Err(_) => self.tell(Event::PollFailed),
            }
            self.world.executor.sleep(BEAT).await;
        }
    }

    async fn keep_sweeping(self: &Arc<Self>) {
        while !self.has_ended() {
            self.sweep().await;
            self.world.executor.sleep(SWEEP).await;
        }
    }

    /// Finds the orders that have something left to do, and asks them to do it.
    async fn sweep(self: &Arc<Self>) {
        let shards: Vec<ShardId> = self.shards.owned(Service::Orders);
        if shards.is_empty() {
            return;
        }
        let found = self.world.database.ask(self.node, move |model, now| {
            model.orders_unfinished(&shards, SWEEP_MAX, now)
        });
        for unfinished in found.await.unwrap_or_default() {
            let process = Arc::clone(self);
            self.spawn(async move {
                let request = Request::Order(OrderCommand::Resume(unfinished.order_id));
                // Whatever comes of it, the next round looks again.
                let _ = process.pursue(request, router::BUDGET).await;
            });
        }
    }

    /// Answers a request to an entity of this process.
    pub(super) async fn dispatch(self: &Arc<Self>, request: Request) -> Outcome {
        let (service, shard) = request.shard();
        let not_owner = Fault::NotOwner {
            owner: None,
            epoch: 0,
        };
        let Some(open) = self.shards.get(service, shard) else {
            return Err(not_owner);
        };
        let _passage = open.admit(&self.world.executor).await?;
        // An actor goes on when nobody waits for it any more.
        let (process, entered) = (Arc::clone(self), Arc::clone(&open));
        let work = async move { process.ask_entity(&entered, request).await };
        let outcome = crate::ports::Ports::detach(&**self, Box::pin(work)).await;
        // What was committed has passed the fence. A refusal may rest on memory alone.
        if matches!(&outcome, Ok(answer) if answer.result.is_err()) && !self.is_current() {
            return Err(not_owner);
        }
        outcome
    }

    async fn ask_entity(self: &Arc<Self>, open: &Arc<Shard>, request: Request) -> Outcome {
        let desk = self.desk(open.lease);
        match request {
            Request::Order(OrderCommand::Place(by, new)) => order::place(&desk, by, new).await,
            Request::Order(command) => self.ask_order(&desk, command).await,
            Request::Product(ProductCommand::Reserve(reserve)) => {
                let shelf = self.shelf(open.lease, reserve.product_id);
                stock::reserve(&desk, &shelf, &reserve, 0).await
            }
            Request::Product(ProductCommand::ReserveAnew(reserve, round)) => {
                let shelf = self.shelf(open.lease, reserve.product_id);
                stock::reserve(&desk, &shelf, &reserve, round).await
            }
            Request::Product(ProductCommand::Settle(settle)) => {
                let shelf = self.shelf(open.lease, settle.product_id);
                settle::handle(&desk, &shelf, &settle, 0).await
            }
            Request::Product(ProductCommand::SettleAnew(settle, round)) => {
                let shelf = self.shelf(open.lease, settle.product_id);
                settle::handle(&desk, &shelf, &settle, round).await
            }
            Request::Product(ProductCommand::Adjust(by, id, adjustment)) => {
                let shelf = self.shelf(open.lease, id);
                let product = shelf.show().await.ok_or(Fault::Lost)?;
                stock::adjust(&desk, &shelf, product, &by, adjustment).await
            }
            _ => refused(holdfast_domain::Refusal::NotFound),
        }
    }

    async fn ask_order(&self, desk: &Desk, command: OrderCommand) -> Outcome {
        let id = command.order_id();
        let remembered = self.remembered(desk.lease, id);
        let record = &mut *remembered.record.lock().await;
        let outcome = order::answer(desk, record, command).await;
        if outcome.as_ref().is_err_and(Fault::shakes_trust) {
            self.orders.lock().remove(&id);
        }
        outcome
    }

    fn remembered(&self, lease: Lease, id: OrderId) -> Remembered {
        let mut orders = self.orders.lock();
        let fresh = || Remembered {
            lease,
            record: Arc::default(),
        };
        let found = orders.entry(id).or_insert_with(fresh);
        if found.lease != lease {
            *found = fresh();
        }
        found.clone()
    }

    fn desk(self: &Arc<Self>, lease: Lease) -> Desk {
        Desk {
            ports: Arc::clone(self) as Arc<dyn crate::ports::Ports>,
            lease,
        }
    }

    fn map(&self) -> Arc<ShardMap> {
        Arc::clone(&self.map.lock())
    }

    async fn refresh_map(&self) {
        let maps = Arc::clone(&self.world.maps);
        let read = self
            .world
            .database
            .ask(self.node, move |model, _| maps.read(model));
        let Ok(map) = read.await else { return };
        if map.version() > self.map().version() {
            *self.map.lock() = Arc::clone(&map);
            self.map_changed.notify_waiters();
            self.tell(Event::MapChanged(map));
        }
    }

    /// Reads the map, since somebody says that there is a newer one.
    pub(super) fn hear_of_map(self: &Arc<Self>) {
        let process = Arc::clone(self);
        self.spawn(async move { process.refresh_map().await });
    }

    fn tell(&self, event: Event) {
        // Fails only once the process has ended.
        let _ = self.membership.send(event);
    }

    /// Tells whether nobody can have declared this node dead for want of heartbeats.
    fn is_current(&self) -> bool {
        let age = self.world.executor.now().saturating_sub(*self.beat_at.lock());
        age < SUSPECT_AFTER && !self.has_ended()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// Begins to hand everything over, so that the process can stop.
    pub(super) fn leave(self: &Arc<Self>) {
        self.tell(Event::DrainRequested);
        let (process, me) = (Arc::clone(self), self.id);
        self.spawn(async move {
            // Refused if this incarnation is over, as it will hear.
            let _ = process.until_answered(move |model, _| model.node_drain(me)).await;
            process.refresh_map().await;
        });
    }

    /// Ends the process: what still runs of it hears no more.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// Lets a product's actor fail, if it lives here.
    pub(super) fn crash(&self, product: ProductId) {
        if let Some(shelved) = self.products.lock().remove(&product) {
            shelved.end();
        }
    }

    /// Tells whether this process owns a shard as far as it knows.
    pub(super) fn owns_any(&self) -> bool {
        self.shards.has_any()
    }
}

/// What a node's ask comes to when the database does not answer.
impl From<NoAnswer> for Fault {
    fn from(no_answer: NoAnswer) -> Self {
        Self::Store(no_answer.into())
    }
}
