//! The cluster that is tried, as those see it who disturb it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use holdfast_domain::NodeId;
use holdfast_store::{NodeRow, NodeState, Store};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::releases::OtherRelease;
use crate::chaos::clocks::Clocks;
use crate::chaos::load::Clock;
use crate::chaos::network::Network;
use crate::cluster_file::{ClusterFile, ClusterNode};
use crate::probe::Probe;
use crate::shop::{Ask, Shop};
use crate::up::{Instance, Overrides};

/// How long a cluster may take to serve again once nothing is wrong any more.
const RECOVERED_WITHIN: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);
/// How long after a pause the others may still declare a node dead for it, which
/// was back before it heard: until its next heartbeat, and until they look.
const JUDGED_WITHIN: Duration = Duration::from_millis(600);

/// A cluster of this process's own.
#[derive(Clone, Debug)]
pub(in crate::chaos) struct Site {
    pub(in crate::chaos) cluster_file: PathBuf,
    pub(in crate::chaos) names: Vec<String>,
    pub(in crate::chaos) network: Network,
    pub(in crate::chaos) database: Instance,
    pub(in crate::chaos) database_url: String,
    /// The database, past the relays.
    pub(in crate::chaos) store: Store,
    pub(in crate::chaos) probe: Probe,
    pub(in crate::chaos) shop: Shop,
    pub(in crate::chaos) products: Vec<Uuid>,
    pub(in crate::chaos) clock: Clock,
    /// The nodes' wall clocks, if they can be moved.
    pub(in crate::chaos) clocks: Option<Clocks>,
    /// What the nodes are launched with.
    pub(in crate::chaos) overrides: Overrides,
    /// What a node changes to, and back from.
    pub(in crate::chaos) other_release: OtherRelease,
}

impl Site {
    /// Finds a node as it is now.
    pub(super) fn node(&self, index: usize) -> anyhow::Result<ClusterNode> {
        let cluster = ClusterFile::read(&self.cluster_file)?;
        let node = cluster.nodes.into_iter().nth(index);
        node.with_context(|| format!("node {index} is not listed"))
    }

    /// Names the incarnations of a node that may have connections; none while
    /// the database does not answer.
    pub(super) async fn incarnations(&self, index: usize) -> Vec<NodeId> {
        let nodes = self.store.nodes().await.unwrap_or_default();
        nodes
            .into_iter()
            .filter(|node| node.name == self.names[index] && !node.state.is_over())
            .map(|node| node.node_id)
            .collect()
    }

    /// Sends a signal to a node's process, and tells which one that was.
    pub(super) fn signal(&self, index: usize, signal: Signal) -> anyhow::Result<u32> {
        let node = self.node(index)?;
        send(node.pid, signal).with_context(|| format!("cannot signal {}", node.name))?;
        Ok(node.pid)
    }

    /// Waits until a node has another process than `before`, which is ready.
    pub(super) async fn until_replaced(&self, index: usize, before: u32) -> anyhow::Result<()> {
        let wait = async {
            loop {
                let node = self.node(index)?;
                if node.pid != before && self.probe.is_ready(&node.ops).await {
                    return Ok(());
                }
                sleep(POLL).await;
            }
        };
        let name = &self.names[index];
        match timeout(RECOVERED_WITHIN, wait).await {
            Ok(done) => done,
            Err(_) => bail!("{name} is not back after {} s", RECOVERED_WITHIN.as_secs()),
        }
    }

    /// Waits until every node is an active member, is ready, and reads every
    /// product anew, whoever owns it, and goes on as the same incarnation.
    /// Returns since when that is so.
    pub(super) async fn until_served(&self) -> anyhow::Result<Duration> {
        let mut reason = String::new();
        let wait = async {
            loop {
                match self.look().await {
                    Ok(incarnations) => {
                        let served = self.clock.now();
                        sleep(JUDGED_WITHIN).await;
                        if self.look().await.is_ok_and(|later| later == incarnations) {
                            return served;
                        }
                    }
                    Err(error) => reason = format!("{error:#}"),
                }
                sleep(POLL).await;
            }
        };
        match timeout(RECOVERED_WITHIN, wait).await {
            Ok(at) => Ok(at),
            Err(_) => bail!(
                "not served again after {} s: {reason}",
                RECOVERED_WITHIN.as_secs()
            ),
        }
    }

    /// Names who serves, if everybody does.
    async fn look(&self) -> anyhow::Result<BTreeSet<NodeId>> {
        for node in ClusterFile::read(&self.cluster_file)?.nodes {
            if !self.probe.is_ready(&node.ops).await {
                bail!("{} is not ready", node.name);
            }
        }
        // A node that was declared dead may be the last to hear of it.
        let members = self.store.nodes().await?;
        let mut incarnations = BTreeSet::new();
        for name in &self.names {
            let is_it = |node: &&NodeRow| node.name == *name && node.state == NodeState::Active;
            let member = members.iter().find(is_it);
            let member = member.with_context(|| format!("{name} is no active member"))?;
            incarnations.insert(member.node_id);
        }
        let mut reads = JoinSet::new();
        for index in 0..self.shop.nodes() {
            for product in self.products.clone() {
                let shop = self.shop.clone();
                reads.spawn(async move {
                    let ask = Ask::get(format!("/v1/products/{product}/stock"));
                    let answer = shop.attempt(index, &ask).await?;
                    if !answer.status.is_success() {
                        bail!("node {index} answers {}", answer.status);
                    }
                    Ok(())
                });
            }
        }
        while let Some(read) = reads.join_next().await {
            read??;
        }
        Ok(incarnations)
    }
}

/// Sends a signal to the process `pid`; one that has ended needs none.
pub(super) fn send(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 1)
        .with_context(|| format!("{pid} is no process to signal"))?;
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
