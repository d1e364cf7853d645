//! The server's process: started, found ready, stopped.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::PostgresOptions;
use super::discovery::Installation;
use super::error::PostgresError;
use super::home::Home;
use crate::process::spawn_bound;

/// Replaying the log after a crash is bounded by `max_wal_size`; this is ten
/// times what that takes on a slow disk.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long a server whose launcher was killed may take to shut down.
const PREDECESSOR_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
/// What of a log goes into an error.
const TAIL_BYTES: usize = 2_000;
/// The line of `postmaster.pid`, from 0, that tells the server's state.
const STATUS_LINE: usize = 7;

/// A server's process; dropped, it is stopped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    program: PathBuf,
}

impl Server {
    /// Starts the server and waits until it answers.
    pub(super) fn start(
        installation: &Installation,
        home: &Home,
        options: &PostgresOptions,
    ) -> Result<Self, PostgresError> {
        make_way(&home.data())?;
        let program = installation.program("postgres");
        // The log of the run before tells why it ended, if there was one.
        let _ = fs::rename(home.log(), home.log().with_extension("log.1"));
        let log = File::create(home.log()).map_err(PostgresError::io("create", home.log()))?;
        let mut command = Command::new(&program);
        command.arg("-D").arg(home.data());
        command.arg("-k").arg(&home.sockets);
        for setting in settings(options) {
            command.arg("-c").arg(setting);
        }
        command
            .current_dir(&home.directory)
            .env_remove("PGDATA")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // An interrupt typed at the terminal is for the launcher, which
            // stops the server last.
            .process_group(0);
        home.account.run(&mut command);
        // SIGINT is PostgreSQL's fast shutdown.
        let child =
            spawn_bound(command, Signal::SIGINT).map_err(PostgresError::io("run", program.clone()))?;
        let mut server = Self { child, program };
        server.wait_until_ready(home)?;
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn exited(&mut self) -> Result<Option<ExitStatus>, PostgresError> {
        self.child
            .try_wait()
            .map_err(PostgresError::io("wait for", self.program.clone()))
    }

    /// Asks for a fast shutdown, then an immediate one, then kills.
    pub(super) fn stop(&mut self, patience: Duration) -> Result<(), PostgresError> {
        let steps = [
            (Signal::SIGINT, patience),
            (Signal::SIGQUIT, Duration::from_secs(1)),
            (Signal::SIGKILL, Duration::from_millis(300)),
        ];
        for (signal, patience) in steps {
            if self.exited()?.is_some() {
                return Ok(());
            }
            self.signal(signal);
            let deadline = Instant::now() + patience;
            while self.exited()?.is_none() && Instant::now() < deadline {
                thread::sleep(POLL);
            }
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // The child has not been waited for, so the pid is still its own.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn wait_until_ready(&mut self, home: &Home) -> Result<(), PostgresError> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = self.exited()? {
                return Err(PostgresError::Ended {
                    status: status.to_string(),
                    log: tail(&home.log()),
                });
            }
            if is_ready(home, self.pid()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(PostgresError::TimedOut {
                    seconds: READY_WITHIN.as_secs(),
                    log: tail(&home.log()),
                });
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop(Duration::from_secs(5)) {
            tracing::warn!(%error, "postgres may still run");
        }
    }
}

fn settings(options: &PostgresOptions) -> Vec<String> {
    let mut settings = vec![
        format!("port={}", Home::port()),
        format!("max_connections={}", options.max_connections),
    ];
    let fixed: &[&str] = &[
        "listen_addresses=",
        "unix_socket_permissions=0700",
        "shared_buffers=128MB",
        // They bound the replay after a crash: with the defaults it takes a
        // hundred times as long.
        "max_wal_size=512MB",
        "checkpoint_timeout=60s",
        "timezone=UTC",
        "log_timezone=UTC",
        // A statement's failure is its client's to tell.
        "log_min_messages=log",
        "log_checkpoints=off",
    ];
    let durability: &[&str] = if options.durable {
        &["fsync=on", "synchronous_commit=on", "full_page_writes=on"]
    } else {
        &["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
    };
    settings.extend(fixed.iter().chain(durability).map(ToString::to_string));
    settings
}

/// Tells whether the server with this pid takes connections.
fn is_ready(home: &Home, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(home.pid_file()) else {
        return false;
    };
    let mut lines = text.lines().map(str::trim);
    let own = lines.next() == Some(pid.to_string().as_str());
    let ready = text.lines().nth(STATUS_LINE).map(str::trim) == Some("ready");
    own && ready && UnixStream::connect(home.socket()).is_ok()
}

/// Deals with the `postmaster.pid` of a server before this one.
///
/// A server that still runs is one whose launcher was killed: it is shutting
/// down, and is waited for. A pid that belongs to another program by now would
/// stop Postgres from starting. The file itself stays: Postgres reads in it
/// whether orphans of the old server still use its shared memory.
fn make_way(data: &Path) -> Result<(), PostgresError> {
    let file = data.join("postmaster.pid");
    let deadline = Instant::now() + PREDECESSOR_WITHIN;
    loop {
        let Ok(text) = fs::read_to_string(&file) else {
            return Ok(());
        };
        let Some(pid) = text.lines().next().and_then(|pid| pid.trim().parse().ok()) else {
            return Ok(());
        };
        if kill(Pid::from_raw(pid), None) == Err(nix::errno::Errno::ESRCH) {
            return Ok(());
        }
        if !serves(pid, data) {
            // PostgreSQL takes its own parent's pid for stale.
            let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
            let text = format!("{}\n{rest}", std::process::id());
            return fs::write(&file, text).map_err(PostgresError::io("write", file));
        }
        if Instant::now() > deadline {
            return Err(PostgresError::InUse {
                data: data.to_path_buf(),
                pid,
            });
        }
        thread::sleep(POLL);
    }
}

/// Tells whether process `pid` is a server on the files in `data`: a server
/// stands in its data directory.
#[cfg(target_os = "linux")]
fn serves(pid: i32, data: &Path) -> bool {
    match fs::read_link(format!("/proc/{pid}/cwd")) {
        Ok(directory) => directory == data,
        // Another user's, or gone by now: the name has to do.
        Err(_) => fs::read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|name| name.trim().starts_with("postgres")),
    }
}

/// Tells whether process `pid` may be a server on the files in `data`; there
/// is no sure way to know here.
#[cfg(not(target_os = "linux"))]
fn serves(_pid: i32, _data: &Path) -> bool {
    true
}

/// The end of a log, for an error.
fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let start = bytes.len().saturating_sub(TAIL_BYTES);
    String::from_utf8_lossy(&bytes[start..]).trim().to_owned()
}
