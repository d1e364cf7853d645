//! The network between nodes, and between clients and nodes: messages are late, lost, doubled and
//! overtake each other.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::Rng;

use super::executor::Executor;

#[derive(Default)]
struct Weather {
    /// From whom to whom nothing gets through.
    cut: BTreeSet<(usize, usize)>,
    /// How many in a thousand messages are lost, and how many come twice.
    storm: u32,
}

/// The network; clones share it.
#[derive(Clone)]
pub(super) struct Network {
    executor: Executor,
    weather: Arc<Mutex<Weather>>,
}

impl Network {
    pub(super) fn new(executor: &Executor) -> Self {
        Self {
            executor: executor.clone(),
            weather: Arc::default(),
        }
    }

    pub(super) fn set_cut(&self, from: usize, to: usize, is_cut: bool) {
        let cut = &mut self.weather.lock().cut;
        if is_cut {
            cut.insert((from, to));
        } else {
            cut.remove(&(from, to));
        }
    }

    pub(super) fn set_storm(&self, per_thousand: u32) {
        self.weather.lock().storm = per_thousand;
    }

    /// Tells whether messages get through both ways.
    pub(super) fn is_open(&self, one: usize, other: usize) -> bool {
        let cut = &self.weather.lock().cut;
        !cut.contains(&(one, other)) && !cut.contains(&(other, one))
    }

    /// Carries a message; `false` if it is lost on the way.
    pub(super) async fn carry(&self, from: usize, to: usize) -> bool {
        self.executor.sleep(self.delay()).await;
        !self.is_hit() && !self.weather.lock().cut.contains(&(from, to))
    }

    /// Carries a message between a client and a node, which nobody cuts.
    pub(super) async fn carry_outside(&self) -> bool {
        self.executor.sleep(self.delay()).await;
        !self.is_hit()
    }

    /// Tells whether the next message comes twice.
    pub(super) fn doubles(&self) -> bool {
        self.is_hit()
    }

    fn is_hit(&self) -> bool {
        let storm = self.weather.lock().storm;
        storm > 0 && self.executor.draw(|rng| rng.random_range(0..1_000)) < storm
    }

    fn delay(&self) -> Duration {
        let storm = self.weather.lock().storm;
        self.executor.draw(|rng| {
            if storm > 0 && rng.random_range(0..1_000) < storm {
                Duration::from_millis(rng.random_range(10..=1_500))
            } else {
                Duration::from_micros(rng.random_range(50..=2_000))
            }
        })
    }
}
