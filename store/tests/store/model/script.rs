//! Scripts: random calls, each made up on what stands or once stood, so that most mean something.

use holdfast_domain::{NodeId, ShardId};
use holdfast_store::{Batch, Lease, NodeState, Service, model::Model};

use super::{
    blemish::blemish,
    call::Call,
    sketch::{KEYS, ORDERS, Sketch},
    source::Source,
    world::{Kind, SHARDS, World, incarnation, key, order_id},
};
use crate::shop::operation;

/// How many models of the past an author remembers.
const VIEWS: usize = 4;
/// How many sent batches an author remembers.
const SENT: usize = 64;
/// How often a batch is made up anew that would write nothing, or where it names no lease.
const TRIES: usize = 8;
/// How many nodes there are; each may have any number of incarnations.
const NODES: u32 = 3;

/// Makes up one call after the other.
pub(super) struct Author<'a> {
    world: &'a World,
    source: Source,
    views: Vec<Model>,
    sent: Vec<Batch>,
    incarnations: Vec<NodeId>,
}

impl<'a> Author<'a> {
    pub(super) fn new(world: &'a World, seed: u64) -> Self {
        Self {
            world,
            source: Source::new(seed),
            views: Vec::new(),
            sent: Vec::new(),
            incarnations: vec![incarnation(0, 0).node_id],
        }
    }

    /// Makes up a call, `model` being what stands.
    pub(super) fn next(&mut self, model: &Model) -> Call {
        let call = match self.source.dice.below(100) {
            _ if is_idle(model) && self.source.dice.chance(80) => self.change_cluster(model),
            0..=54 => self.commit(model),
            55..=61 => self.settled(model),
            62..=77 => self.read(model),
            _ => self.change_cluster(model),
        };
        self.views.push(model.clone());
        if self.views.len() > VIEWS {
            self.views.remove(0);
        }
        call
    }

    fn commit(&mut self, model: &Model) -> Call {
        let batch = match self.source.dice.pick(&self.sent).cloned() {
            Some(sent) if self.source.dice.chance(12) => sent,
            Some(sent) if self.source.dice.chance(6) => Batch {
                batch_id: self.source.fresh_id(Kind::Batch),
                ..sent
            },
            _ => self.sketch(model),
        };
        self.sent.push(batch.clone());
        if self.sent.len() > SENT {
            self.sent.remove(0);
        }
        Call::Commit(Box::new(batch))
    }

    fn sketch(&mut self, model: &Model) -> Batch {
        let remembered = match self.source.dice.pick(&self.views) {
            Some(view) if self.source.dice.chance(35) => view.clone(),
            _ => model.clone(),
        };
        let mut batch = self.sketch_once(&remembered);
        for _ in 0..TRIES {
            let is_empty = batch.stock.is_empty() && batch.orders.is_empty() && batch.operations.is_empty();
            if !is_empty && is_covered(&batch) || self.source.dice.chance(4) {
                break;
            }
            batch = self.sketch_once(&remembered);
        }
        if self.source.dice.chance(6)
            && let Some(lease) = batch.leases.last_mut()
        {
            lease.epoch -= 1;
        }
        if self.source.dice.chance(25) {
            blemish(&mut batch, &mut self.source.dice);
        }
        batch
    }

    fn sketch_once(&mut self, remembered: &Model) -> Batch {
        let node_id = self.node(remembered);
        let leases = held_by(remembered, node_id);
        let mut sketch = Sketch::new(self.world, remembered, &mut self.source, node_id, leases);
        sketch.add_some();
        sketch.batch
    }

    fn settled(&mut self, model: &Model) -> Call {
        let orders: Vec<_> = model.orders().collect();
        let Some(record) = self.source.dice.pick(&orders) else {
            return Call::Map;
        };
        let node_id = self.node(model);
        let shard = record.order.id.shard();
        let owned = held_by(model, node_id).into_iter();
        let mut orders = owned.filter(|lease| lease.service == Service::Orders);
        let lease = orders.find(|lease| lease.shard == shard).unwrap_or(Lease {
            node_id,
            service: Service::Orders,
            shard,
            epoch: 1,
        });
        let version = record.order.version - i64::from(self.source.dice.chance(20));
        Call::Settled(lease, record.order.id, version)
    }

    fn read(&mut self, model: &Model) -> Call {
        let dice = &mut self.source.dice;
        let product = *dice.pick(&self.world.products).expect("products");
        let shard = *dice.pick(&SHARDS).expect("shards");
        let order = order_id(dice.below(ORDERS), shard);
        let customer = dice.pick(&self.world.customers).expect("customers").id;
        let key = key(dice.below(KEYS));
        let payment = model.order_record(order).and_then(|record| record.order.payment);
        match (dice.below(10), payment) {
            (8, Some(payment)) => Call::PaymentName(order, payment.id),
            (7, _) => Call::Payment(order, format!("payment {}", dice.below(3))),
            (0, _) => Call::Products(vec![product, self.world.products[0], product]),
            (1, _) => Call::OrderRecord(order),
            (2, _) => Call::OrderByKey(customer, key),
            (3, _) => Call::PlacedSnapshot(order),
            (4, _) => Call::Reservation(product, order),
            (5, _) => Call::Unfinished(SHARDS[..2].to_vec(), 1_000),
            (6, _) => Call::Unfinished(SHARDS.to_vec(), 1 + dice.below(2)),
            _ => {
                let scope = operation("POST /v1/a", key.as_str()).operation;
                Call::Operation(scope.principal, scope.route, key)
            }
        }
    }

