//! The dialer: `ractor_cluster` never connects again by itself.
//!
//! Both ends of a pair dial. `ractor_cluster` keeps the connection of the end whose name sorts last,
//! so the other end holds back for a moment first: a duplicate that has come up already is torn
//! down with whatever is in flight on it. Neither end depends on the other dialing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::handshake;
use super::hub::Hub;
use super::name::LinkName;
use super::options::Peer;

/// Keeps a session with `peer` for as long as it is polled.
pub(super) async fn keep_connected(hub: Arc<Hub>, peer: Peer) {
    let id = peer.node_id;
    let options = &hub.options;
    let yields = !hub
        .me
        .dials_first(&LinkName::new(peer.name.clone(), peer.node_id));
    let mut backoff = Backoff::new(options.redial_min, options.redial_max);
    loop {
        let mut held = hub.session(id).is_some();
        if !held && yields {
            held = hub.held_within(id, options.yield_delay).await;
        }
        if !held {
            held = dial(&hub, &peer).await;
        }
        if held {
            let since = Instant::now();
            hub.until_held(id, false).await;
            // A session that does not last is a failure like any other, or a peer that accepts and
            // at once breaks off would be dialed in a tight loop.
            if since.elapsed() >= options.redial_max {
                backoff.reset();
                continue;
            }
        }
        let delay = backoff.next(&mut rand::rng());
        hub.held_within(id, delay).await;
    }
}

/// Dials once. Tells whether a session is held afterwards, no matter who dialed it.
async fn dial(hub: &Hub, peer: &Peer) -> bool {
    let stream = match handshake::dial(hub, peer).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(peer = %peer.name, addr = %peer.link_addr, %error, "cannot connect");
            return hub.session(peer.node_id).is_some();
        }
    };
    let connection = Arc::clone(&stream.connection);
    hub.hand_over(stream, false);
    tokio::select! {
        held = hub.held_within(peer.node_id, hub.options.handshake_timeout) => {
            if !held {
                connection.cut();
            }
            held
        }
        () = connection.closed.cancelled() => hub.session(peer.node_id).is_some(),
    }
}

/// Delays that double up to a bound, each drawn from the upper half of its range so that nodes
/// which lost each other together do not come back together.
#[derive(Debug)]
struct Backoff {
    min: Duration,
    max: Duration,
    ceiling: Duration,
}

impl Backoff {
    fn new(min: Duration, max: Duration) -> Self {
        Self {
            min,
            max,
            ceiling: min,
        }
    }

    fn next(&mut self, rng: &mut impl rand::Rng) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = (ceiling * 2).min(self.max);
        rng.random_range(ceiling / 2..=ceiling)
    }

    fn reset(&mut self) {
        self.ceiling = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound_and_start_anew_when_reset() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(50), ms(300));
        for ceiling in [50, 100, 200, 300, 300] {
            let delay = backoff.next(&mut rand::rng());
            assert!(delay >= ms(ceiling) / 2 && delay <= ms(ceiling), "{delay:?}");
        }
        backoff.reset();
        assert!(backoff.next(&mut rand::rng()) <= ms(50));
    }
}
