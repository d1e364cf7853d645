//! One node's process: launched, watched, stopped.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::backoff::Backoff;
use super::log_file;
use super::overrides::Overrides;
use super::plan::NodePlan;
use crate::cluster_file::{ClusterNode, base_url};
use crate::config::Secret;
use crate::process::spawn_bound;

/// What this process knows and a node must not.
const NOT_FOR_NODES: [&str; 3] = [
    "HOLDFAST_ADMIN_EMAIL",
    "HOLDFAST_ADMIN_PASSWORD",
    "HOLDFAST_PASSWORD",
];

/// How nodes are launched.
#[derive(Debug)]
pub(super) struct Launch {
    /// This program.
    pub(super) program: PathBuf,
    /// The settings' file, if there is one.
    pub(super) config: Option<PathBuf>,
    /// The database. Handed over by the environment, which other users cannot
    /// read: it may hold a password.
    pub(super) database_url: String,
    /// The file with the cluster's secret.
    pub(super) cookie_file: PathBuf,
    /// Where mail is spooled, if the settings say nothing about mail.
    pub(super) mail_dir: Option<PathBuf>,
    /// More settings, for all nodes alike.
    pub(super) variables: Vec<(String, String)>,
    /// What single nodes are launched with instead, or besides.
    pub(super) overrides: Overrides,
}

impl Launch {
    fn command(&self, plan: &NodePlan) -> Command {
        let particular = self.overrides.of(&plan.name);
        let mut command = Command::new(particular.program.as_ref().unwrap_or(&self.program));
        command.arg("node");
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        let roles: Vec<&str> = plan.roles.iter().map(|role| role.name()).collect();
        let arguments = [
            ("--name", Some(plan.name.clone())),
            ("--roles", Some(roles.join(","))),
            ("--api", plan.api.map(|api| api.to_string())),
            ("--ops", Some(plan.ops.to_string())),
            ("--link", Some(plan.link.to_string())),
            ("--advertise", plan.advertise.clone()),
        ];
        for (flag, value) in arguments {
            if let Some(value) = value {
                command.arg(flag).arg(value);
            }
        }
        if let Some(mail_dir) = &self.mail_dir {
            command.env("HOLDFAST_MAIL__SPOOL_DIR", mail_dir);
        }
        for variable in NOT_FOR_NODES {
            command.env_remove(variable);
        }
        let database_url = plan.database_url.as_ref();
        command
            .envs(self.variables.iter().map(|(name, text)| (name, text)))
            .envs(particular.variables)
            .env(
                "HOLDFAST_DATABASE_URL",
                database_url.map_or(self.database_url.as_str(), Secret::reveal),
            )
            .env("HOLDFAST_CLUSTER__COOKIE_FILE", &self.cookie_file)
            .stdin(Stdio::null())
            // An interrupt typed at the terminal is for the launcher, which
            // stops the nodes in good order.
            .process_group(0);
        command
    }
}

/// A node that is to run.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) plan: NodePlan,
    log: PathBuf,
    pid: u32,
    state: State,
    backoff: Backoff,
    /// Deaths before the node was ever ready.
    pub(super) early_deaths: u32,
    was_ready: bool,
}

#[derive(Debug)]
enum State {
    Running {
        child: Child,
        since: Instant,
        ready: bool,
    },
    /// Dead; started again at this time, if at all.
    Dead { restart_at: Option<Instant> },
}

/// A process that ended without being asked to.
#[derive(Debug)]
pub(super) struct Death {
    pub(super) status: ExitStatus,
    pub(super) ran: Duration,
}

impl Member {
    pub(super) fn launch(plan: NodePlan, log: PathBuf, launch: &Launch) -> io::Result<Self> {
        // Each run of the cluster begins a log of its own.
        log_file::rotate(&log)?;
        let mut member = Self {
            plan,
            log,
            pid: 0,
            state: State::Dead { restart_at: None },
            backoff: Backoff::default(),
            early_deaths: 0,
            was_ready: false,
        };
        member.start(launch)?;
        Ok(member)
    }

    /// Starts the process, the first time or again.
    pub(super) fn start(&mut self, launch: &Launch) -> io::Result<()> {
        let (output, input) = io::pipe()?;
        let mut command = launch.command(&self.plan);
        command.stdout(input.try_clone()?).stderr(input);
        log_file::collect(self.log.clone(), output)?;
        // A node that is killed loses nothing it has acknowledged, so without
        // its launcher it had better go at once.
        let child = spawn_bound(command, Signal::SIGKILL)?;
        self.pid = child.id();
        self.state = State::Running {
            child,
            since: Instant::now(),
            ready: false,
        };
        Ok(())
    }

