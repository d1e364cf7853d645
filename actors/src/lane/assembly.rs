//! Making a batch of intents: versions, ledger entries and stock events are given out here.

use std::collections::{HashMap, HashSet};

use holdfast_domain::{
    Event, EventId, EventKind, JsonObject, Movement, MovementKind, ProductId, Refusal, StockLevel,
};
use holdfast_store::{Batch, EventWrite, Lease, OperationRecord, Service, StockWrite};
use serde_json::json;
use uuid::Uuid;

use super::{
    intent::{Intent, LaneError, OperationIntent, Remembered, Row, StockIntent},
    queue::LaneIdentity,
};
use crate::{
    command::{Adjusted, Reply},
    operations,
    trace::TraceParent,
};

/// A batch in the making.
pub(super) struct Assembly<'a> {
    committed: &'a HashMap<ProductId, StockLevel>,
    stock: HashMap<ProductId, StockWrite>,
    rows: HashSet<Row>,
    batch: Batch,
}

/// Why an intent did not join a batch. It left no trace there.
#[derive(Debug)]
pub(super) enum NotAdded {
    /// It writes a row that the batch writes already: it belongs in the next one.
    Later,
    /// What it was based on will not be so once the batch is durable.
    Never(LaneError),
}

/// A finished batch, and what the counters are once it is durable.
pub(super) struct Assembled {
    pub(super) batch: Batch,
    pub(super) heads_after: HashMap<ProductId, StockLevel>,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(
        identity: &LaneIdentity,
        batch_id: Uuid,
        committed: &'a HashMap<ProductId, StockLevel>,
    ) -> Self {
        let batch = Batch {
            batch_id,
            node_id: identity.node_id,
            lane: identity.lane,
            leases: Vec::new(),
            stock: Vec::new(),
            movements: Vec::new(),
            reservations: Vec::new(),
            orders: Vec::new(),
            events: Vec::new(),
            operations: Vec::new(),
        };
        Self {
            committed,
            stock: HashMap::new(),
            rows: HashSet::new(),
            batch,
        }
    }

    /// Adds an intent; returns its products' counters after it. An intent that cannot join leaves no
    /// trace.
    pub(super) fn add(&mut self, intent: &Intent) -> Result<Vec<StockLevel>, NotAdded> {
        let rows = intent.rows();
        if rows.iter().any(|row| self.rows.contains(row)) {
            return Err(NotAdded::Later);
        }
        let steps: Vec<Step> = intent
            .stock
            .iter()
            .map(|stock| self.step(stock))
            .collect::<Result<_, _>>()
            .map_err(NotAdded::Never)?;
        self.rows.extend(rows);
        let levels: Vec<StockLevel> = steps.iter().map(|step| step.after).collect();
        for lease in &intent.leases {
            if !self.batch.leases.contains(lease) {
                self.batch.leases.push(*lease);
            }
        }
        for (step, stock) in steps.into_iter().zip(&intent.stock) {
            self.take(step, stock, intent);
        }
        self.batch
            .reservations
            .extend(intent.reservations.iter().copied());
        self.batch.orders.extend(intent.order.iter().cloned());
        for event in &intent.events {
            let epoch = epoch_of(&intent.leases, event);
            let event = traced(event.clone(), intent);
            self.batch.events.push(EventWrite { event, epoch });
        }
        if let Some(OperationIntent {
            operation,
            remembered,
            at,
        }) = &intent.operation
        {
            let outcome = operations::encode(&outcome(remembered, &levels));
            self.batch.operations.push(OperationRecord {
                operation: operation.clone(),
                outcome,
                at: *at,
            });
        }
        Ok(levels)
    }

    pub(super) fn finish(mut self) -> Assembled {
        let heads_after = self.stock.iter().map(|(id, write)| (*id, write.level)).collect();
        self.batch.stock = self.stock.into_values().collect();
        // In the order of their ids, so that two lanes never wait for each other's rows.
        self.batch
            .stock
            .sort_unstable_by_key(|write| write.level.product_id);
        Assembled {
            batch: self.batch,
            heads_after,
        }
    }

    /// Works out what a stock intent leads to, after all that has joined before it.
    fn step(&self, intent: &StockIntent) -> Result<Step, LaneError> {
        let before = self.head(&intent.base);
        if intent.only_at.is_some_and(|version| version != before.version) {
            return Err(LaneError::StockVersion {
                current: before.version,
            });
        }
        let mut after = before;
        let mut movements = Vec::with_capacity(intent.changes.len());
        for change in &intent.changes {
            after = after.apply(change).map_err(|_| LaneError::Conflict)?;
            movements.push(Movement {
                change: change.clone(),
                level: after,
            });
        }
        Ok(Step {
            before,
            after,
            movements,
        })
    }

