//! A wrong judgment: a node that lives is declared dead.
//!
//! It is not on the menu. The node goes on where it stood still, with what was
//! asked of it meanwhile, until its next heartbeat tells it; from memory it
//! may answer until then what its successors have changed, as the guarantees
//! say. That it writes no more is the fence's doing.

use std::time::Duration;

use anyhow::Context;
use holdfast_domain::NodeId;
use holdfast_store::HeartbeatConnection;
use nix::sys::signal::Signal;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::nodes::{Paused, partition};
use super::{Fault, Site};

/// For how long nobody can tell the node.
pub(super) const UNTOLD: Duration = Duration::from_millis(1_200);
/// How long its successors may take to claim what it had.
const CLAIMED_WITHIN: Duration = Duration::from_secs(5);
/// How long they act on it before the node goes on.
const HEAD_START: Duration = Duration::from_millis(300);
const STATEMENT_LIMIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

/// Stops a node whose links are silent, declares it dead, and lets it go on
/// when others have what it had.
pub(super) async fn misjudge(site: &Site, fault: &Fault) -> anyhow::Result<()> {
    let superseded = async {
        let paused = Paused(site.signal(fault.node, Signal::SIGSTOP)?);
        let victims = declare_dead(site, fault.node).await?;
        timeout(CLAIMED_WITHIN, until_succeeded(site, &victims))
            .await
            .context("nobody takes over from a node that was declared dead")?;
        sleep(HEAD_START).await;
        drop(paused);
        Ok(())
    };
    let silence = Fault {
        cuts: false,
        backwards: false,
        ..fault.clone()
    };
    let (done, ()) = tokio::join!(superseded, partition(site, &silence));
    done
}

async fn declare_dead(site: &Site, node: usize) -> anyhow::Result<Vec<NodeId>> {
    let nobody = NodeId(Uuid::nil());
    let mut observer = HeartbeatConnection::connect(&site.database_url, nobody, STATEMENT_LIMIT).await?;
    let beats = observer.peers().await?;
    let victims = site.incarnations(node).await;
    for beat in beats.iter().filter(|beat| victims.contains(&beat.node_id)) {
        site.store.node_declare_dead(beat.node_id, beat.seq).await?;
    }
    Ok(victims)
}

/// Waits until none of these incarnations owns anything.
async fn until_succeeded(site: &Site, incarnations: &[NodeId]) {
    loop {
        let map = site.store.map_load().await;
        let owns = |owner: Option<NodeId>| owner.is_some_and(|owner| incarnations.contains(&owner));
        if map.is_ok_and(|map| !map.shards.iter().any(|shard| owns(shard.owner))) {
            return;
        }
        sleep(POLL).await;
    }
}
