//! What has changed here and peers have not been told yet.
//!
//! However often a product changes, it stands here once; however many change, what stands here is
//! bounded. A peer hears one thing at a time. One that could not be told in time is told that
//! everything may have changed. Without tasks or clock: see `push` for who sends it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_domain::{NodeId, ProductId};

use super::Part;
use crate::command::{Changed, News};

/// Products that one message names at most; about 100 kB.
const PRODUCTS_MAX: usize = 4_096;

/// See the module's page.
#[derive(Debug)]
pub(super) struct Outbox {
    products: HashMap<ProductId, Changed>,
    lists: bool,
    has_overflowed: bool,
    peers: HashMap<NodeId, Peer>,
    /// How long a peer can be out of date at all.
    max_age: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    /// When what an unanswered message tells of happened at the latest.
    told: Option<Instant>,
    /// When something happened at the latest that it was not told of.
    missed: Option<Instant>,
}

/// Messages to be sent now.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// To whom and what.
    pub(super) messages: Vec<(NodeId, Arc<News>)>,
    /// Whether more had changed than a message holds.
    pub(super) has_overflowed: bool,
}

impl Outbox {
    pub(super) fn new(max_age: Duration) -> Self {
        Self {
            products: HashMap::new(),
            lists: false,
            has_overflowed: false,
            peers: HashMap::new(),
            max_age,
        }
    }

    /// Takes note of a change.
    pub(super) fn note(&mut self, change: Changed, part: Part) {
        self.lists |= part == Part::Catalogue;
        if self.has_overflowed {
            return;
        }
        if self.products.len() >= PRODUCTS_MAX && !self.products.contains_key(&change.product_id) {
            self.products = HashMap::new();
            self.has_overflowed = true;
            return;
        }
        self.products.insert(change.product_id, change);
    }

    /// Tells whether there is something to be sent, or to be tried again.
    pub(super) fn has_work(&self) -> bool {
        self.has_news() || self.peers.values().any(|peer| peer.missed.is_some())
    }

    fn has_news(&self) -> bool {
        self.lists || self.has_overflowed || !self.products.is_empty()
    }

    /// Takes what each of `peers` is to be told now; `shards` are those of this node's products.
    pub(super) fn take(&mut self, peers: &[NodeId], shards: &[u8], now: Instant) -> Batch {
        self.peers.retain(|id, _| peers.contains(id));
        let everything = Arc::new(News::Everything {
            shards: shards.to_vec(),
        });
        let has_overflowed = std::mem::take(&mut self.has_overflowed);
        let lists = std::mem::take(&mut self.lists);
        let products: Vec<Changed> = self.products.drain().map(|(_, change)| change).collect();
        let news = if has_overflowed {
            Some(Arc::clone(&everything))
        } else if lists || !products.is_empty() {
            Some(Arc::new(News::Changed { products, lists }))
        } else {
            None
        };
        let mut messages = Vec::new();
        for id in peers {
            let peer = self.peers.entry(*id).or_default();
            let fresh = news.as_ref().map(|_| now);
            if peer.told.is_some() {
                peer.missed = fresh.or(peer.missed);
                continue;
            }
            // What it kept from longer ago has reached its bound by now.
            let missed = peer
                .missed
                .take()
                .filter(|missed| now.duration_since(*missed) <= self.max_age);
            let message = if missed.is_some() {
                Some(&everything)
            } else {
                news.as_ref()
            };
            if let Some(message) = message {
                peer.told = fresh.or(missed);
                messages.push((*id, Arc::clone(message)));
            }
        }
        Batch {
            messages,
            has_overflowed,
        }
    }

    /// Takes note that a peer has acknowledged what it was told last, or has not.
    pub(super) fn told(&mut self, peer: NodeId, is_acknowledged: bool) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            let told = peer.told.take();
            if !is_acknowledged {
                peer.missed = peer.missed.or(told);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MAX_AGE: Duration = Duration::from_secs(1);

    fn change(number: usize, version: i64) -> Changed {
        Changed {
            product_id: ProductId(Uuid::from_u128(number as u128)),
            version,
            stock_version: version,
        }
    }

    fn node(number: u128) -> NodeId {
        NodeId(Uuid::from_u128(number))
    }

    fn messages(batch: &Batch) -> Vec<(NodeId, News)> {
        let message = |(id, news): &(NodeId, Arc<News>)| (*id, (**news).clone());
        batch.messages.iter().map(message).collect()
    }

    fn everything() -> News {
        News::Everything { shards: vec![7] }
    }

    fn changed(products: Vec<Changed>, lists: bool) -> News {
        News::Changed { products, lists }
    }

    #[test]
    fn a_product_that_changes_often_is_told_once_with_its_last_version() {
        let mut outbox = Outbox::new(MAX_AGE);
        for version in 1..=100 {
            outbox.note(change(1, version), Part::Stock);
        }
        let batch = outbox.take(&[node(1), node(2)], &[7], Instant::now());
        let news = changed(vec![change(1, 100)], false);
        assert_eq!(messages(&batch), [(node(1), news.clone()), (node(2), news)]);
        assert!(!outbox.has_work());
    }

    #[test]
    fn more_than_a_message_holds_means_everything() {
        let mut outbox = Outbox::new(MAX_AGE);
        for number in 0..10 * PRODUCTS_MAX {
            outbox.note(change(number, 1), Part::Stock);
            assert!(outbox.products.len() <= PRODUCTS_MAX);
        }
        let batch = outbox.take(&[node(1)], &[7], Instant::now());
        assert!(batch.has_overflowed);
        assert_eq!(messages(&batch), [(node(1), everything())]);
    }

    #[test]
    fn a_peer_that_is_slow_gets_no_second_message_and_then_one_about_everything() {
        let (mut outbox, now) = (Outbox::new(MAX_AGE), Instant::now());
        outbox.note(change(1, 1), Part::Catalogue);
        let first = outbox.take(&[node(1), node(2)], &[7], now);
        assert_eq!(first.messages.len(), 2);
        outbox.told(node(2), true);
        outbox.note(change(2, 1), Part::Stock);
        let second = outbox.take(&[node(1), node(2)], &[7], now);
        assert_eq!(messages(&second), [(node(2), changed(vec![change(2, 1)], false))]);
        outbox.told(node(1), true);
        assert!(outbox.has_work());
        let third = outbox.take(&[node(1), node(2)], &[7], now);
        assert_eq!(messages(&third), [(node(1), everything())]);
    }

    #[test]
    fn a_peer_that_could_not_be_told_is_tried_again_until_the_bound_has_done_the_work() {
        let (mut outbox, now) = (Outbox::new(MAX_AGE), Instant::now());
        outbox.note(change(1, 1), Part::Stock);
        outbox.take(&[node(1)], &[7], now);
        outbox.told(node(1), false);
        let again = outbox.take(&[node(1)], &[7], now + MAX_AGE);
        assert_eq!(messages(&again), [(node(1), everything())]);
        outbox.told(node(1), false);
        let late = outbox.take(&[node(1)], &[7], now + MAX_AGE + Duration::from_nanos(1));
        assert!(late.messages.is_empty() && !outbox.has_work());
    }

    #[test]
    fn peers_that_have_gone_are_forgotten() {
        let (mut outbox, now) = (Outbox::new(MAX_AGE), Instant::now());
        outbox.note(change(1, 1), Part::Stock);
        outbox.take(&[node(1)], &[7], now);
        outbox.take(&[], &[7], now);
        outbox.told(node(1), false);
        assert!(!outbox.has_work() && outbox.peers.is_empty());
    }
}
