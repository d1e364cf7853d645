//! Batches as a lane would make them: decided by the domain on what stands.

use std::{collections::BTreeMap, time::Duration};

use holdfast_domain::{
    Event, EventId, Fingerprint, Movement, MovementId, MovementKind, OperationKey, Order, OrderId, ProductId,
    Reservation, StockLevel, User,
    order::{self, Change, NewOrder},
    stock::{Progress, StockChange},
};
use holdfast_store::{
    Batch, EventWrite, OrderExpected, OrderRecord, OrderState, OrderWrite, ReservationWrite, StockWrite,
    StockedProduct,
};

use crate::shop::{NOW, Shop, entropy, later};

/// How long orders of the tests may stay unpaid.
pub(crate) const PAYMENT_DEADLINE: Duration = Duration::from_mins(15);

/// A batch in the making.
pub(crate) struct Draft<'a> {
    shop: &'a Shop,
    products: BTreeMap<ProductId, StockedProduct>,
    pub(crate) batch: Batch,
}

impl<'a> Draft<'a> {
    /// Begins a batch with all leases of the shop's node.
    pub(crate) fn new(shop: &'a Shop) -> Self {
        let batch = Batch {
            batch_id: OrderId::mint(later(), entropy()).0,
            node_id: shop.node,
            lane: 0,
            leases: shop.leases(),
            stock: Vec::new(),
            movements: Vec::new(),
            reservations: Vec::new(),
            orders: Vec::new(),
            events: Vec::new(),
            operations: Vec::new(),
        };
        Self {
            shop,
            products: BTreeMap::new(),
            batch,
        }
    }

    /// Adds an order of the shop's buyer.
    pub(crate) async fn place(&mut self, key: &str, wanted: &[(ProductId, u32)]) -> Order {
        self.place_for(&self.shop.buyer, key, wanted).await
    }

    /// Adds an order.
    pub(crate) async fn place_for(
        &mut self,
        customer: &User,
        key: &str,
        wanted: &[(ProductId, u32)],
    ) -> Order {
        let lines = order::merge_lines(wanted.iter().copied()).expect("sound lines");
        for line in &lines {
            self.load(line.product_id).await;
        }
        let lowest = lines[0].product_id;
        let new = NewOrder {
            id: OrderId::mint_in(lowest.shard(), later(), entropy()),
            customer_id: customer.id,
            lines,
            shipping_address: None,
            note: None,
            expected_total: None,
        };
        let products: Vec<_> = self
            .products
            .values()
            .map(|stocked| stocked.product.clone())
            .collect();
        let change = order::place(&new, &products, NOW, PAYMENT_DEADLINE).expect("a sound order");
        for line in &change.order.lines {
            let units = i64::from(line.quantity);
            self.shift(line.product_id, MovementKind::Reserve, (0, units), Some(new.id));
        }
        for wanted in &new.lines {
            let product = &self.products[&wanted.product_id].product;
            self.batch.reservations.push(ReservationWrite {
                reservation: Reservation {
                    product_id: product.id,
                    order_id: new.id,
                    seller_id: product.seller_id,
                    quantity: wanted.quantity,
                    round: 0,
                    progress: Progress::default(),
                },
                before: None,
            });
        }
        self.tell(&change, 0);
        self.batch.orders.push(OrderWrite {
            record: record(&change.order, key, OrderState::Placed),
            expected: OrderExpected::Absent,
        });
        change.order
    }

    /// Lets an order's reservations follow it.
    pub(crate) async fn settle(&mut self, order: &Order) {
        for line in &order.lines {
            self.load(line.product_id).await;
            let found = self
                .shop
                .store
                .reservation(line.product_id, order.id)
                .await
                .expect("reads");
            let before = found.expect("a reservation");
            let (after, steps) = before.advance(0, order.progress_of(line));
            for step in steps {
                let units = i64::from(step.units);
                let delta = if step.kind == MovementKind::Ship {
                    (-units, -units)
                } else {
                    (0, -units)
                };
                self.shift(line.product_id, step.kind, delta, Some(order.id));
            }
            self.batch.reservations.push(ReservationWrite {
                reservation: after,
                before: Some(before),
            });
        }
    }

