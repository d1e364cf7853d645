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
use holdfast_store::testing::until_told_by_owners;
use nix::sys::signal::Signal;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::nodes::{Paused, ways};
use super::{Fault, Site};
use crate::chaos::network::Flow;

/// For how long no other node tells it, once it goes on.
pub(super) const UNTOLD: Duration = Duration::from_millis(1_200);
/// How long its successors may take to claim what it had.
const CLAIMED_WITHIN: Duration = Duration::from_secs(5);
/// How many events they commit before it goes on.
const HEAD_START: i64 = 20;
/// How long they may take to, if so much is asked of them.
const HEAD_START_WITHIN: Duration = Duration::from_secs(3);
const STATEMENT_LIMIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

/// Stops a node whose links are silent, declares it dead, and lets it go on
/// when others act on what it had.
pub(super) async fn misjudge(site: &Site, fault: &Fault) -> anyhow::Result<()> {
    let silence = site.network.block(ways(fault, site.names.len()), Flow::Held);
    let done = async {
        let paused = Paused(site.signal(fault.node, Signal::SIGSTOP)?);
        supersede(site, fault.node).await?;
        drop(paused);
        sleep(fault.lasts).await;
        Ok(())
    };
    let done = done.await;
    site.network.release(silence);
    done
}

/// Declares a node dead, and waits until others act on what it had.
async fn supersede(site: &Site, node: usize) -> anyhow::Result<()> {
    let victims = site.incarnations(node).await;
    let mut had = site.store.map_load().await?.shards;
    had.retain(|shard| shard.owner.is_some_and(|owner| victims.contains(&owner)));
    declare_dead(site, &victims).await?;
    timeout(CLAIMED_WITHIN, until_succeeded(site, &victims))
        .await
        .context("nobody takes over from a node that was declared dead")?;
    let told = until_told_by_owners(&site.database_url, &had, HEAD_START);
    // Without enough to do they have no head start, and nothing is noticed.
    timeout(HEAD_START_WITHIN, told).await.unwrap_or(Ok(()))?;
    Ok(())
}

async fn declare_dead(site: &Site, victims: &[NodeId]) -> anyhow::Result<()> {
    let nobody = NodeId(Uuid::nil());
    let mut observer = HeartbeatConnection::connect(&site.database_url, nobody, STATEMENT_LIMIT).await?;
    let beats = observer.peers().await?;
    for beat in beats.iter().filter(|beat| victims.contains(&beat.node_id)) {
        site.store.node_declare_dead(beat.node_id, beat.seq).await?;
    }
    Ok(())
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
