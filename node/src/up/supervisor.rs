//! Keeping the nodes and the database running, and stopping them.
//!
//! One loop waits for whatever comes first: a child's end, a restart that is
//! due, a node that has become ready. Nothing in it blocks, so that the wish
//! to stop is heard at any time.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::{sleep, sleep_until, timeout};

use super::DATABASE_STOP;
use super::data_dir::DataDir;
use super::database::Database;
use super::member::{Launch, Member};
use super::plan::NodePlan;
use super::progress::Step;
use crate::cluster_file::ClusterFile;
use crate::probe::{Health, Probe};
use crate::signals::StopSignals;
use crate::terminal;

/// How often a node that is starting is asked whether it is ready.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// A node that dies this often before it was ever ready will not get ready.
const EARLY_DEATHS: u32 = 3;
/// What nodes get beyond their own limit for draining, to close up.
const DRAIN_MARGIN: Duration = Duration::from_millis(1500);
/// The longest that nodes get, whatever the settings say: everything together
/// has to be gone in ten seconds.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How long the kernel may take to end a killed process.
const KILL_WITHIN: Duration = Duration::from_millis(500);

/// The processes of a cluster on this machine.
#[derive(Debug)]
pub(super) struct Supervisor {
    members: Vec<Member>,
    launch: Launch,
    database: Database,
    cluster_file: PathBuf,
    /// Whether other tools have been told: not before all nodes are ready.
    is_published: bool,
    /// Whether a node that dies is started again.
    restart: bool,
    probe: Probe,
    child_ended: SignalStream,
}

impl Supervisor {
    /// Takes charge of `database` and launches a process for each of `plans`.
    pub(super) fn launch(
        plans: Vec<NodePlan>,
        launch: Launch,
        database: Database,
        data_dir: &DataDir,
        restart: bool,
    ) -> anyhow::Result<Self> {
        // Before the first launch, so that no child's end is missed.
        let child_ended = signal(SignalKind::child())?;
        let mut supervisor = Self {
            members: Vec::with_capacity(plans.len()),
            launch,
            database,
            cluster_file: data_dir.cluster_file(),
            is_published: false,
            restart,
            probe: Probe::new()?,
            child_ended,
        };
        for plan in plans {
            let log = data_dir.node_log(&plan.name);
            let name = plan.name.clone();
            let member = Member::launch(plan, log, &supervisor.launch)
                .with_context(|| format!("cannot launch {name}"))?;
            supervisor.members.push(member);
        }
        Ok(supervisor)
    }

