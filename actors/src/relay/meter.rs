//! How far relaying is behind, measured apart from relaying itself.
//!
//! What keeps a node from relaying - a sink that cannot be used, a transaction that holds the feed back,
//! a round that takes for ever - must not keep it from saying so.

use std::{
    error::Error as StdError,
    time::{Duration, Instant},
};

use holdfast_store::RelayHorizon;
use tokio::time::{MissedTickBehavior, interval};

use crate::node::Shared;

/// How often it is measured.
const MEASURE: Duration = Duration::from_secs(1);

/// Measures until it is dropped.
pub(super) async fn keep_measuring(shared: &Shared) {
    let mut ticks = interval(MEASURE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut held = Held::default();
    loop {
        ticks.tick().await;
        match shared.store.relay_standing(shared.node_id).await {
            Ok(standing) => {
                let held_for = held.seen(standing.horizon, Instant::now());
                shared.relay.measured(standing.lag, held_for);
            }
            Err(error) => tracing::debug!(error = &error as &dyn StdError, "the lag could not be measured"),
        }
    }
}

/// Since when one transaction has held the feed back, as far as this node has seen.
#[derive(Debug, Default)]
struct Held(Option<(u64, Instant)>);

impl Held {
    /// Takes note of where the horizon is at `now`; returns for how long it has been held there.
    fn seen(&mut self, horizon: RelayHorizon, now: Instant) -> Duration {
        self.0 = match self.0 {
            _ if !horizon.is_held => None,
            Some((xid, since)) if xid == horizon.xid => Some((xid, since)),
            _ => Some((horizon.xid, now)),
        };
        self.0.map_or(Duration::ZERO, |(_, since)| now - since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_horizon_ages_only_while_one_transaction_holds_it() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut held = Held::default();
        let mut age = |xid, is_held, seconds| held.seen(RelayHorizon { xid, is_held }, at(seconds)).as_secs();
        assert_eq!(age(7, true, 0), 0);
        assert_eq!(age(7, true, 5), 5);
        // Another one is the oldest now.
        assert_eq!(age(9, true, 6), 0);
        assert_eq!(age(9, true, 8), 2);
        // Nobody holds it; it stands still because nothing happens.
        assert_eq!(age(12, false, 9), 0);
        assert_eq!(age(12, false, 90), 0);
        assert_eq!(age(12, true, 91), 0);
        assert_eq!(age(12, true, 92), 1);
    }
}
