//! The last step of joining: waiting until those who serve are within reach.
//!
//! A node that becomes active while it is cut off from its peers is given shards that nobody can reach
//! there, is outvoted, starts anew, and is given shards again. While it only joins it owns nothing, and
//! nobody votes about it.

use std::time::Duration;

use holdfast_domain::NodeId;
use tokio::time::{sleep, timeout};

use super::{Shared, StartError};
use crate::membership::is_majority;

/// How long a joiner waits. Longer than peers that are gone take to be declared dead.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it looks.
const POLL: Duration = Duration::from_millis(20);

/// Waits until this node, and those whom it reaches, are more than half of all that would then serve.
///
/// # Errors
/// [`StartError::OutOfReach`], after some patience.
pub(super) async fn until_within_reach(shared: &Shared) -> Result<(), StartError> {
    // Names the peers to the link. From now on heartbeats tell of newer maps.
    shared.refresh_map().await;
    let within_reach = async {
        while !shared.has_ended() && !is_within_reach(shared) {
            sleep(POLL).await;
        }
    };
    let waited = timeout(PATIENCE, within_reach).await;
    waited.map_err(|_| StartError::OutOfReach)
}

fn is_within_reach(shared: &Shared) -> bool {
    let map = shared.map();
    if map.standing_of(shared.node_id).is_none() {
        // The map could not be read: that is no reason to take nobody to be there.
        return false;
    }
    let serving = map
        .members()
        .filter(|node| node.node_id != shared.node_id && node.state.serves());
    let serving: Vec<NodeId> = serving.map(|node| node.node_id).collect();
    let connected = shared.link.connected();
    let reached = serving.iter().filter(|node| connected.contains(&node.0)).count();
    is_majority(reached + 1, serving.len() + 1)
}
