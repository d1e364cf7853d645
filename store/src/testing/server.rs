//! One Postgres server in a directory of its own.

use std::{
    fs::{self, File},
    io,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{self, Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::programs::Programs;
use crate::pool::MIGRATIONS;

/// How long a server may take to start.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How often its progress is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Runs the server given as arguments until the input ends, then stops it at once; `$1` is a directory
/// to remove afterwards, or empty.
const KEEPER: &str = r#"
rubbish=$1; shift
"$@" </dev/null & server=$!
while read -r _; do :; done
kill -QUIT "$server"; wait "$server"
[ -z "$rubbish" ] || rm -rf "$rubbish"
"#;

/// What a server is told: nothing that tests write need outlive a crash.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_connections=100",
    "shared_buffers=32MB",
    "timezone=UTC",
];

/// The directory of all test servers of a user.
pub(super) struct Home {
    path: PathBuf,
    /// Names the data from which servers start; another version or migration has another one.
    template: String,
}

impl Home {
    pub(super) fn open(programs: &Programs) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("holdfast-pg-{}", programs.uid()));
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        give(&path, programs)?;
        let mut fingerprint = programs.version()?.into_bytes();
        for migration in MIGRATIONS.iter() {
            fingerprint.extend_from_slice(&migration.checksum);
        }
        let template = format!("template-{:016x}", fnv(&fingerprint));
        Ok(Self { path, template })
    }

    pub(super) fn template(&self) -> PathBuf {
        self.path.join(&self.template)
    }

    /// Waits until no other process prepares a template; the lock ends with the returned file.
    pub(super) fn lock(&self) -> io::Result<File> {
        let file = File::create(self.path.join("lock"))?;
        file.lock()?;
        Ok(file)
    }
}

/// A server that runs until this process ends.
#[derive(Debug)]
pub(super) struct Server {
    folder: PathBuf,
    keeper: Child,
}

impl Server {
    /// Makes the data of a new server and starts it.
    pub(super) fn initialise(programs: &Programs, home: &Home) -> io::Result<Self> {
        let folder = new_folder(programs, home)?;
        let mut initdb = programs.command("initdb");
        initdb
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"])
            .args(["--wal-segsize=1", "-D"])
            .arg(folder.join("data"))
            .current_dir(&folder);
        let output = initdb.output()?;
        if !output.status.success() {
            return Err(io::Error::other(
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ));
        }
        Self::run(programs, folder)
    }

    /// Starts a server on a copy of prepared data.
    pub(super) fn start(programs: &Programs, home: &Home, template: &Path) -> io::Result<Self> {
        let folder = new_folder(programs, home)?;
        let mut copy = programs.command("/bin/cp");
        copy.arg("-R").arg(template).arg(folder.join("data"));
        if !copy.status()?.success() {
            return Err(io::Error::other("the prepared data could not be copied"));
        }
        Self::run(programs, folder)
    }

    fn run(programs: &Programs, folder: PathBuf) -> io::Result<Self> {
        let data = folder.join("data");
        let mut keeper = programs.command("/bin/sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(&folder);
        keeper
            .arg(programs.path("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&folder);
        for setting in SETTINGS {
            keeper.args(["-c", setting]);
        }
        keeper
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("log"))?)
            // Out of reach of signals to the tests' group: the end of input is what stops it.
            .process_group(0);
        let server = Self {
            keeper: keeper.spawn()?,
            folder,
        };
        let started = Instant::now();
        while !is_ready(&data) {
            if started.elapsed() > START_LIMIT {
                let log = fs::read_to_string(server.folder.join("log")).unwrap_or_default();
                return Err(io::Error::new(io::ErrorKind::TimedOut, log));
            }
            thread::sleep(POLL);
        }
        Ok(server)
    }

    /// Stops the server and keeps its data as `template`.
    pub(super) fn stop_into(mut self, template: &Path) -> io::Result<()> {
        let data = self.folder.join("data");
        let pid_file = data.join("postmaster.pid");
        let pid = fs::read_to_string(&pid_file)?;
        let pid = pid.lines().next().and_then(|line| line.parse().ok());
        let pid = pid.ok_or_else(|| io::Error::other("the server's pid file has no pid"))?;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGINT)?;
        let stopping = Instant::now();
        while pid_file.exists() {
            if stopping.elapsed() > START_LIMIT {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(POLL);
        }
        // Moved away before the keeper removes what is left.
        fs::rename(&data, template)?;
        drop(self.keeper.stdin.take());
        self.keeper.wait()?;
        Ok(())
    }

    pub(super) fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@localhost/{database}?host={}",
            self.folder.display()
        )
    }
}

fn new_folder(programs: &Programs, home: &Home) -> io::Result<PathBuf> {
    let folder = home.path.join(process::id().to_string());
    if folder.exists() {
        // Of a process that had this id before.
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir(&folder)?;
    give(&folder, programs)?;
    Ok(folder)
}

/// Makes the server's user the owner of a directory.
fn give(folder: &Path, programs: &Programs) -> io::Result<()> {
    match programs.runner() {
        Some((user, group)) => chown(folder, Some(user), Some(group)),
        None => Ok(()),
    }
}

/// Tells whether the server accepts connections: the eighth line of its pid file says so.
fn is_ready(data: &Path) -> bool {
    fs::read_to_string(data.join("postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
}

/// Returns a short fingerprint (FNV-1a): of versions, not of secrets.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
