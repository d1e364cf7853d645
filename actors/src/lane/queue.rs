//! Group commit, as a state machine: what waits, what is in flight, and what follows from its result.
//!
//! No timers: whatever queued while one batch was in flight becomes the next. The queue knows nothing
//! of time, tasks or the database, so that a simulation can drive it.

use std::collections::{HashMap, VecDeque};

use holdfast_domain::{NodeId, ProductId, StockLevel};
use holdfast_store::{Batch, Duplicate, Stale};
use uuid::Uuid;

use super::{
    assembly::{Assembled, Assembly, NotAdded},
    intent::{Intent, LaneError},
};

/// What a lane may hold and send at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneLimits {
    /// Intents in one batch.
    pub(crate) batch_intents: usize,
    /// Intents that wait for the next batch.
    pub(crate) waiting_intents: usize,
    /// Products whose committed counters are remembered between batches.
    pub(crate) heads: usize,
}

/// Who commits: stamped on every batch.
#[derive(Clone, Debug)]
pub(crate) struct LaneIdentity {
    pub(crate) node_id: NodeId,
    pub(crate) lane: i16,
}

/// The result of an intent: its product's counters, one for each of its stock intents.
pub(crate) type Settled = Result<Vec<StockLevel>, LaneError>;

/// How a batch ended.
#[derive(Debug)]
pub(crate) enum BatchEnd {
    /// It is durable, now or since an earlier attempt.
    Committed,
    /// The node or a shard's epoch has been superseded.
    Fenced,
    /// Some of what it was based on has changed.
    Conflicts(Vec<Stale>),
    /// Some of its keys have been used.
    Duplicates(Vec<Duplicate>),
    /// The store refused for a reason that asking again will not change.
    Rejected,
}

/// The intents of a lane. `T` is what their callers wait by.
#[derive(Debug)]
pub(crate) struct LaneQueue<T> {
    identity: LaneIdentity,
    limits: LaneLimits,
    waiting: VecDeque<(Intent, T)>,
    in_flight: Option<InFlight<T>>,
    /// Committed counters, newer than or equal to what entities know.
    heads: HashMap<ProductId, StockLevel>,
}

#[derive(Debug)]
struct InFlight<T> {
    members: Vec<Member<T>>,
    /// Intents that could not join, and must not be told before what they lost to is durable.
    outrun: Vec<(T, LaneError)>,
    heads_after: HashMap<ProductId, StockLevel>,
}

#[derive(Debug)]
struct Member<T> {
    intent: Intent,
    ticket: T,
    levels: Vec<StockLevel>,
}

impl<T> LaneQueue<T> {
    pub(crate) fn new(identity: LaneIdentity, limits: LaneLimits) -> Self {
        Self {
            identity,
            limits,
            waiting: VecDeque::new(),
            in_flight: None,
            heads: HashMap::new(),
        }
    }

    /// Takes an intent, or gives its ticket back when too much is waiting.
    pub(crate) fn submit(&mut self, intent: Intent, ticket: T) -> Result<(), T> {
        if self.waiting.len() >= self.limits.waiting_intents {
            return Err(ticket);
        }
        self.waiting.push_back((intent, ticket));
        Ok(())
    }

    /// Makes the next batch, unless one is in flight or nothing waits.
    ///
    /// `batch_id` must be new: it is by which a repeated commit is recognised.
    pub(crate) fn next_batch(&mut self, batch_id: Uuid) -> Option<Batch> {
        if self.in_flight.is_some() || self.waiting.is_empty() {
            return None;
        }
        let mut assembly = Assembly::new(&self.identity, batch_id, &self.heads);
        let (mut members, mut outrun, mut put_off) = (Vec::new(), Vec::new(), Vec::new());
        while members.len() + outrun.len() + put_off.len() < self.limits.batch_intents {
            let Some((intent, ticket)) = self.waiting.pop_front() else {
                break;
            };
            match assembly.add(&intent) {
                Ok(levels) => members.push(Member {
                    intent,
                    ticket,
                    levels,
                }),
                Err(NotAdded::Never(error)) => outrun.push((ticket, error)),
                Err(NotAdded::Later) => put_off.push((intent, ticket)),
            }
        }
        for later in put_off.into_iter().rev() {
            self.waiting.push_front(later);
        }
        let Assembled { batch, heads_after } = assembly.finish();
        self.in_flight = Some(InFlight {
            members,
            outrun,
            heads_after,
        });
        Some(batch)
    }

