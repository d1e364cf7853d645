//! The entities of one shard: who is resident, how busy, and who failed lately.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use ractor::{ActorId, ActorRef, ActorStatus};
use uuid::Uuid;

use crate::{
    account::AccountMessage, entity::Fault, order::OrderMessage, product::ProductMessage,
    session::SessionMessage,
};

/// The pause before an entity that failed is spawned anew; doubles with every failure.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// The longest such pause.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// After this long without failing, earlier failures do not count any more.
const FORGIVEN_AFTER: Duration = Duration::from_mins(1);

/// An entity's actor, by kind.
pub(super) enum EntityRef {
    Account(ActorRef<AccountMessage>),
    Session(ActorRef<SessionMessage>),
    Product(ActorRef<ProductMessage>),
    Order(ActorRef<OrderMessage>),
}

/// What an entity is. Ids come from clients, who may give the id of one kind for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Account,
    Session,
    Product,
    Order,
}

impl Kind {
    /// Lists every kind, with its name in metrics.
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::Account, "account"),
        (Self::Session, "session"),
        (Self::Product, "product"),
        (Self::Order, "order"),
    ];
}

/// Names an entity of a shard.
type Key = (Kind, Uuid);

impl EntityRef {
    fn cell(&self) -> ractor::ActorCell {
        match self {
            Self::Account(actor) => actor.get_cell(),
            Self::Session(actor) => actor.get_cell(),
            Self::Product(actor) => actor.get_cell(),
            Self::Order(actor) => actor.get_cell(),
        }
    }
}

/// A resident entity that is being asked: it is not passivated meanwhile.
pub(crate) struct Resident<M> {
    actor: ActorRef<M>,
    in_flight: Arc<AtomicU32>,
}

impl<M> Resident<M> {
    /// Returns the entity's actor.
    pub(crate) fn actor(&self) -> &ActorRef<M> {
        &self.actor
    }
}

impl<M> Drop for Resident<M> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Entry {
    entity: EntityRef,
    in_flight: Arc<AtomicU32>,
    last_asked: Instant,
}

struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn pause(&self) -> Duration {
        BACKOFF_MIN
            .saturating_mul(1 << self.count.min(10))
            .min(BACKOFF_MAX)
    }
}

#[derive(Default)]
struct Inner {
    residents: HashMap<Key, Entry>,
    failures: HashMap<Key, Failures>,
}

/// The entities of one shard.
pub(super) struct Entities {
    in_flight_max: u32,
    inner: Mutex<Inner>,
}

impl Entities {
    pub(super) fn new(in_flight_max: u32) -> Self {
        Self {
            in_flight_max,
            inner: Mutex::default(),
        }
    }

    /// Returns an entity's actor, spawned if need be, and counts one more request to it.
    pub(super) fn reside<M>(
        &self,
        key: Key,
        spawn: impl FnOnce() -> Result<ActorRef<M>, Fault>,
        wrap: impl FnOnce(ActorRef<M>) -> EntityRef,
        unwrap: impl Fn(&EntityRef) -> Option<ActorRef<M>>,
    ) -> Result<Resident<M>, Fault> {
        let inner = &mut *self.inner.lock();
        if let Some(entry) = inner.residents.get_mut(&key)
            && entry.entity.cell().get_status() < ActorStatus::Stopping
        {
            let actor = unwrap(&entry.entity).ok_or(Fault::Lost)?;
            if entry.in_flight.fetch_add(1, Ordering::AcqRel) >= self.in_flight_max {
                entry.in_flight.fetch_sub(1, Ordering::AcqRel);
                return Err(Fault::Overloaded);
            }
            entry.last_asked = Instant::now();
            return Ok(Resident {
                actor,
                in_flight: Arc::clone(&entry.in_flight),
            });
        }
        if let Some(failures) = inner.failures.get(&key) {
            let since = failures.last.elapsed();
            if since < failures.pause() {
                return Err(Fault::Lost);
            }
            if since > FORGIVEN_AFTER {
                inner.failures.remove(&key);
            }
        }
        let actor = spawn()?;
        let in_flight = Arc::new(AtomicU32::new(1));
        let entry = Entry {
            entity: wrap(actor.clone()),
            in_flight: Arc::clone(&in_flight),
            last_asked: Instant::now(),
        };
        inner.residents.insert(key, entry);
        Ok(Resident { actor, in_flight })
    }

    /// Forgets an entity that has ended; counts a failure if it was one.
    pub(super) fn ended(&self, actor: ActorId, has_failed: bool) {
        let inner = &mut *self.inner.lock();
        let found = inner
            .residents
            .iter()
            .find(|(_, entry)| entry.entity.cell().get_id() == actor);
        if let Some(key) = found.map(|(key, _)| *key) {
            inner.residents.remove(&key);
            if has_failed {
                inner.failed(key);
            }
        }
    }

    /// Stops the entities that have not been asked since, and are not being asked; returns how many
    /// remain.
    pub(super) fn passivate(&self, idle_since: Instant) -> usize {
        let inner = &mut *self.inner.lock();
        inner
            .failures
            .retain(|_, failures| failures.last.elapsed() <= FORGIVEN_AFTER);
        inner.residents.retain(|_, entry| {
            let is_busy = entry.in_flight.load(Ordering::Acquire) > 0;
            let stays = is_busy || entry.last_asked > idle_since;
            if !stays {
                entry.entity.cell().stop(None);
            }
            stays
        });
        inner.residents.len()
    }

    /// Adds up how many entities of each kind there are, in the order of [`Kind::ALL`].
    pub(super) fn count(&self, sums: &mut [usize; 4]) {
        for (kind, _) in self.inner.lock().residents.keys() {
            sums[*kind as usize] += 1;
        }
    }

    /// Returns when each idle entity was last asked.
    pub(super) fn idle_times(&self) -> Vec<Instant> {
        let inner = self.inner.lock();
        let idle = inner
            .residents
            .values()
            .filter(|entry| entry.in_flight.load(Ordering::Acquire) == 0);
        idle.map(|entry| entry.last_asked).collect()
    }

    /// Stops every entity.
    pub(super) fn stop_all(&self) {
        for (_, entry) in self.inner.lock().residents.drain() {
            entry.entity.cell().stop(None);
        }
    }
}

impl Inner {
    fn failed(&mut self, key: Key) {
        let failures = self.failures.entry(key).or_insert(Failures {
            count: 0,
            last: Instant::now(),
        });
        failures.count = failures.count.saturating_add(1);
        failures.last = Instant::now();
    }
}
