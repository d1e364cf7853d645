//! Where a cluster is launched: a directory and ports of its own.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    net::TcpListener,
    ops::Range,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use holdfast_node::process::spawn_bound;
use nix::{sys::signal::Signal, unistd::User};
use tempfile::TempDir;

use super::process::wait_for_end;

/// How long a command may take that does not serve.
const COMMAND_WITHIN: Duration = Duration::from_mins(2);
/// Nodes that there are ports for.
const NODES_MAX: u16 = 5;
/// What lies between a node's API, its operators' listener and its link.
const PORT_STEP: u16 = 1_000;
/// Ports below those that the kernel gives away.
const OURS_TO_TAKE: Range<u16> = 11_000..30_000;
/// What a variable's name begins with if it concerns the program under test.
const OURS: &str = "HOLDFAST_";
/// The variables that may come from outside: where Postgres is, and what is logged.
const MAY_PASS: [&str; 2] = ["HOLDFAST_PG_BIN", "HOLDFAST_LOG"];

/// A directory and ports, for one cluster at a time. Dropped, it is removed.
pub(crate) struct Site {
    directory: TempDir,
    base_port: u16,
    user: Option<User>,
    program: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Site {
    /// Makes a site for whoever runs the tests.
    pub(crate) fn new() -> Self {
        Self {
            // Open to the user that runs Postgres, who is another one if root tests.
            directory: tempfile::Builder::new()
                .prefix("holdfast-up-")
                .permissions(Permissions::from_mode(0o755))
                .tempdir()
                .expect("a directory"),
            base_port: free_base_port(),
            user: None,
            program: PathBuf::from(env!("CARGO_BIN_EXE_holdfast")),
            variables: Vec::new(),
        }
    }

    /// Makes a site for another user, as which root can run programs.
    pub(crate) fn of(user: User) -> Self {
        let mut site = Self::new();
        chown(
            site.directory.path(),
            Some(user.uid.as_raw()),
            Some(user.gid.as_raw()),
        )
        .expect("root may give directories away");
        site.user = Some(user);
        if site.command(&["--version"]).output().is_err() {
            // The build is where that user cannot enter.
            let copy = site.path("holdfast");
            fs::copy(&site.program, &copy).expect("room for a copy of the program");
            site.program = copy;
        }
        site
    }

    /// Adds a variable to the environment of whatever runs here.
    pub(crate) fn with_variable(mut self, name: &'static str, text: &str) -> Self {
        self.variables.push((name, text.to_owned()));
        self
    }

    /// Names something in the site's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Names the cluster's data directory, which need not exist.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// Returns the first node's API port; the others' count up from it.
    pub(crate) fn base_port(&self) -> u16 {
        self.base_port
    }

    /// Returns a command of the program under test, which sees no settings but the tests' own.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let is_ours = name.to_str().is_some_and(|name| name.starts_with(OURS));
            if is_ours && !MAY_PASS.iter().any(|passes| name == *passes) {
                command.env_remove(name);
            }
        }
        command.env("HOLDFAST_LIMITS__ENABLED", "false");
        for (name, text) in &self.variables {
            command.env(name, text);
        }
        if let Some(user) = &self.user {
            command
                .uid(user.uid.as_raw())
                .gid(user.gid.as_raw())
                .env("HOME", self.directory.path())
                .env("USER", &user.name)
                .env("LOGNAME", &user.name);
        }
        command
    }

    /// Returns the arguments that launch a cluster here.
    pub(crate) fn up(&self, more: &[&str]) -> Vec<String> {
        let data_dir = self.data_dir();
        let data_dir = data_dir.to_str().expect("a path of ours is plain");
        let base_port = self.base_port.to_string();
        ["up", "--data-dir", data_dir, "--base-port", &base_port]
            .iter()
            .chain(more)
            .map(ToString::to_string)
            .collect()
    }

    /// Runs a command to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Output {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn_bound(command, Signal::SIGKILL).expect("the program starts");
        let ended = wait_for_end(&mut child, COMMAND_WITHIN);
        if ended.is_none() {
            child.kill().expect("a child of ours");
        }
        let output = child.wait_with_output().expect("a child of ours");
        assert!(ended.is_some(), "it did not end: {output:?}");
        output
    }

    /// Reads a file in the site's directory; empty if there is none.
    pub(super) fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.directory.path().join(path);
        let bytes = fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Finds a port that is free together with all those that a cluster derives from it.
///
/// They are below those that the kernel gives to whoever does not mind, so nobody takes one by chance
/// before the cluster does.
fn free_base_port() -> u16 {
    let all_free =
        |base: &u16| (0..3).all(|step| (0..NODES_MAX).all(|node| is_free(base + step * PORT_STEP + node)));
    (0..1_000)
        .map(|_| rand::random_range(OURS_TO_TAKE))
        .find(all_free)
        .expect("some ports are free")
}

/// Finds one port of the same kind, for a program beside the cluster.
pub(crate) fn free_port() -> u16 {
    (0..1_000)
        .map(|_| rand::random_range(OURS_TO_TAKE))
        .find(|port| is_free(*port))
        .expect("some ports are free")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
