//! What happens by the clock: keep-alives, and the end of what nobody asked for.

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};

use super::hub::Hub;

/// How many keep-alives go out before a silent peer is taken for one that is out of reach; so many in
/// a row must be lost.
pub(super) const BEATS_PER_TIMEOUT: u32 = 4;

/// Runs until the link ends.
pub(super) async fn upkeep(hub: Arc<Hub>) {
    let shutdown = hub.shutdown.clone();
    let beating = async {
        let timeout = hub.options.silent_after.min(hub.options.idle_timeout);
        let mut beat = interval(timeout / BEATS_PER_TIMEOUT);
        // A runtime that did not get to run for a while has heard nobody, and that counts once.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            hub.keep_alive();
            hub.tidy();
        }
    };
    shutdown.run_until_cancelled(beating).await;
}