    /// Tells whether the process has ended since the last call.
    pub(super) fn reap(&mut self) -> io::Result<Option<Death>> {
        let State::Running { child, since, .. } = &mut self.state else {
            return Ok(None);
        };
        let Some(status) = child.try_wait()? else {
            return Ok(None);
        };
        let ran = since.elapsed();
        self.state = State::Dead { restart_at: None };
        if !self.was_ready {
            self.early_deaths += 1;
        }
        Ok(Some(Death { status, ran }))
    }

    /// Plans the next start of a process that ended after `ran`, and tells how
    /// far away it is.
    pub(super) fn schedule(&mut self, ran: Duration) -> Duration {
        let wait = self.backoff.after(ran, rand::random());
        self.state = State::Dead {
            restart_at: Some(Instant::now() + wait),
        };
        wait
    }

    /// When the next start is due, if one is planned.
    pub(super) fn restart_at(&self) -> Option<Instant> {
        match self.state {
            State::Dead { restart_at } => restart_at,
            State::Running { .. } => None,
        }
    }

    /// Whether the process runs and has not been seen ready yet.
    pub(super) fn awaits_readiness(&self) -> bool {
        matches!(self.state, State::Running { ready: false, .. })
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Running { ready: true, .. })
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Notes that the node is ready, and tells how long its process took.
    pub(super) fn found_ready(&mut self) -> Duration {
        self.was_ready = true;
        match &mut self.state {
            State::Running { since, ready, .. } => {
                *ready = true;
                since.elapsed()
            }
            State::Dead { .. } => Duration::ZERO,
        }
    }

    /// Sends `signal` to the process if it runs.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.is_running() {
            return;
        }
        if let Ok(pid) = i32::try_from(self.pid) {
            // Not waited for yet, so the pid is still the child's own.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Quotes the end of the node's log.
    pub(super) fn last_words(&self) -> String {
        log_file::tail(&self.log, 12)
    }

    /// Describes the node to other tools.
    pub(super) fn describe(&self) -> ClusterNode {
        ClusterNode {
            name: self.plan.name.clone(),
            pid: self.pid,
            api: self.plan.api.map(base_url),
            ops: base_url(self.plan.ops),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use nix::sys::signal::Signal;

    use super::{Launch, Member, Overrides};
    use crate::config::Config;
    use crate::up::plan;

    /// Launches the first node, as which `script` runs.
    fn launch(directory: &Path, script: &str) -> (Member, Launch) {
        let program = directory.join("program");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let launch = Launch {
            program,
            config: Some("/srv/cluster.toml".into()),
            database_url: "postgres://shop:hunter2@db/shop".to_owned(),
            cookie_file: "/srv/cookie".into(),
            mail_dir: None,
            variables: Vec::new(),
            overrides: Overrides::default(),
        };
        let plan = plan(&Config::default(), Some(1), None).unwrap().remove(0);
        let member = Member::launch(plan, directory.join("n1.log"), &launch).unwrap();
        (member, launch)
    }

    fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            assert!(Instant::now() < deadline, "it did not happen in time");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_node_learns_secrets_from_its_environment_and_never_from_its_arguments() {
        let directory = tempfile::tempdir().unwrap();
        let script = "echo \"arguments: $*\"; echo \"url: $HOLDFAST_DATABASE_URL\" >&2";
        let (mut member, _) = launch(directory.path(), script);
        eventually(|| member.reap().unwrap());
        let log = eventually(|| {
            let log = member.last_words();
            log.contains("url: ").then_some(log)
        });
        let arguments = log.lines().find(|line| line.starts_with("arguments: ")).unwrap();
        assert!(
            arguments.contains("node --config /srv/cluster.toml --name n1"),
            "{arguments}"
        );
        assert!(!arguments.contains("hunter2"), "{arguments}");
        assert!(log.contains("url: postgres://shop:hunter2@db/shop"), "{log}");
    }

    #[test]
    fn a_node_that_died_is_started_again_under_another_pid() {
        let directory = tempfile::tempdir().unwrap();
        let (mut member, launch) = launch(directory.path(), "exec sleep 30");
        let first = member.describe().pid;
        assert!(member.awaits_readiness());
        member.signal(Signal::SIGKILL);
        let death = eventually(|| member.reap().unwrap());
        assert!(!member.is_running());
        member.schedule(death.ran);
        assert!(member.restart_at().is_some());
        member.start(&launch).unwrap();
        assert_ne!(member.describe().pid, first);
        member.signal(Signal::SIGKILL);
        eventually(|| member.reap().unwrap());
    }
}
