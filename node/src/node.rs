//! One node of a cluster, as a process: joined, served, and left in good
//! order.
//!
//! Invariant: at most one incarnation runs at a time. A node that others have
//! declared dead ends all it was doing before it joins anew.

mod options;

use std::time::Duration;

use anyhow::Context;
use holdfast_actors::{Ended, Node};
use holdfast_http::{Edge, EdgeHandle};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

pub use options::{hashing_options, node_options};

use crate::config::{Config, TimeoutSettings};
use crate::signals::StopSignals;
use crate::up::NodePlan;
use options::edge_options;

/// What is left of a stop after draining: closing sessions and connections.
const STOP_MARGIN: Duration = Duration::from_secs(1);

/// Runs the node that `plan` describes until a signal asks to stop.
pub async fn run(config: &Config, plan: &NodePlan) -> anyhow::Result<()> {
    let mut signals = StopSignals::install()?;
    raise_file_limit();
    let mut superseded = 0;
    loop {
        let (node, edge) = tokio::select! {
            started = start(config, plan, superseded) => started?,
            _ = signals.next() => return Ok(()),
        };
        tokio::select! {
            ended = node.ended() => match ended {
                Ended::Superseded => {
                    superseded += 1;
                    tracing::warn!("declared dead by the others; joining anew");
                    // Whatever was in progress belongs to other owners now.
                    edge.shutdown(Duration::ZERO).await;
                    node.finish().await;
                }
                Ended::Stopped => return Ok(()),
            },
            signal = signals.next() => {
                tracing::info!(signal, "draining");
                let left = leave(edge, &node, &config.timeouts);
                let limit = config.timeouts.drain_notice + config.timeouts.drain + STOP_MARGIN;
                if timeout(limit, left).await.is_err() {
                    // Nothing acknowledged is lost: the others take over as
                    // they would after a crash.
                    tracing::warn!("did not drain in time; leaving all the same");
                }
                return Ok(());
            }
        }
    }
}

/// Hands the shards over while the edge still answers, and says for a while
/// that it is not ready; then lets requests finish, and leaves.
async fn leave(edge: EdgeHandle, node: &Node, timeouts: &TimeoutSettings) {
    node.begin_draining();
    tokio::join!(sleep(timeouts.drain_notice), node.drain());
    edge.shutdown(timeouts.drain).await;
    node.stop().await;
}

async fn start(config: &Config, plan: &NodePlan, superseded: u64) -> anyhow::Result<(Node, EdgeHandle)> {
    let edge = edge_options(config)?;
    // Before joining: a node that cannot be asked anything must not own shards.
    let api = match plan.api {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let ops = listen(plan.ops).await?;
    let node = Node::start(node_options(config, plan)?)
        .await
        .context("cannot join the cluster")?;
    crate::metrics::register(&node.client().metrics(), superseded)?;
    let edge = Edge::start(edge, node.client(), api, ops)
        .await
        .context("cannot serve HTTP")?;
    Ok((node, edge))
}

async fn listen(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// Allows as many open files as the system lets us: each connection is one,
/// and the usual limit of 1024 is less than one listener takes.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
