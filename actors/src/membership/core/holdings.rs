//! The shards that this node holds, as far as it knows, and what is being done with each.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use holdfast_domain::{NodeId, ShardId};
use holdfast_store::{Lease, Service};

use super::{Effect, HandOver};
use crate::{map::ShardMap, membership::placement};

/// A shard that this node holds.
#[derive(Clone, Copy, Debug)]
struct Holding {
    epoch: i64,
    /// Who is to get it, while it is drained or handed over.
    moving_to: Option<NodeId>,
    /// How often it was to be handed over and did not become quiet.
    vain: u32,
}

/// The shards that this node holds.
#[derive(Debug)]
pub(super) struct Holdings {
    me: NodeId,
    held: BTreeMap<(Service, ShardId), Holding>,
    /// The newest epoch of each shard that is known to have ended, however old a map or an answer is
    /// that comes later.
    ended: BTreeMap<(Service, ShardId), i64>,
}

impl Holdings {
    pub(super) fn new(me: NodeId, open: &[Lease]) -> Self {
        let mut holdings = Self {
            me,
            held: BTreeMap::new(),
            ended: BTreeMap::new(),
        };
        holdings.take(open.to_vec());
        holdings
    }

    /// Tells whether a shard is held.
    pub(super) fn holds(&self, service: Service, shard: ShardId) -> bool {
        self.held.contains_key(&(service, shard))
    }

    /// Takes leases on; returns those that are news.
    pub(super) fn take(&mut self, mut leases: Vec<Lease>) -> Vec<Lease> {
        leases.retain(|lease| {
            let key = (lease.service, lease.shard);
            let is_news = self.held.get(&key).is_none_or(|held| held.epoch < lease.epoch)
                && self.ended.get(&key).is_none_or(|ended| *ended < lease.epoch);
            if is_news {
                let holding = Holding {
                    epoch: lease.epoch,
                    moving_to: None,
                    vain: 0,
                };
                self.held.insert(key, holding);
            }
            is_news
        });
        leases
    }

    /// Forgets leases that could not be used; the map brings them back.
    pub(super) fn forget(&mut self, leases: &[Lease]) {
        for lease in leases {
            if self.under(lease).is_some() {
                self.held.remove(&(lease.service, lease.shard));
            }
        }
    }

    /// Opens what the map says is this node's, and closes what it says is not.
    pub(super) fn reconcile(&mut self, map: &ShardMap) -> Vec<Effect> {
        let (mut gone, mut found) = (Vec::new(), Vec::new());
        for (service, shard, ownership) in map.shards() {
            // An epoch above the map's was claimed since the map was read.
            let is_older = |held: &Holding| held.epoch < ownership.epoch;
            match self.held.get(&(service, shard)) {
                Some(held) if !is_older(held) => continue,
                Some(held) => {
                    let lease = self.lease(service, shard, held.epoch);
                    self.end(&lease);
                    gone.push(lease);
                }
                None => {}
            }
            if ownership.owner == Some(self.me) {
                found.push(self.lease(service, shard, ownership.epoch));
            }
        }
        let found = self.take(found);
        [
            (gone, Effect::Close as fn(Vec<Lease>) -> Effect),
            (found, Effect::Open),
        ]
        .into_iter()
        .filter(|(leases, _)| !leases.is_empty())
        .map(|(leases, effect)| effect(leases))
        .collect()
    }

