//! Group commit, as a state machine: what waits, what is in flight, and what follows from its result.
//!
//! No timers: whatever queued while one batch was in flight becomes the next. The queue knows nothing
//! of time, tasks or the database, so that a simulation can drive it.

use std::collections::{HashMap, VecDeque};

use holdfast_domain::{NodeId, ProductId, StockLevel};
use holdfast_store::{Batch, Committed, Duplicate, Stale, StoreError};
use uuid::Uuid;

use super::{
    assembly::{Assembled, Assembly, NotAdded},
    blame,
    intent::{Intent, LaneError},
};
use crate::trace::TraceParent;

/// What a lane may hold and send at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneLimits {
    /// Intents in one batch.
    pub(crate) batch_intents: usize,
    /// Bytes of one batch, about; a single larger intent still makes one.
    pub(crate) batch_bytes: usize,
    /// Intents that wait for the next batch.
    pub(crate) waiting_intents: usize,
    /// Bytes of these, about.
    pub(crate) waiting_bytes: usize,
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

impl BatchEnd {
    /// Reads an answer to a batch; an error that leaves its outcome unknown, or that asking again may
    /// change, is given back: then the very same batch must be sent again.
    pub(crate) fn of(answer: Result<Committed, StoreError>) -> Result<Self, StoreError> {
        match answer {
            Ok(Committed::Now | Committed::Already) => Ok(Self::Committed),
            Err(StoreError::Fenced { .. }) => Ok(Self::Fenced),
            Err(StoreError::Version(stale)) => Ok(Self::Conflicts(stale)),
            Err(StoreError::Duplicate(duplicates)) => Ok(Self::Duplicates(duplicates)),
            Err(error) if error.is_certainly_aborted() && !error.is_unavailable() => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the store refused a batch"
                );
                Ok(Self::Rejected)
            }
            Err(error) => Err(error),
        }
    }
}

/// The intents of a lane. `T` is what their callers wait by.
#[derive(Debug)]
pub(crate) struct LaneQueue<T> {
    identity: LaneIdentity,
    limits: LaneLimits,
    waiting: VecDeque<Waiting<T>>,
    waiting_bytes: usize,
    /// How many of those in front make the next batch, and no others with them: what is left of a
    /// batch that failed, so that newcomers cannot make it fail again.
    alone: Option<usize>,
    in_flight: Option<InFlight<T>>,
    /// Committed counters, newer than or equal to what entities know.
    heads: HashMap<ProductId, StockLevel>,
}

#[derive(Debug)]
struct Waiting<T> {
    intent: Intent,
    ticket: T,
}

#[derive(Debug)]
struct InFlight<T> {
    members: Vec<Member<T>>,
    /// Intents that could not join, and must not be told before what they lost to is durable.
    outrun: Vec<(Waiting<T>, LaneError)>,
    /// Intents that write a row which a member writes: they come after it.
    put_off: Vec<Waiting<T>>,
    heads_after: HashMap<ProductId, StockLevel>,
}

impl<T> InFlight<T> {
    /// Lists the intents that its end settles, or puts back.
    fn intents(&self) -> impl Iterator<Item = &Intent> {
        let members = self.members.iter().map(|member| &member.waiting);
        let outrun = self.outrun.iter().map(|(waiting, _)| waiting);
        members
            .chain(outrun)
            .chain(&self.put_off)
            .map(|waiting| &waiting.intent)
    }
}

#[derive(Debug)]
struct Member<T> {
    waiting: Waiting<T>,
    levels: Vec<StockLevel>,
}

impl<T> LaneQueue<T> {
    pub(crate) fn new(identity: LaneIdentity, limits: LaneLimits) -> Self {
        Self {
            identity,
            limits,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            alone: None,
            in_flight: None,
            heads: HashMap::new(),
        }
    }

    /// Tells whether an intent that has not been settled yet changes a product's counters.
    pub(crate) fn concerns(&self, product: ProductId) -> bool {
        let sent = self.in_flight.iter().flat_map(InFlight::intents);
        let waiting = self.waiting.iter().map(|waiting| &waiting.intent);
        sent.chain(waiting).any(|intent| intent.changes_stock_of(product))
    }

    /// Tells whether there is a next batch to make.
    pub(crate) fn is_due(&self) -> bool {
        self.in_flight.is_none() && !self.waiting.is_empty()
    }

