//! The load: customers who order, pay, cancel, read and sign out, and a seller
//! who restocks and edits, all at once and at every node.
//!
//! It is a closed loop: each client has one operation under way, and pauses
//! between two so that all together come to the rate asked for. What a client
//! does depends on its seed and on what it was told before.

mod client;
mod reading;
mod retry;
mod stage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use super::history::Operation;
use crate::shop::Shop;
use client::Client;
pub(super) use client::order_body;
pub(super) use reading::{id, level};
pub(super) use stage::{Customer, Stage};

/// Times since the start of the load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    pub(super) fn now(self) -> Duration {
        self.started.elapsed()
    }
}

/// Lets every customer of the stage act for `duration`. Returns the history,
/// in the order in which operations began. The nodes of the shop are those of
/// the cluster that `edges` lists, and are called as they are there.
pub(super) async fn drive(
    shop: &Shop,
    stage: &Arc<Stage>,
    edges: &[usize],
    clock: Clock,
    duration: Duration,
    rate: u32,
    seed: u64,
) -> anyhow::Result<Vec<Operation>> {
    let count = stage.customers.len();
    let each = u32::try_from(count)?;
    let pause = Duration::from_secs(1) * each / rate.max(1);
    let mut seeds = StdRng::seed_from_u64(seed);
    let mut clients = JoinSet::new();
    for index in 0..count {
        let rng = StdRng::from_rng(&mut seeds);
        let client = Client::new(index, shop.clone(), Arc::clone(stage), clock, rng);
        clients.spawn(client.act(duration, pause));
    }
    let mut history = Vec::new();
    while let Some(operations) = clients.join_next().await {
        history.extend(operations?);
    }
    for operation in &mut history {
        for attempt in &mut operation.attempts {
            attempt.node = edges[attempt.node];
        }
    }
    history.sort_by_key(|operation| operation.began);
    Ok(history)
}