    /// Begins to hand over what belongs elsewhere: one round at a time for each receiver.
    ///
    /// A round is of one service, orders before products: what an order in flight asks of a product
    /// still finds it here, and no drain waits for another of its own round. Shards that did not become
    /// quiet come after all others, or one that is in demand would keep everything here.
    pub(super) fn hand_over(&mut self, map: &ShardMap) -> Vec<Effect> {
        let busy: BTreeSet<NodeId> = self.held.values().filter_map(|held| held.moving_to).collect();
        let mut rounds = BTreeMap::<NodeId, Vec<Lease>>::new();
        let mut moves = placement::to_hand_over(map, self.me);
        moves.retain(|hand_over| !busy.contains(&hand_over.to) && self.under(&hand_over.lease).is_some());
        let rank = |lease: &Lease| {
            let vain = self.under(lease).map_or(0, |held| held.vain);
            (vain, Reverse(lease.service))
        };
        moves.sort_by_key(|hand_over| rank(&hand_over.lease));
        for hand_over in moves {
            let leases = rounds.entry(hand_over.to).or_default();
            if leases
                .first()
                .is_none_or(|first| rank(first) == rank(&hand_over.lease))
            {
                leases.push(hand_over.lease);
            }
        }
        for (to, leases) in &rounds {
            self.mark(leases, Some(*to));
        }
        rounds
            .into_iter()
            .map(|(to, leases)| Effect::Drain { leases, to })
            .collect()
    }

    /// Hands over what has become quiet, and serves the rest on.
    pub(super) fn drained(&mut self, to: NodeId, quiet: &[Lease], busy: &[Lease]) -> Vec<Effect> {
        let mut effects = Vec::new();
        let busy = self.on_the_way(to, busy);
        self.mark(&busy, None);
        for lease in &busy {
            if let Some(held) = self.held.get_mut(&(lease.service, lease.shard)) {
                held.vain = held.vain.saturating_add(1);
            }
        }
        if !busy.is_empty() {
            effects.push(Effect::Resume(busy));
        }
        let leases = self.on_the_way(to, quiet);
        if !leases.is_empty() {
            effects.push(Effect::HandOver { leases, to });
        }
        effects
    }

    /// Closes what has moved, and serves what has not.
    pub(super) fn handed_over(&mut self, to: NodeId, asked: &[Lease], hand_over: &HandOver) -> Vec<Effect> {
        let has_moved = |lease: &Lease| match hand_over {
            HandOver::Moved(moved) => moved
                .iter()
                .any(|new| (new.service, new.shard) == (lease.service, lease.shard)),
            HandOver::Unknown => false,
        };
        let (moved, stayed): (Vec<Lease>, Vec<Lease>) =
            self.on_the_way(to, asked).into_iter().partition(has_moved);
        for lease in &moved {
            self.end(lease);
        }
        self.mark(&stayed, None);
        let mut effects = Vec::new();
        if !moved.is_empty() {
            effects.push(Effect::Close(moved));
        }
        if !stayed.is_empty() {
            effects.push(Effect::Resume(stayed));
        }
        effects
    }

    /// Takes note that a lease has ended.
    fn end(&mut self, lease: &Lease) {
        let key = (lease.service, lease.shard);
        self.held.remove(&key);
        let ended = self.ended.entry(key).or_default();
        *ended = lease.epoch.max(*ended);
    }

    /// Returns those leases that are held still, and on their way to `to`.
    fn on_the_way(&self, to: NodeId, leases: &[Lease]) -> Vec<Lease> {
        let is_on_the_way = |lease: &&Lease| self.under(lease).is_some_and(|held| held.moving_to == Some(to));
        leases.iter().filter(is_on_the_way).copied().collect()
    }

    /// Returns what is held under this very lease.
    fn under(&self, lease: &Lease) -> Option<&Holding> {
        let held = self.held.get(&(lease.service, lease.shard))?;
        (held.epoch == lease.epoch).then_some(held)
    }

    fn mark(&mut self, leases: &[Lease], to: Option<NodeId>) {
        for lease in leases {
            if let Some(held) = self.held.get_mut(&(lease.service, lease.shard)) {
                held.moving_to = to;
            }
        }
    }

    fn lease(&self, service: Service, shard: ShardId, epoch: i64) -> Lease {
        Lease {
            node_id: self.me,
            service,
            shard,
            epoch,
        }
    }
}