    /// Promises an order's units anew.
    pub(crate) async fn renew(&mut self, order: &Order, round: u32) {
        for line in &order.lines {
            self.load(line.product_id).await;
            let found = self.shop.store.reservation(line.product_id, order.id).await;
            let before = found.expect("reads").expect("a reservation");
            let (after, taken) = before.renew(round).expect("a later round");
            let units = (0, i64::from(taken));
            self.shift(line.product_id, MovementKind::Reserve, units, Some(order.id));
            self.batch.reservations.push(ReservationWrite {
                reservation: after,
                before: Some(before),
            });
        }
    }

    /// Adds a move of an order from the version before it.
    pub(crate) fn move_order(&mut self, before: &Order, change: &Change, key: &str, round: u32) {
        self.tell(change, before.version);
        self.batch.orders.push(OrderWrite {
            record: OrderRecord {
                round,
                unsettled: change.unsettled,
                ..record(&change.order, key, OrderState::Placed)
            },
            expected: OrderExpected::Placed {
                version: before.version,
            },
        });
    }

    /// Adds an adjustment of a product's stock.
    pub(crate) async fn adjust(&mut self, product_id: ProductId, delta: i64) {
        self.load(product_id).await;
        self.shift(product_id, MovementKind::Adjustment, (delta, 0), None);
    }

    async fn load(&mut self, product_id: ProductId) {
        if !self.products.contains_key(&product_id) {
            let stocked = self.shop.store.product(product_id).await.expect("reads");
            self.products
                .insert(product_id, stocked.expect("the product exists"));
        }
    }

    fn shift(
        &mut self,
        product_id: ProductId,
        kind: MovementKind,
        (delta_on_hand, delta_reserved): (i64, i64),
        order_id: Option<OrderId>,
    ) {
        let stocked = self
            .products
            .get_mut(&product_id)
            .expect("the product was loaded");
        let change = StockChange {
            movement_id: MovementId::mint(NOW, entropy()),
            kind,
            delta_on_hand,
            delta_reserved,
            order_id,
            reason: None,
            note: None,
            actor_id: self.shop.buyer.id,
            at: NOW,
        };
        let level: StockLevel = stocked.stock.apply(&change).expect("a legal change");
        match self
            .batch
            .stock
            .iter_mut()
            .find(|write| write.level.product_id == product_id)
        {
            Some(write) => write.level = level,
            None => self.batch.stock.push(StockWrite {
                expected_version: stocked.stock.version,
                level,
            }),
        }
        stocked.stock = level;
        self.batch.movements.push(Movement { change, level });
    }

    fn tell(&mut self, change: &Change, before: i64) {
        let epoch = 1;
        self.batch.events.extend(
            events(change, before)
                .into_iter()
                .map(|event| EventWrite { event, epoch }),
        );
    }
}

/// Makes an order's row.
pub(crate) fn record(order: &Order, key: &str, state: OrderState) -> OrderRecord {
    OrderRecord {
        order: order.clone(),
        state,
        operation_key: OperationKey::parse(key).expect("a key"),
        fingerprint: Fingerprint([3; 32]),
        unsettled: false,
        round: 0,
    }
}

/// Makes the events of a change of an order that stood at version `before`.
pub(crate) fn events(change: &Change, before: i64) -> Vec<Event> {
    (before + 1..)
        .zip(&change.events)
        .map(|(sequence, told)| Event {
            id: EventId::mint(NOW, entropy()),
            kind: told.kind,
            subject: change.order.id.0,
            sequence,
            at: NOW,
            actor_id: change.actor_id,
            data: told.data.clone(),
            trace_id: None,
        })
        .collect()
}