    /// Counts the intents that wait for the next batch.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Lists the tickets of the batch in flight.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &T> {
        let members = self.in_flight.iter().flat_map(|in_flight| &in_flight.members);
        members.map(|member| &member.waiting.ticket)
    }

    /// Lists what the batch in flight is done for.
    pub(crate) fn traces(&self) -> Vec<TraceParent> {
        let members = self.in_flight.iter().flat_map(|batch| &batch.members);
        members.filter_map(|member| member.waiting.intent.trace).collect()
    }

    /// Takes an intent, or gives its ticket back when too much is waiting.
    pub(crate) fn submit(&mut self, intent: Intent, ticket: T) -> Result<(), T> {
        let bytes = intent.weight();
        if self.waiting.len() >= self.limits.waiting_intents
            || self.waiting_bytes.saturating_add(bytes) > self.limits.waiting_bytes
        {
            return Err(ticket);
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back(Waiting { intent, ticket });
        Ok(())
    }

    /// Makes the next batch, unless one is in flight or nothing waits.
    ///
    /// `batch_id` must be new: it is by which a repeated commit is recognised.
    pub(crate) fn next_batch(&mut self, batch_id: Uuid) -> Option<Batch> {
        if !self.is_due() {
            return None;
        }
        let most = self.alone.take().unwrap_or(self.limits.batch_intents).max(1);
        let mut assembly = Assembly::new(&self.identity, batch_id, &self.heads);
        let (mut members, mut outrun, mut put_off) = (Vec::new(), Vec::new(), Vec::new());
        let (mut taken, mut bytes) = (0, 0);
        while taken < most && (taken == 0 || bytes < self.limits.batch_bytes) {
            let Some(waiting) = self.waiting.pop_front() else {
                break;
            };
            let weight = waiting.intent.weight();
            self.waiting_bytes = self.waiting_bytes.saturating_sub(weight);
            taken += 1;
            bytes += weight;
            match assembly.add(&waiting.intent) {
                Ok(levels) => members.push(Member { waiting, levels }),
                Err(NotAdded::Never(error)) => outrun.push((waiting, error)),
                Err(NotAdded::Later) => put_off.push(waiting),
            }
        }
        let Assembled { batch, heads_after } = assembly.finish();
        self.in_flight = Some(InFlight {
            members,
            outrun,
            put_off,
            heads_after,
        });
        Some(batch)
    }

    /// Takes the end of the batch in flight; returns whom to tell what.
    ///
    /// Intents that had no part in a conflict go to the front again, by themselves, and are not told
    /// anything yet.
    pub(crate) fn ended(&mut self, end: &BatchEnd) -> Vec<(T, Settled)> {
        let Some(in_flight) = self.in_flight.take() else {
            return Vec::new();
        };
        match end {
            BatchEnd::Committed => self.committed(in_flight),
            BatchEnd::Fenced => {
                self.heads.clear();
                self.blame(in_flight, |_| Some(LaneError::Fenced))
            }
            BatchEnd::Rejected if in_flight.members.len() > 1 => self.halve(in_flight),
            BatchEnd::Rejected => self.blame(in_flight, |_| Some(LaneError::Rejected)),
            BatchEnd::Conflicts(stale) => {
                for row in stale {
                    if let Stale::Stock { product_id, .. } = row {
                        self.heads.remove(product_id);
                    }
                }
                self.blame(in_flight, |intent| blame::conflict(intent, stale))
            }
            BatchEnd::Duplicates(duplicates) => {
                self.blame(in_flight, |intent| blame::duplicate(intent, duplicates))
            }
        }
    }

    fn committed(&mut self, in_flight: InFlight<T>) -> Vec<(T, Settled)> {
        if self.heads.len() + in_flight.heads_after.len() > self.limits.heads {
            self.heads.clear();
        }
        self.heads.extend(in_flight.heads_after);
        self.put_back(in_flight.put_off);
        let told = in_flight
            .members
            .into_iter()
            .map(|member| (member.waiting.ticket, Ok(member.levels)));
        // What they lost to is durable now.
        let outrun = in_flight
            .outrun
            .into_iter()
            .map(|(waiting, error)| (waiting.ticket, Err(error)));
        told.chain(outrun).collect()
    }

    /// Refuses the guilty and those that share a row with them; the others make the next batch alone.
    fn blame(
        &mut self,
        in_flight: InFlight<T>,
        verdict: impl Fn(&Intent) -> Option<LaneError>,
    ) -> Vec<(T, Settled)> {
        let (mut told, mut innocent) = (Vec::new(), Vec::new());
        let mut guilty_rows = HashMap::new();
        for Member { waiting, .. } in in_flight.members {
            match verdict(&waiting.intent) {
                Some(error) => {
                    let rows = waiting.intent.rows().into_iter().map(|row| (row, error.clone()));
                    guilty_rows.extend(rows);
                    told.push((waiting.ticket, Err(error)));
                }
                None => innocent.push(waiting),
            }
        }
        if told.is_empty() {
            // The store named somebody whom this batch does not know: trying again would go on for ever.
            told = innocent
                .drain(..)
                .map(|waiting| (waiting.ticket, Err(LaneError::Conflict)))
                .collect();
        }
        let alone = innocent.len();
        let mut later: Vec<_> = in_flight.outrun.into_iter().map(|(waiting, _)| waiting).collect();
        for waiting in in_flight.put_off {
            let shared = waiting
                .intent
                .rows()
                .into_iter()
                .find_map(|row| guilty_rows.get(&row).cloned());
            match shared {
                Some(error) => told.push((waiting.ticket, Err(error))),
                None => later.push(waiting),
            }
        }
        self.put_back(later);
        self.put_back(innocent);
        self.alone = (alone > 0).then_some(alone);
        told
    }

    /// Tries one half of a batch by itself, to find the intent that the store does not take.
    fn halve(&mut self, in_flight: InFlight<T>) -> Vec<(T, Settled)> {
        let half = in_flight.members.len().div_ceil(2);
        self.put_back(in_flight.put_off);
        self.put_back(in_flight.outrun.into_iter().map(|(waiting, _)| waiting).collect());
        self.put_back(
            in_flight
                .members
                .into_iter()
                .map(|member| member.waiting)
                .collect(),
        );
        self.alone = Some(half);
        Vec::new()
    }

    /// Puts intents back in front of all others, in their order.
    fn put_back(&mut self, intents: Vec<Waiting<T>>) {
        for waiting in intents.into_iter().rev() {
            self.waiting_bytes += waiting.intent.weight();
            self.waiting.push_front(waiting);
        }
    }
}
