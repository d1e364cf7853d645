//! Faults of nodes: their death, their standing still, their being cut off.

use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::Signal;
use tokio::time::{sleep, timeout};

use super::site::{Site, send};
use super::{Fault, FaultKind, Victim};
use crate::chaos::network::{Flow, Place, Way};

/// More than a heartbeat, less than what a few orders take.
const SENT_BYTES: u64 = 1_500;
/// Much less than a node waits for the database before it worries.
const SENDS_WITHIN: Duration = Duration::from_millis(300);
const CLOCK_SHIFT_S: i64 = 3_600;

/// Lets a paused process go on, whatever becomes of whoever paused it.
pub(super) struct Paused(pub(super) u32);

impl Drop for Paused {
    fn drop(&mut self) {
        // If it has ended meanwhile, there is nothing to go on.
        let _ = send(self.0, Signal::SIGCONT);
    }
}

pub(super) async fn kill(site: &Site, node: usize) -> anyhow::Result<()> {
    let pid = site.signal(node, Signal::SIGKILL)?;
    site.until_replaced(node, pid).await
}

pub(super) async fn pause(site: &Site, node: usize, lasts: Duration) -> anyhow::Result<()> {
    let paused = Paused(site.signal(node, Signal::SIGSTOP)?);
    sleep(lasts).await;
    drop(paused);
    Ok(())
}

/// Pauses a node between something that it sends to the database and what it
/// hears about that.
pub(super) async fn pause_sent(site: &Site, node: usize, lasts: Duration) -> anyhow::Result<()> {
    let there = (Place::Node(node), Place::Database);
    let answers = site.network.block(vec![(there.1, there.0)], Flow::Held);
    // A node with nothing to send is paused as well.
    let _ = timeout(SENDS_WITHIN, site.network.until_passed(there, SENT_BYTES)).await;
    let paused = site.signal(node, Signal::SIGSTOP).map(Paused);
    site.network.release(answers);
    let paused = paused?;
    sleep(lasts).await;
    drop(paused);
    Ok(())
}

/// Has a node believe for a while that it is an hour earlier or later.
pub(super) async fn shift_clock(site: &Site, fault: &Fault) -> anyhow::Result<()> {
    let clocks = site.clocks.as_ref().context("no clock can be moved here")?;
    let name = &site.names[fault.node];
    let ahead_s = if fault.backwards {
        -CLOCK_SHIFT_S
    } else {
        CLOCK_SHIFT_S
    };
    clocks.set(name, ahead_s)?;
    sleep(fault.lasts).await;
    clocks.set(name, 0)?;
    Ok(())
}

/// Restarts every node in good order. Returns who was away when.
pub(super) async fn roll(site: &Site, victims: &mut Vec<Victim>) -> anyhow::Result<()> {
    for node in 0..site.names.len() {
        let from = site.clock.now();
        let pid = site.signal(node, Signal::SIGTERM)?;
        let replaced = site.until_replaced(node, pid).await;
        let to = site.clock.now();
        victims.push(Victim { node, from, to });
        replaced?;
    }
    Ok(())
}

pub(super) async fn partition(site: &Site, fault: &Fault) {
    let flow = if fault.cuts && fault.kind != FaultKind::OneWay {
        Flow::Cut
    } else {
        Flow::Held
    };
    let block = site.network.block(ways(fault, site.names.len()), flow);
    sleep(fault.lasts).await;
    site.network.release(block);
}

/// The ways that a fault blocks.
pub(super) fn ways(fault: &Fault, nodes: usize) -> Vec<Way> {
    let node = Place::Node(fault.node);
    let both = |one, other| [(one, other), (other, one)];
    match fault.kind {
        FaultKind::OneWay => vec![(node, Place::Node(fault.other))],
        FaultKind::TwoWay => both(node, Place::Node(fault.other)).into(),
        FaultKind::NoDatabase => both(node, Place::Database).into(),
        _ => (0..nodes)
            .filter(|peer| *peer != fault.node)
            .flat_map(|peer| both(node, Place::Node(peer)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Place, Way, ways};
    use crate::chaos::faults::{Fault, FaultKind};

    /// The ways that a fault of node 0, and node 2, blocks among three nodes.
    fn blocked(kind: FaultKind) -> Vec<Way> {
        let fault = Fault {
            kind,
            node: 0,
            other: 2,
            lasts: Duration::ZERO,
            cuts: false,
            backwards: false,
        };
        ways(&fault, 3)
    }

    #[test]
    fn one_way_leaves_the_way_back_open() {
        assert_eq!(blocked(FaultKind::OneWay), [(Place::Node(0), Place::Node(2))]);
    }

    #[test]
    fn an_isolated_node_reaches_the_database_and_no_peer() {
        let ways = blocked(FaultKind::Isolate);
        assert_eq!(ways.len(), 4);
        assert!(
            ways.iter()
                .all(|(from, to)| *from != Place::Database && *to != Place::Database)
        );
    }

    #[test]
    fn a_node_without_a_database_reaches_its_peers() {
        let ways = blocked(FaultKind::NoDatabase);
        assert_eq!(
            ways,
            [
                (Place::Node(0), Place::Database),
                (Place::Database, Place::Node(0))
            ]
        );
    }
}