    fn head(&self, base: &StockLevel) -> StockLevel {
        let newest = self
            .committed
            .get(&base.product_id)
            .filter(|level| level.version > base.version);
        match self.stock.get(&base.product_id) {
            Some(write) => write.level,
            None => *newest.unwrap_or(base),
        }
    }

    fn take(&mut self, step: Step, stock: &StockIntent, intent: &Intent) {
        let product_id = step.before.product_id;
        self.stock
            .entry(product_id)
            .or_insert(StockWrite {
                expected_version: step.before.version,
                level: step.before,
            })
            .level = step.after;
        let epoch = intent
            .leases
            .iter()
            .find(|lease| lease.service == Service::Products && lease.shard == product_id.shard())
            .map_or(0, |lease| lease.epoch);
        let events = stock_events(&step, stock.low_stock_threshold);
        let events = events.into_iter().map(|event| EventWrite {
            event: traced(event, intent),
            epoch,
        });
        self.batch.events.extend(events);
        self.batch.movements.extend(step.movements);
    }
}

struct Step {
    before: StockLevel,
    after: StockLevel,
    movements: Vec<Movement>,
}

/// Tells what others hear of a step: adjustments, and falling to the threshold or to nothing.
fn stock_events(step: &Step, threshold: Option<u32>) -> Vec<Event> {
    let mut events = Vec::new();
    let Some(last) = step.movements.last() else {
        return events;
    };
    let mut tell = |kind, movement: &Movement| {
        let level = movement.level;
        let data = json!({
            "on_hand": level.on_hand,
            "reserved": level.reserved,
            "available": level.available(),
            "delta": movement.change.delta_on_hand,
            "reason": movement.change.reason,
        });
        let serde_json::Value::Object(data) = data else {
            return;
        };
        events.push(Event {
            id: EventId(derived_id(movement.change.movement_id.0, kind)),
            kind,
            subject: level.product_id.0,
            sequence: level.version,
            at: movement.change.at,
            actor_id: Some(movement.change.actor_id.0),
            data: JsonObject::from(data),
            trace_id: None,
        });
    };
    for movement in &step.movements {
        if movement.change.kind == MovementKind::Adjustment {
            tell(EventKind::StockAdjusted, movement);
        }
    }
    let (before, after) = (step.before.available(), step.after.available());
    if after == 0 && before > 0 {
        tell(EventKind::StockDepleted, last);
    } else if threshold.is_some_and(|threshold| after <= threshold && before > threshold) {
        tell(EventKind::StockLow, last);
    }
    events
}

/// Notes on an event which trace it belongs to.
fn traced(event: Event, intent: &Intent) -> Event {
    Event {
        trace_id: intent.trace.map(TraceParent::trace_id),
        ..event
    }
}

/// Makes an event's id from its movement's, so that a batch that is made again tells the same event.
fn derived_id(movement: Uuid, kind: EventKind) -> Uuid {
    let mut bytes = movement.into_bytes();
    bytes[9] ^= match kind {
        EventKind::StockAdjusted => 1,
        EventKind::StockLow => 2,
        _ => 3,
    };
    Uuid::from_bytes(bytes)
}

/// Returns the epoch of the lease under which an order's event is written.
fn epoch_of(leases: &[Lease], event: &Event) -> i64 {
    let shard = holdfast_domain::id::shard_of(event.subject);
    leases
        .iter()
        .find(|lease| lease.service == Service::Orders && lease.shard == shard)
        .map_or(0, |lease| lease.epoch)
}

fn outcome(remembered: &Remembered, levels: &[StockLevel]) -> Result<Reply, Refusal> {
    match (remembered, levels.first()) {
        (Remembered::Reply(reply), _) => Ok((**reply).clone()),
        (Remembered::Refusal(refusal), _) => Err(refusal.clone()),
        (Remembered::Adjusted(movement_id), Some(level)) => Ok(Reply::Adjusted(Adjusted {
            movement_id: *movement_id,
            level: *level,
        })),
        (Remembered::Stock, Some(level)) => Ok(Reply::Stock(*level)),
        (Remembered::Adjusted(_) | Remembered::Stock, None) => Ok(Reply::Ended),
    }
}
