//! Shards that this node owns, and the entities that live in them.
//!
//! An entity is spawned from Postgres when it is first asked and stopped when it has been idle. One
//! that fails is forgotten; whoever asks next spawns it anew, after a pause that grows with every
//! failure, so that an entity that cannot be loaded does not eat the node.
//!
//! *Invariant*: entities are only reached through a shard that is open, and a shard is only open under
//! a lease that this node was given. The fence in Postgres holds even where this is wrong.

mod door;
mod entities;
mod supervisor;
mod table;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_domain::{OrderId, ProductId, SessionId};
use holdfast_store::Lease;
use ractor::{Actor, ActorId, ActorRef};
use tokio::time::timeout;
use uuid::Uuid;

use door::Door;
pub(crate) use door::{Admission, Passage};
pub(crate) use entities::Resident;
use entities::{Entities, EntityRef, Kind};
pub(crate) use supervisor::{ShardMessage, ShardSupervisor};
pub(crate) use table::Shards;

use crate::{
    account::{Account, AccountMessage},
    entity::{Context, Fault},
    node::Shared,
    order::{OrderActor, OrderMessage},
    product::{ProductActor, ProductMessage},
    session::{SessionActor, SessionMessage},
};

/// A shard that this node owns.
pub(crate) struct Shard {
    lease: Lease,
    supervisor: ActorRef<ShardMessage>,
    entities: Arc<Entities>,
    door: Arc<Door>,
}

impl Shard {
    /// Opens a shard: spawns its supervisor.
    pub(crate) async fn open(shared: &Shared, lease: Lease) -> Result<Arc<Self>, ractor::SpawnErr> {
        let entities = Arc::new(Entities::new(shared.options.entity_in_flight));
        let parent = shared.root_cell();
        let supervisor = ShardSupervisor {
            entities: Arc::clone(&entities),
        };
        let (supervisor, _) = Actor::spawn_linked(None, supervisor, (), parent).await?;
        Ok(Arc::new(Self {
            lease,
            supervisor,
            entities,
            door: Arc::default(),
        }))
    }

    /// Returns the ownership under which the shard is open.
    pub(crate) fn lease(&self) -> Lease {
        self.lease
    }

    /// Lets a request in, unless the shard is to be handed over.
    pub(crate) fn enter(&self) -> Result<Passage, Fault> {
        self.door.enter().ok_or(Fault::Draining)
    }

    /// Lets a request in; parks it while the shard is on its way to another node.
    pub(crate) async fn admit(&self) -> Admission {
        self.door.admit().await
    }

    /// Tells whether requests are let in.
    pub(crate) fn is_serving(&self) -> bool {
        self.door.is_open()
    }

    /// Drains for good, since the node leaves; `false` if that takes too long.
    pub(crate) async fn drain_to_leave(&self, limit: Duration) -> bool {
        self.door.lock();
        timeout(limit, self.door.quiet()).await.is_ok()
    }

    /// Drains for a hand-over, with more patience each time that it was in vain.
    pub(crate) async fn drain_to_hand_over(&self) -> bool {
        self.door.shut();
        timeout(self.door.patience(), self.door.quiet()).await.is_ok()
    }

    /// Lets requests in again, those that were parked first.
    pub(crate) fn resume(&self) {
        self.door.open();
    }

    /// Stops every entity of the shard.
    pub(crate) fn close(&self) {
        self.door.close();
        self.entities.stop_all();
        self.supervisor.stop(None);
    }

    /// Stops entities that nobody has asked for a while; returns how many remain.
    pub(crate) fn passivate(&self, idle_since: Instant) -> usize {
        self.entities.passivate(idle_since)
    }

    /// Adds up how many entities of each kind there are.
    fn count(&self, sums: &mut [usize; 4]) {
        self.entities.count(sums);
    }

    /// Returns when each idle entity was last asked.
    pub(crate) fn idle_times(&self) -> Vec<Instant> {
        self.entities.idle_times()
    }

    /// Returns the actor of an account, or of the phantom that stands for none.
    pub(crate) fn account(&self, shared: &Shared, id: Uuid) -> Result<Resident<AccountMessage>, Fault> {
        self.entities.reside(
            (Kind::Account, id),
            || {
                self.spawn(
                    id,
                    Account {
                        context: self.context(shared),
                        id,
                    },
                )
            },
            EntityRef::Account,
            |entity| match entity {
                EntityRef::Account(actor) => Some(actor.clone()),
                _ => None,
            },
        )
    }

    /// Returns the actor of a session.
    pub(crate) fn session(&self, shared: &Shared, id: SessionId) -> Result<Resident<SessionMessage>, Fault> {
        self.entities.reside(
            (Kind::Session, id.0),
            || {
                self.spawn(
                    id.0,
                    SessionActor {
                        context: self.context(shared),
                        id,
                    },
                )
            },
            EntityRef::Session,
            |entity| match entity {
                EntityRef::Session(actor) => Some(actor.clone()),
                _ => None,
            },
        )
    }

    /// Returns the actor of a product.
    pub(crate) fn product(&self, shared: &Shared, id: ProductId) -> Result<Resident<ProductMessage>, Fault> {
        self.entities.reside(
            (Kind::Product, id.0),
            || {
                self.spawn(
                    id.0,
                    ProductActor {
                        context: self.context(shared),
                        id,
                    },
                )
            },
            EntityRef::Product,
            |entity| match entity {
                EntityRef::Product(actor) => Some(actor.clone()),
                _ => None,
            },
        )
    }

    /// Returns the actor of an order.
    pub(crate) fn order(&self, shared: &Shared, id: OrderId) -> Result<Resident<OrderMessage>, Fault> {
        self.entities.reside(
            (Kind::Order, id.0),
            || {
                self.spawn(
                    id.0,
                    OrderActor {
                        context: self.context(shared),
                        id,
                    },
                )
            },
            EntityRef::Order,
            |entity| match entity {
                EntityRef::Order(actor) => Some(actor.clone()),
                _ => None,
            },
        )
    }

    /// Forgets an entity that was found to be gone.
    pub(crate) fn lost(&self, actor: ActorId) {
        self.entities.ended(actor, true);
    }

    /// Makes what an entity or a placement works with.
    pub(crate) fn context(&self, shared: &Shared) -> Context {
        Context {
            shared: shared.clone(),
            lease: self.lease,
        }
    }

    /// Spawns an entity; requests may be sent to it while it loads.
    fn spawn<A>(&self, id: Uuid, actor: A) -> Result<ActorRef<A::Msg>, Fault>
    where
        A: Actor<Arguments = ()>,
    {
        let spawned = ractor::ActorRuntime::spawn_linked_instant(None, actor, (), self.supervisor.get_cell());
        let (actor, loading) = spawned.map_err(|_| Fault::Lost)?;
        let (entities, actor_id) = (Arc::clone(&self.entities), actor.get_id());
        tokio::spawn(async move {
            if let Ok(Err(error)) = loading.await {
                tracing::warn!(entity = %id, %error, "an entity could not be loaded");
                entities.ended(actor_id, true);
            }
        });
        Ok(actor)
    }
}
