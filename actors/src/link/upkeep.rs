//! What happens by the clock: keep-alives, and the end of what nobody asked for.

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};

use super::hub::Hub;

/// How many keep-alives go out within one idle timeout; so many in a row must be lost before a
/// healthy session is taken for a dead one.
const BEATS_PER_TIMEOUT: u32 = 4;

/// Runs until the link ends.
pub(super) async fn upkeep(hub: Arc<Hub>) {
    let shutdown = hub.shutdown.clone();
    let beating = async {
        let mut beat = interval(hub.options.idle_timeout / BEATS_PER_TIMEOUT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            for session in hub.sessions() {
                session.beat();
            }
            hub.tidy();
        }
    };
    shutdown.run_until_cancelled(beating).await;
}
