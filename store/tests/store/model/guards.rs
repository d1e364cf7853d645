//! What Postgres cannot show: a model without one of its guards writes what that would have stopped,
//! and its audit tells.

use std::time::Duration;

use holdfast_domain::{
    Movement, MovementId, MovementKind, NodeId, Order, ProductId, Quantity, Reservation,
    order::{self, Change, NewOrder, WantedLine},
    stock::{Progress, StockChange},
};
use holdfast_store::{
    Batch, Committed, EventWrite, Lease, OrderExpected, OrderState, OrderWrite, ReservationWrite, Service,
    StockWrite, StoreError,
    model::{Guards, Model},
};

use super::world::{Kind, PAST, SHARDS, World, id, incarnation, order_id};
use crate::{
    draft::{events, record},
    shop::operation,
};

const KEY: &str = "the-very-key";

/// A model with one node that owns everything.
struct Small {
    world: World,
    model: Model,
    node: NodeId,
    leases: Vec<Lease>,
    batches: u32,
}

impl Small {
    fn open(guards: Guards) -> Self {
        let world = World::new();
        let mut model = world.model(guards);
        let node = incarnation(1, 1);
        model.node_join(&node).expect("joins");
        model.node_activate(node.node_id).expect("becomes active");
        let of = |service| SHARDS.map(|shard| (service, shard));
        let wanted = [of(Service::Products), of(Service::Orders)].concat();
        let leases = model.shards_claim(node.node_id, &wanted).expect("claims");
        Self {
            world,
            model,
            node: node.node_id,
            leases,
            batches: 0,
        }
    }

    fn batch(&mut self) -> Batch {
        self.batches += 1;
        Batch {
            batch_id: id(Kind::Batch, self.batches, SHARDS[0]),
            node_id: self.node,
            lane: 0,
            leases: self.leases.clone(),
            stock: Vec::new(),
            movements: Vec::new(),
            reservations: Vec::new(),
            orders: Vec::new(),
            events: Vec::new(),
            operations: Vec::new(),
        }
    }

    /// Makes a batch with one movement of the first product, as decided on what stands now.
    fn movement(
        &mut self,
        kind: MovementKind,
        (on_hand, reserved): (i64, i64),
        order: Option<&Order>,
    ) -> Batch {
        let mut batch = self.batch();
        let standing = self.model.product(self.product()).expect("exists").stock;
        let change = StockChange {
            movement_id: MovementId(batch.batch_id),
            kind,
            delta_on_hand: on_hand,
            delta_reserved: reserved,
            order_id: order.map(|order| order.id),
            reason: None,
            note: None,
            actor_id: self.world.seller.id,
            at: PAST,
        };
        let level = standing.apply(&change).expect("a legal change");
        batch.stock.push(StockWrite {
            expected_version: standing.version,
            level,
        });
        batch.movements.push(Movement { change, level });
        batch
    }

    fn adjustment(&mut self) -> Batch {
        self.movement(MovementKind::Adjustment, (1, 0), None)
    }

    /// Makes a batch that places the `n`-th order of the same customer with the same key.
    fn placing(&mut self, n: u32) -> (Batch, Order) {
        let product = self.model.product(self.product()).expect("exists").product;
        let quantity = Quantity::new(2).expect("a quantity");
        let new = NewOrder {
            id: order_id(n, product.id.shard()),
            customer_id: self.world.customers[0].id,
            lines: vec![WantedLine {
                product_id: product.id,
                quantity,
            }],
            shipping_address: None,
            note: None,
            expected_total: None,
        };
        let seller_id = product.seller_id;
        let change = order::place(&new, &[product], PAST, Duration::ZERO).expect("a sound order");
        let mut batch = self.movement(MovementKind::Reserve, (0, 2), Some(&change.order));
        batch.reservations.push(ReservationWrite {
            reservation: Reservation {
                product_id: self.product(),
                order_id: new.id,
                seller_id,
                quantity,
                round: 0,
                progress: Progress::default(),
            },
            before: None,
        });
        self.add(&mut batch, &change, OrderExpected::Absent);
        (batch, change.order)
    }

    fn moving(&mut self, order: &Order, change: &Change) -> Batch {
        let mut batch = self.batch();
        let version = order.version;
        self.add(&mut batch, change, OrderExpected::Placed { version });
        batch
    }

