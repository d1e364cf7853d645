//! Killing nodes, one at a time.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tokio::time::sleep;

use super::ChaosOptions;
use super::distribution::Distribution;
use crate::cluster_file::ClusterFile;
use crate::probe::Probe;
use crate::terminal;

/// How long a killed node may take to come back.
const BACK_WITHIN: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// Kills a random node each time that all are back, until the load ends.
/// Returns how long each was away.
pub(super) async fn kill(
    cluster_file: &Path,
    options: &ChaosOptions,
    mut rng: StdRng,
) -> anyhow::Result<Distribution> {
    let probe = Probe::new()?;
    let end = Instant::now() + options.duration;
    let mut away = Vec::new();
    loop {
        sleep(options.kill_every).await;
        if Instant::now() >= end {
            return Ok(Distribution::of(away));
        }
        let cluster = ClusterFile::read(cluster_file)?;
        let Some(victim) = cluster.nodes.choose(&mut rng) else {
            bail!("the cluster has no nodes");
        };
        let pid = i32::try_from(victim.pid)
            .ok()
            .filter(|pid| *pid > 1)
            .with_context(|| format!("{} has no pid that can be killed", victim.name))?;
        let killed = Instant::now();
        match send(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) => {}
            // It died by itself; its launcher is about to say so.
            Err(Errno::ESRCH) => continue,
            Err(error) => return Err(error).context(format!("cannot kill {}", victim.name)),
        }
        let took = wait_until_back(cluster_file, &probe, &victim.name, victim.pid, killed).await?;
        terminal::remark(format_args!(
            "killed {} (pid {pid}); back after {} ms",
            victim.name,
            took.as_millis()
        ));
        away.push(took);
    }
}

async fn wait_until_back(
    cluster_file: &Path,
    probe: &Probe,
    name: &str,
    old_pid: u32,
    killed: Instant,
) -> anyhow::Result<Duration> {
    while killed.elapsed() < BACK_WITHIN {
        sleep(POLL).await;
        let cluster = ClusterFile::read(cluster_file)?;
        let Some(node) = cluster.nodes.iter().find(|node| node.name == name) else {
            bail!("{name} is no longer listed");
        };
        if node.pid != old_pid && probe.is_ready(&node.ops).await {
            return Ok(killed.elapsed());
        }
    }
    bail!(
        "{name} was not back {} s after it was killed",
        BACK_WITHIN.as_secs()
    )
}