    /// The nodes.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Waits until every node is ready, then tells other tools where they are.
    pub(super) async fn until_ready(&mut self, limit: Duration, step: &mut Step) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let ready = self.members.iter().filter(|m| m.is_ready()).count();
            step.update(format!("{ready} of {} ready", self.members.len()));
            if ready == self.members.len() {
                break;
            }
            tokio::select! {
                done = self.turn() => done?,
                () = sleep_until(deadline.into()) => return Err(self.too_late(limit).await),
            }
            self.give_up_on_hopeless()?;
        }
        self.is_published = true;
        self.publish()
    }

    /// Keeps everything running until it is dropped, or fails.
    pub(super) async fn supervise(&mut self) -> anyhow::Result<()> {
        loop {
            self.turn().await?;
        }
    }

    /// Waits for the next event and handles it. May be dropped at any await.
    async fn turn(&mut self) -> anyhow::Result<()> {
        let next_restart = self.members.iter().filter_map(Member::restart_at).min();
        let restart_due = async {
            match next_restart {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.child_ended.recv() => self.reap()?,
            () = restart_due => self.restart_due()?,
            () = self.database.tend() => {}
            index = next_ready(&self.probe, &self.members) => {
                let took = self.members[index].found_ready();
                tracing::info!(
                    node = self.members[index].plan.name,
                    took_ms = took.as_millis(),
                    "ready"
                );
            }
        }
        Ok(())
    }

    /// Looks at every child: several ends may have come as one signal.
    fn reap(&mut self) -> anyhow::Result<()> {
        self.database.reap();
        for member in &mut self.members {
            let Some(death) = member.reap()? else {
                continue;
            };
            let name = &member.plan.name;
            let status = death.status;
            if self.restart {
                let name = name.clone();
                let wait = member.schedule(death.ran).as_millis();
                terminal::remark(format_args!(
                    "{name} ended ({status}); starting it again in {wait} ms"
                ));
            } else {
                terminal::remark(format_args!("{name} ended ({status}); leaving it so"));
            }
        }
        Ok(())
    }

    fn restart_due(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        for member in &mut self.members {
            if member.restart_at().is_some_and(|at| at <= now)
                && let Err(error) = member.start(&self.launch)
            {
                let wait = member.schedule(Duration::ZERO).as_millis();
                let name = &member.plan.name;
                terminal::remark(format_args!(
                    "{name} cannot be started ({error}); trying again in {wait} ms"
                ));
            }
        }
        self.publish()
    }

    /// Writes down where the nodes are and which processes they have.
    fn publish(&self) -> anyhow::Result<()> {
        if !self.is_published {
            return Ok(());
        }
        let file = ClusterFile {
            database_url: self.database.url().to_owned(),
            nodes: self.members.iter().map(Member::describe).collect(),
        };
        file.write(&self.cluster_file)
            .with_context(|| format!("cannot write {}", self.cluster_file.display()))
    }

    fn give_up_on_hopeless(&self) -> anyhow::Result<()> {
        let allowed = if self.restart { EARLY_DEATHS } else { 1 };
        match self.members.iter().find(|m| m.early_deaths >= allowed) {
            None => Ok(()),
            Some(member) => bail!(
                "{} ended before it was ready; its log says\n{}",
                member.plan.name,
                member.last_words()
            ),
        }
    }

    async fn too_late(&self, limit: Duration) -> anyhow::Error {
        let mut reasons = Vec::new();
        for member in self.members.iter().filter(|m| !m.is_ready()) {
            let reason = match self.probe.health(&member.describe().ops).await {
                Health::Ready => continue,
                Health::NotReady(reason) | Health::Unreachable(reason) => reason,
            };
            reasons.push(format!("{}: {reason}", member.plan.name));
        }
        anyhow::anyhow!("not ready after {} s\n{}", limit.as_secs(), reasons.join("\n"))
    }

    /// Lets the nodes drain, which they do within `limit`; kills what is left, then stops
    /// the database. A second wish to stop cuts the draining short.
    pub(super) async fn stop(mut self, limit: Duration, signals: &mut StopSignals) -> anyhow::Result<()> {
        for member in &self.members {
            member.signal(Signal::SIGTERM);
        }
        let patience = (limit + DRAIN_MARGIN).min(DRAIN_MAX);
        let drained = tokio::select! {
            drained = timeout(patience, self.all_gone()) => drained.is_ok(),
            _ = signals.next() => false,
        };
        if !drained {
            for member in self.members.iter().filter(|m| m.is_running()) {
                terminal::remark(format_args!("{} has not drained; killing it", member.plan.name));
                member.signal(Signal::SIGKILL);
            }
            // What the kernel cannot end in this time ends with this process.
            let _ = timeout(KILL_WITHIN, self.all_gone()).await;
        }
        let _ = std::fs::remove_file(&self.cluster_file);
        self.database.stop(DATABASE_STOP).await?;
        Ok(())
    }

    async fn all_gone(&mut self) {
        loop {
            for member in &mut self.members {
                // A child that cannot be waited for is none of ours any more.
                let _ = member.reap();
            }
            if !self.members.iter().any(Member::is_running) {
                return;
            }
            self.child_ended.recv().await;
        }
    }
}

/// Waits until one of the starting nodes is ready; for ever if none starts.
async fn next_ready(probe: &Probe, members: &[Member]) -> usize {
    if !members.iter().any(Member::awaits_readiness) {
        std::future::pending::<()>().await;
    }
    loop {
        for (index, member) in members.iter().enumerate() {
            if member.awaits_readiness() && probe.is_ready(&member.describe().ops).await {
                return index;
            }
        }
        sleep(PROBE_EVERY).await;
    }
}
