//! A batch in the making: decided by the domain on what a node may believe, which may be out of date.

mod change;

use std::{collections::BTreeMap, time::Duration};

use holdfast_domain::{
    Event, EventId, EventKind, JsonObject, Movement, MovementId, MovementKind, NodeId, OperationKey, OrderId,
    Product, ProductId, Quantity, Refusal, Reservation, ShardId, StockLevel, User,
    event::Aggregate,
    id::shard_of,
    order::{self, Change, NewOrder, WantedLine},
    stock::{Progress, StockChange},
};
use holdfast_store::{
    Batch, EventWrite, Lease, OrderExpected, OrderRecord, OrderState, OrderWrite, ReservationWrite, Service,
    StockWrite, model::Model,
};
use uuid::Uuid;

use super::{
    source::Source,
    world::{FUTURE, Kind, PAST, SHARDS, World, key, order_id},
};
use crate::{
    draft::record,
    shop::{caller, operation},
};

/// How many keys a customer has to choose from.
pub(super) const KEYS: u32 = 24;
/// How many orders may be in a shard.
pub(super) const ORDERS: u32 = 24;

/// How often to draw again for something that is free.
const DRAWS: usize = 3;

pub(super) struct Sketch<'a> {
    world: &'a World,
    view: &'a Model,
    source: &'a mut Source,
    levels: BTreeMap<ProductId, StockLevel>,
    pub(super) batch: Batch,
}

impl<'a> Sketch<'a> {
    pub(super) fn new(
        world: &'a World,
        view: &'a Model,
        source: &'a mut Source,
        node_id: NodeId,
        leases: Vec<Lease>,
    ) -> Self {
        let batch = Batch {
            batch_id: source.fresh_id(Kind::Batch),
            node_id,
            lane: i16::from(source.dice.chance(30)),
            leases,
            stock: Vec::new(),
            movements: Vec::new(),
            reservations: Vec::new(),
            orders: Vec::new(),
            events: Vec::new(),
            operations: Vec::new(),
        };
        Self {
            world,
            view,
            source,
            levels: BTreeMap::new(),
            batch,
        }
    }

    /// Adds a few things that a node might do at once; rarely none.
    pub(super) fn add_some(&mut self) {
        for _ in 0..self.source.dice.below(5) {
            self.add_any();
        }
    }

    /// Adds something that a node might do, if it can be done on what is believed to stand.
    fn add_any(&mut self) {
        match self.source.dice.below(12) {
            0..=3 => self.place(),
            4 => self.end_placing(),
            5 => self.reserve(),
            6 | 7 => self.settle(),
            8 | 9 => self.move_order(),
            10 => self.adjust(),
            _ => self.operate(),
        }
    }

    /// Places an order at once, or only says that it is being placed.
    fn place(&mut self) {
        let customer = self.source.dice.pick(&self.world.customers).expect("customers");
        let mut wanted = BTreeMap::new();
        for _ in 0..=self.source.dice.below(2) {
            let product = self.product();
            wanted.insert(product.id, product);
        }
        let products: Vec<_> = wanted.into_values().collect();
        let lines = products.iter().map(|product| WantedLine {
            product_id: product.id,
            quantity: self.quantity(),
        });
        let lines = lines.collect();
        let new = NewOrder {
            id: self.free_id(products[0].id.shard()),
            customer_id: customer.id,
            lines,
            shipping_address: None,
            note: None,
            expected_total: None,
        };
        let unpaid_until = if self.source.dice.chance(50) { PAST } else { FUTURE };
        let at = PAST;
        let deadline = Duration::from_micros(unpaid_until.since(at).as_micros().try_into().expect("fits"));
        let change = order::place(&new, &products, at, deadline).expect("a sound order");
        let key = self.free_key(customer);
        if self.source.dice.chance(30) {
            let mut order = change.order;
            order.version = 0;
            let state = OrderState::Placing {
                deadline: unpaid_until,
            };
            self.write_order(record(&order, key.as_str(), state), OrderExpected::Absent);
            return;
        }
        for line in &new.lines {
            self.promise(new.id, line.product_id, line.quantity, Progress::default());
        }
        self.tell(&change, 0);
        let record = record(&change.order, key.as_str(), OrderState::Placed);
        self.write_order(record.clone(), OrderExpected::Absent);
        if self.source.dice.chance(15) {
            self.go_on(record);
        }
    }

    /// Goes on with an order that the same batch places: gives units back, or moves it on.
    fn go_on(&mut self, mut record: OrderRecord) {
        if let Some(made) = self.batch.reservations.last().copied() {
            let mut after = made.reservation;
            after.progress.released = 1;
            self.shift(
                after.product_id,
                MovementKind::Release,
                (0, -1),
                Some(record.order.id),
            );
            self.batch.reservations.push(ReservationWrite {
                reservation: after,
                before: Some(made.reservation),
            });
        }
        let is_believed = self.source.dice.chance(70);
        let version = if is_believed { 1 } else { 2 };
        record.order.version = 2;
        self.write_order(record, OrderExpected::Placed { version });
    }