    fn change_cluster(&mut self, model: &Model) -> Call {
        let nodes = model.nodes();
        let of_state = |state| {
            nodes
                .iter()
                .find(|node| node.state == state)
                .map(|node| node.node_id)
        };
        if is_idle(model) && self.source.dice.chance(80) {
            return match (of_state(NodeState::Active), of_state(NodeState::Joining)) {
                (Some(active), _) => Call::Claim(active, self.wanted()),
                (None, Some(joining)) => Call::Activate(joining),
                (None, None) => self.join(),
            };
        }
        let id = self.node(model);
        match self.source.dice.below(27) {
            0 | 1 => self.join(),
            2..=4 => Call::Activate(id),
            5 => Call::Drain(id),
            6 => Call::Leave(id),
            7 | 8 => {
                let seq = model
                    .nodes()
                    .iter()
                    .find(|node| node.node_id == id)
                    .map(|node| node.seq);
                let is_late = self.source.dice.chance(30);
                Call::DeclareDead(id, seq.unwrap_or(0) - i64::from(is_late))
            }
            9..=11 => Call::Beat(id),
            12 => Call::Peers(id),
            13..=18 => Call::Claim(id, self.wanted()),
            // A node of itself, too, now and then.
            24..=26 => Call::Suspect(id, self.node(model)),
            19..=22 => {
                let mut leases = held_by(model, id);
                leases.retain(|_| self.source.dice.chance(40));
                if let Some(lease) = leases.first_mut() {
                    lease.epoch += i64::from(self.source.dice.chance(20));
                }
                let to = self.node(model);
                Call::HandOver(leases, to)
            }
            _ => Call::Map,
        }
    }

    fn join(&mut self) -> Call {
        // Sometimes again, perhaps under another name: an incarnation starts once.
        let is_new = self.source.dice.chance(90);
        let n = if is_new { self.source.fresh() } else { 1 };
        let mut node = incarnation(n, 1 + self.source.dice.below(NODES));
        if self.source.dice.chance(5) {
            node.roles.push("cook".to_owned());
        }
        self.incarnations.push(node.node_id);
        Call::Join(node)
    }

    /// Picks an incarnation: rather one that serves, sometimes any that ever was, or one that never was.
    fn node(&mut self, model: &Model) -> NodeId {
        let nodes = model.nodes();
        let serving: Vec<_> = nodes
            .iter()
            .filter(|node| matches!(node.state, NodeState::Active | NodeState::Draining))
            .map(|node| node.node_id)
            .collect();
        let dice = &mut self.source.dice;
        let known: Vec<_> = nodes.iter().map(|node| node.node_id).collect();
        let from = match dice.below(20) {
            0 => &self.incarnations,
            1 | 2 => &known,
            _ if serving.is_empty() => &known,
            _ => &serving,
        };
        *dice.pick(from).expect("an incarnation")
    }

    fn wanted(&mut self) -> Vec<(Service, ShardId)> {
        let all = SHARDS.into_iter().flat_map(|shard| {
            [
                (Service::Products, shard),
                (Service::Orders, shard),
                (Service::Sessions, shard),
            ]
        });
        let mut wanted: Vec<_> = all.collect();
        wanted.retain(|_| self.source.dice.chance(80));
        wanted.extend(wanted.first().copied());
        wanted
    }
}

/// Tells whether most of what happens would be refused, because nobody serves half of the shards.
fn is_idle(model: &Model) -> bool {
    let nodes = model.nodes();
    let serving = nodes
        .iter()
        .filter(|node| matches!(node.state, NodeState::Active | NodeState::Draining));
    let held: usize = serving.map(|node| held_by(model, node.node_id).len()).sum();
    held < SHARDS.len()
}

/// Tells whether a batch names a lease for everything that it writes.
fn is_covered(batch: &Batch) -> bool {
    let names = |service, shard| {
        let mut leases = batch.leases.iter();
        leases.any(|lease| (lease.service, lease.shard) == (service, shard))
    };
    let mut stock = batch.stock.iter().map(|write| write.level.product_id);
    let mut reserved = batch
        .reservations
        .iter()
        .map(|write| write.reservation.product_id);
    let mut orders = batch.orders.iter().map(|write| write.record.order.id);
    stock.all(|id| names(Service::Products, id.shard()))
        && reserved.all(|id| names(Service::Products, id.shard()))
        && orders.all(|id| names(Service::Orders, id.shard()))
}

/// Lists what a node holds of the shards in which everything happens.
fn held_by(model: &Model, node_id: NodeId) -> Vec<Lease> {
    let shards = model.map_load().shards.into_iter();
    shards
        .filter(|row| row.owner == Some(node_id) && SHARDS.contains(&row.shard))
        .filter(|row| row.service != Service::Sessions)
        .map(|row| Lease {
            node_id,
            service: row.service,
            shard: row.shard,
            epoch: row.epoch,
        })
        .collect()
}