    fn add(&self, batch: &mut Batch, change: &Change, expected: OrderExpected) {
        let before = match expected {
            OrderExpected::Placed { version } => version,
            OrderExpected::Absent | OrderExpected::Placing => 0,
        };
        let order = &change.order;
        let mut leases = self.leases.iter();
        let lease = leases.find(|lease| (lease.service, lease.shard) == (Service::Orders, order.id.shard()));
        let epoch = lease.expect("owns everything").epoch;
        let told = events(change, before).into_iter();
        batch.events.extend(told.map(|event| EventWrite { event, epoch }));
        let mut record = record(order, KEY, OrderState::Placed);
        record.unsettled = change.unsettled;
        batch.orders.push(OrderWrite { record, expected });
    }

    fn product(&self) -> ProductId {
        self.world.products[0]
    }

    fn commit(&mut self, batch: &Batch) {
        let committed = self.model.lane_commit(batch).expect("commits");
        assert_eq!(committed, Committed::Now);
    }

    /// Names the promises that are broken.
    fn broken(&self) -> Vec<&'static str> {
        let mut broken: Vec<_> = self.model.audit().iter().map(|breach| breach.invariant).collect();
        broken.dedup();
        broken
    }
}

#[test]
fn without_the_fence_the_dead_go_on_writing() {
    for fence in [true, false] {
        let mut small = Small::open(Guards {
            fence,
            ..Guards::default()
        });
        assert!(small.model.node_declare_dead(small.node, 0));
        let batch = small.adjustment();
        if fence {
            let error = small.model.lane_commit(&batch).expect_err("is fenced");
            assert!(matches!(error, StoreError::Fenced { .. }), "{error:?}");
            assert_eq!(small.broken(), [""; 0]);
        } else {
            small.commit(&batch);
            assert_eq!(small.broken(), ["leases"]);
        }
    }
}

#[test]
fn without_versions_one_change_undoes_another() {
    for versions in [true, false] {
        let mut small = Small::open(Guards {
            versions,
            ..Guards::default()
        });
        let (first, second) = (small.adjustment(), small.adjustment());
        small.commit(&first);
        if versions {
            let error = small.model.lane_commit(&second).expect_err("is stale");
            assert!(matches!(error, StoreError::Version(_)), "{error:?}");
            assert_eq!(small.broken(), [""; 0]);
        } else {
            small.commit(&second);
            assert_eq!(small.broken(), ["counters", "ledger"]);
        }
    }
}

#[test]
fn without_unique_keys_one_key_makes_two_orders() {
    for unique_keys in [true, false] {
        let mut small = Small::open(Guards {
            unique_keys,
            ..Guards::default()
        });
        let (first, _) = small.placing(0);
        small.commit(&first);
        let (second, _) = small.placing(1);
        if unique_keys {
            let error = small.model.lane_commit(&second).expect_err("is a duplicate");
            assert!(matches!(error, StoreError::Duplicate(_)), "{error:?}");
            assert_eq!(small.broken(), [""; 0]);
        } else {
            small.commit(&second);
            assert_eq!(small.broken(), ["keys"]);
        }
    }
}

#[test]
fn without_unique_keys_an_operation_takes_effect_twice() {
    for unique_keys in [true, false] {
        let mut small = Small::open(Guards {
            unique_keys,
            ..Guards::default()
        });
        for is_repeat in [false, true] {
            let mut batch = small.adjustment();
            batch.operations.push(operation("POST /v1/x", KEY));
            if is_repeat && unique_keys {
                let error = small.model.lane_commit(&batch).expect_err("is a duplicate");
                assert!(matches!(error, StoreError::Duplicate(_)), "{error:?}");
            } else {
                small.commit(&batch);
            }
        }
        let broken = if unique_keys { &[][..] } else { &["operations"] };
        assert_eq!(small.broken(), broken);
    }
}

#[test]
fn without_compare_and_set_an_order_expires_after_it_was_cancelled() {
    for order_compare_and_set in [true, false] {
        let mut small = Small::open(Guards {
            order_compare_and_set,
            ..Guards::default()
        });
        let (placing, order) = small.placing(0);
        small.commit(&placing);
        let expired = order::expire(&order, PAST).expect("is due");
        let by = crate::shop::caller(&small.world.customers[0]);
        let cancelled = order::cancel(&order, &by, None, PAST).expect("may be cancelled");
        let (first, second) = (small.moving(&order, &cancelled), small.moving(&order, &expired));
        small.commit(&first);
        if order_compare_and_set {
            let error = small.model.lane_commit(&second).expect_err("is stale");
            assert!(matches!(error, StoreError::Version(_)), "{error:?}");
            assert_eq!(small.broken(), [""; 0]);
        } else {
            small.commit(&second);
            assert_eq!(small.broken(), ["transitions"]);
        }
    }
}