    /// Lets an order that is being placed become one, or refuses it.
    fn end_placing(&mut self) {
        let Some(mut placing) = self.order(|record| matches!(record.state, OrderState::Placing { .. }))
        else {
            return;
        };
        if self.source.dice.chance(30) {
            placing.state = OrderState::Refused(Refusal::NotFound);
            placing.unsettled = self.source.dice.chance(50);
        } else {
            placing.state = OrderState::Placed;
            placing.order.version = 1;
            let data = format!(
                r#"{{"order":{}}}"#,
                serde_json::to_string(&placing.order).expect("is JSON")
            );
            let event = self.event(EventKind::OrderPlaced, placing.order.id.0, 1, &data);
            self.push_event(event);
            if self.source.dice.chance(50) {
                for line in placing.order.lines.clone() {
                    let quantity = Quantity::new(line.quantity).expect("a quantity");
                    self.promise(placing.order.id, line.product_id, quantity, Progress::default());
                }
            }
        }
        self.write_order(placing, OrderExpected::Placing);
    }

    /// Reserves a product for an order, or bars it from being reserved.
    fn reserve(&mut self) {
        let (product, quantity) = (self.product(), self.quantity());
        let order = order_id(self.source.dice.below(ORDERS), self.shard());
        let released = if self.source.dice.chance(20) {
            quantity.get()
        } else {
            0
        };
        let progress = Progress { shipped: 0, released };
        self.promise(order, product.id, quantity, progress);
    }

    /// Lets an order's reservations follow it, or runs ahead of it.
    fn settle(&mut self) {
        let Some(mut record) = self.order(|record| record.state == OrderState::Placed) else {
            return;
        };
        for line in record.order.lines.clone() {
            let Some(before) = self.view.reservation(line.product_id, record.order.id) else {
                continue;
            };
            let mut round = record.round;
            let renewed = before.renew(round);
            if let Some((after, taken)) = renewed.filter(|_| record.order.awaits_units()) {
                if taken > 0 {
                    let units = (0, i64::from(taken));
                    self.shift(
                        line.product_id,
                        MovementKind::Reserve,
                        units,
                        Some(record.order.id),
                    );
                }
                self.batch.reservations.push(ReservationWrite {
                    reservation: after,
                    before: Some(before),
                });
                continue;
            }
            let mut target = record.order.progress_of(&line);
            if self.source.dice.chance(30) {
                target.shipped += self.source.dice.below(2);
                target.released += self.source.dice.below(2);
                round += self.source.dice.below(2);
            }
            let (after, steps) = before.advance(round, target);
            for step in steps {
                let units = i64::from(step.units);
                let delta = match step.kind {
                    MovementKind::Ship => (-units, -units),
                    _ => (0, -units),
                };
                self.shift(line.product_id, step.kind, delta, Some(record.order.id));
            }
            self.batch.reservations.push(ReservationWrite {
                reservation: after,
                before: Some(before),
            });
        }
        if self.source.dice.chance(30) {
            record.unsettled = false;
            let version = record.order.version;
            self.write_order(record, OrderExpected::Placed { version });
        }
    }

    /// Pays, ships, cancels or expires an order, or hears of a payment, which may be late.
    fn move_order(&mut self) {
        let Some(mut record) = self.order(|record| record.state == OrderState::Placed) else {
            return;
        };
        let Some(change) = self.change_of(&record.order) else {
            return;
        };
        let version = record.order.version;
        self.tell(&change, version);
        record.order = change.order;
        record.unsettled |= change.unsettled;
        record.round += u32::from(change.renews);
        self.write_order(record, OrderExpected::Placed { version });
    }

    /// Counts units in or out, as an operation that can be repeated.
    fn adjust(&mut self) {
        let product_id = self.product().id;
        let units = i64::from(self.source.dice.below(12)) - 5;
        if let Some(level) = self.shift(product_id, MovementKind::Adjustment, (units, 0), None) {
            let event = self.event(EventKind::StockAdjusted, product_id.0, level.version, "{}");
            self.push_event(event);
        }
        self.operate();
    }

