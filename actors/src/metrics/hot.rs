//! Which products sell most on this node: a bounded count over a window that slides in halves.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use holdfast_domain::ProductId;

/// Half of the window: what is shown was sold in the last one to two of these.
const HALF_WINDOW: Duration = Duration::from_mins(5);
/// Products that are counted at a time in each half.
const COUNTED_MAX: usize = 4_096;

/// Units sold lately, by product.
pub(super) struct HotProducts {
    current: HashMap<ProductId, u64>,
    previous: HashMap<ProductId, u64>,
    turned_at: Instant,
}

impl HotProducts {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            current: HashMap::new(),
            previous: HashMap::new(),
            turned_at: now,
        }
    }

    /// Counts units of a product as sold.
    pub(super) fn sold(&mut self, product: ProductId, units: u64, now: Instant) {
        self.turn(now);
        if self.current.len() >= COUNTED_MAX && !self.current.contains_key(&product) {
            self.forget_the_colder_half();
        }
        *self.current.entry(product).or_default() += units;
    }

    /// Returns the `most` products that sold best, best first.
    pub(super) fn best(&mut self, most: usize, now: Instant) -> Vec<(ProductId, u64)> {
        self.turn(now);
        let mut sums = self.previous.clone();
        for (product, units) in &self.current {
            *sums.entry(*product).or_default() += units;
        }
        let mut best: Vec<_> = sums.into_iter().collect();
        best.sort_unstable_by_key(|(product, units)| (std::cmp::Reverse(*units), *product));
        best.truncate(most);
        best
    }

    fn turn(&mut self, now: Instant) {
        let halves = now.saturating_duration_since(self.turned_at).as_secs() / HALF_WINDOW.as_secs();
        if halves == 0 {
            return;
        }
        let last = std::mem::take(&mut self.current);
        self.previous = if halves == 1 { last } else { HashMap::new() };
        self.turned_at = now;
    }

    /// Makes room: what is lost is what could not have been among the best.
    fn forget_the_colder_half(&mut self) {
        let mut counted: Vec<_> = self.current.drain().collect();
        counted.sort_unstable_by_key(|(_, units)| std::cmp::Reverse(*units));
        counted.truncate(COUNTED_MAX / 2);
        self.current.extend(counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn product(n: u128) -> ProductId {
        ProductId(Uuid::from_u128(n))
    }

    #[test]
    fn the_best_are_told_best_first() {
        let now = Instant::now();
        let mut hot = HotProducts::new(now);
        for (n, units) in [(1, 3), (2, 9), (3, 1), (1, 4)] {
            hot.sold(product(n), units, now);
        }
        assert_eq!(hot.best(2, now), [(product(2), 9), (product(1), 7)]);
    }

    #[test]
    fn what_was_sold_long_ago_is_forgotten() {
        let began = Instant::now();
        let mut hot = HotProducts::new(began);
        hot.sold(product(1), 5, began);
        let later = began + HALF_WINDOW;
        hot.sold(product(2), 1, later);
        assert_eq!(hot.best(9, later), [(product(1), 5), (product(2), 1)]);
        assert_eq!(hot.best(9, later + HALF_WINDOW), [(product(2), 1)]);
        assert_eq!(hot.best(9, later + 4 * HALF_WINDOW), []);
    }

    #[test]
    fn the_best_stay_however_many_others_there_are() {
        let now = Instant::now();
        let mut hot = HotProducts::new(now);
        hot.sold(product(u128::MAX), 50, now);
        for n in 0..20_000 {
            hot.sold(product(n), 1, now);
        }
        assert!(hot.current.len() <= COUNTED_MAX);
        assert_eq!(hot.best(1, now), [(product(u128::MAX), 50)]);
    }
}