    /// Takes the end of the batch in flight; returns whom to tell what.
    ///
    /// Intents that had no part in a conflict go to the front again and are not told anything yet.
    pub(crate) fn ended(&mut self, end: &BatchEnd) -> Vec<(T, Settled)> {
        let Some(InFlight {
            members,
            outrun,
            heads_after,
        }) = self.in_flight.take()
        else {
            return Vec::new();
        };
        let outrun = outrun.into_iter().map(|(ticket, error)| (ticket, Err(error)));
        let told: Vec<_> = match end {
            BatchEnd::Committed => {
                self.remember(heads_after);
                members
                    .into_iter()
                    .map(|member| (member.ticket, Ok(member.levels)))
                    .collect()
            }
            BatchEnd::Fenced => {
                self.heads.clear();
                refuse(members, &LaneError::Fenced)
            }
            BatchEnd::Rejected => refuse(members, &LaneError::Rejected),
            BatchEnd::Conflicts(stale) => {
                for row in stale {
                    if let Stale::Stock { product_id, .. } = row {
                        self.heads.remove(product_id);
                    }
                }
                self.split(members, &LaneError::Conflict, |intent| {
                    stale.iter().any(|row| rests_on(intent, row))
                })
            }
            BatchEnd::Duplicates(duplicates) => self.split(members, &LaneError::Duplicate, |intent| {
                duplicates.iter().any(|duplicate| repeats(intent, duplicate))
            }),
        };
        told.into_iter().chain(outrun).collect()
    }

    fn remember(&mut self, heads: HashMap<ProductId, StockLevel>) {
        if self.heads.len() + heads.len() > self.limits.heads {
            self.heads.clear();
        }
        self.heads.extend(heads);
    }

    /// Refuses the members that `is_guilty` and puts the others back in front, in their order.
    fn split(
        &mut self,
        members: Vec<Member<T>>,
        error: &LaneError,
        is_guilty: impl Fn(&Intent) -> bool,
    ) -> Vec<(T, Settled)> {
        let (guilty, innocent): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|member| is_guilty(&member.intent));
        if guilty.is_empty() {
            // The store named somebody whom this batch does not know: trying again would go on for ever.
            return refuse(innocent, error);
        }
        for member in innocent.into_iter().rev() {
            self.waiting.push_front((member.intent, member.ticket));
        }
        refuse(guilty, error)
    }
}

fn refuse<T>(members: Vec<Member<T>>, error: &LaneError) -> Vec<(T, Settled)> {
    members
        .into_iter()
        .map(|member| (member.ticket, Err(error.clone())))
        .collect()
}

/// Tells whether an intent was based on a row that was not as expected.
fn rests_on(intent: &Intent, row: &Stale) -> bool {
    match row {
        Stale::Stock { product_id, .. } => intent
            .stock
            .iter()
            .any(|stock| stock.base.product_id == *product_id),
        Stale::Order { order_id, .. } => intent
            .order
            .as_ref()
            .is_some_and(|write| write.record.order.id == *order_id),
        Stale::Reservation { product_id, order_id } => intent.reservations.iter().any(|write| {
            write.reservation.product_id == *product_id && write.reservation.order_id == *order_id
        }),
        Stale::Product { .. } | Stale::User { .. } | Stale::Session { .. } => false,
    }
}

/// Tells whether an intent uses a key that was used before.
fn repeats(intent: &Intent, duplicate: &Duplicate) -> bool {
    match duplicate {
        Duplicate::Order { order_id, .. } => intent
            .order
            .as_ref()
            .is_some_and(|write| write.record.order.id == *order_id),
        Duplicate::Operation {
            principal,
            route,
            key,
        } => intent.operation.as_ref().is_some_and(|found| {
            found.operation.principal == *principal
                && found.operation.route == *route
                && found.operation.key == *key
        }),
    }
}