    fn operate(&mut self) {
        let route = ["POST /v1/a", "POST /v1/b"][usize::from(self.source.dice.chance(50))];
        let mut record = operation(route, key(self.source.dice.below(KEYS)).as_str());
        record.outcome = format!(r#"{{"status": {}}}"#, self.source.dice.below(600));
        self.batch.operations.push(record);
    }

    /// Promises units to an order; one that has given all of them back moves no counter.
    fn promise(&mut self, order_id: OrderId, product_id: ProductId, quantity: Quantity, progress: Progress) {
        let units = i64::from(quantity.get());
        if progress.released < quantity.get() {
            self.shift(product_id, MovementKind::Reserve, (0, units), Some(order_id));
        }
        self.batch.reservations.push(ReservationWrite {
            reservation: Reservation {
                product_id,
                order_id,
                seller_id: self.world.seller.id,
                quantity,
                round: 0,
                progress,
            },
            before: None,
        });
    }

    /// Moves a product's counters, if they can be moved so.
    fn shift(
        &mut self,
        product_id: ProductId,
        kind: MovementKind,
        (delta_on_hand, delta_reserved): (i64, i64),
        order_id: Option<OrderId>,
    ) -> Option<StockLevel> {
        let standing = self.view.product(product_id)?.stock;
        let level = self.levels.get(&product_id).copied().unwrap_or(standing);
        let change = StockChange {
            movement_id: MovementId(self.source.fresh_id(Kind::Other)),
            kind,
            delta_on_hand,
            delta_reserved,
            order_id,
            reason: None,
            note: None,
            actor_id: self.world.seller.id,
            at: PAST,
        };
        let level = level.apply(&change).ok()?;
        self.levels.insert(product_id, level);
        let mut writes = self.batch.stock.iter_mut();
        match writes.find(|write| write.level.product_id == product_id) {
            Some(write) => write.level = level,
            None => self.batch.stock.push(StockWrite {
                expected_version: standing.version,
                level,
            }),
        }
        self.batch.movements.push(Movement { change, level });
        Some(level)
    }

    fn write_order(&mut self, record: OrderRecord, expected: OrderExpected) {
        self.batch.orders.push(OrderWrite { record, expected });
    }

    fn tell(&mut self, change: &Change, before: i64) {
        for (sequence, told) in (before + 1..).zip(&change.events) {
            let event = self.event(told.kind, change.order.id.0, sequence, told.data.as_str());
            self.push_event(event);
        }
    }

    fn event(&mut self, kind: EventKind, subject: Uuid, sequence: i64, data: &str) -> Event {
        Event {
            id: EventId(self.source.fresh_id(Kind::Other)),
            kind,
            subject,
            sequence,
            at: PAST,
            actor_id: None,
            data: JsonObject::parse(data).expect("an object"),
            trace_id: None,
        }
    }

    fn push_event(&mut self, event: Event) {
        let service = match event.kind.aggregate() {
            Aggregate::Order => Service::Orders,
            _ => Service::Products,
        };
        let shard = shard_of(event.subject);
        let mut leases = self.batch.leases.iter();
        let lease = leases.find(|lease| (lease.service, lease.shard) == (service, shard));
        let epoch = lease.map_or(1, |lease| lease.epoch);
        self.batch.events.push(EventWrite { event, epoch });
    }

    /// Picks a product, rather one that the batch's leases cover.
    fn product(&mut self) -> Product {
        let covered = |id: &ProductId| {
            let mut leases = self.batch.leases.iter();
            leases.any(|lease| (lease.service, lease.shard) == (Service::Products, id.shard()))
        };
        let mine: Vec<_> = self.world.products.iter().copied().filter(covered).collect();
        let from = if mine.is_empty() || self.source.dice.chance(4) {
            &self.world.products
        } else {
            &mine
        };
        let picked = *self.source.dice.pick(from).expect("products");
        self.view.product(picked).expect("exists").product
    }

    /// Picks an order, rather one that the batch's leases cover.
    fn order(&mut self, is_fit: fn(&OrderRecord) -> bool) -> Option<OrderRecord> {
        let fit: Vec<_> = self.view.orders().filter(|record| is_fit(record)).collect();
        let covered = |record: &&&OrderRecord| {
            let mut leases = self.batch.leases.iter();
            leases.any(|lease| (lease.service, lease.shard) == (Service::Orders, record.order.id.shard()))
        };
        let mine: Vec<_> = fit.iter().filter(covered).copied().collect();
        let from = if mine.is_empty() || self.source.dice.chance(4) {
            &fit
        } else {
            &mine
        };
        self.source.dice.pick(from).copied().cloned()
    }

    /// Picks an id for an order, rather one that none has.
    fn free_id(&mut self, shard: ShardId) -> OrderId {
        let mut id = order_id(self.source.dice.below(ORDERS), shard);
        for _ in 0..DRAWS {
            if self.view.order_record(id).is_none() {
                break;
            }
            id = order_id(self.source.dice.below(ORDERS), shard);
        }
        id
    }

    /// Picks a key, rather one that the customer has not used.
    fn free_key(&mut self, customer: &User) -> OperationKey {
        let mut picked = key(self.source.dice.below(KEYS));
        for _ in 0..DRAWS {
            if self.view.order_by_key(customer.id, &picked).is_none() {
                break;
            }
            picked = key(self.source.dice.below(KEYS));
        }
        picked
    }

    fn quantity(&mut self) -> Quantity {
        Quantity::new(1 + self.source.dice.below(4)).expect("a quantity")
    }

    fn shard(&mut self) -> ShardId {
        *self.source.dice.pick(&SHARDS).expect("shards")
    }
}
