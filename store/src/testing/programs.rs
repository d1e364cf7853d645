//! Finds PostgreSQL's programs, and the user that may run them.

use std::{
    env, fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use nix::unistd::{Uid, User, geteuid};

/// PostgreSQL's programs and who runs them.
pub(super) struct Programs {
    folder: PathBuf,
    /// The user and group of the server; `None`: whoever runs the tests.
    runner: Option<(u32, u32)>,
}

impl Programs {
    /// Looks in `HOLDFAST_PG_BIN`, in PATH, and for the newest that a package has installed.
    pub(super) fn find() -> io::Result<Self> {
        let folder = match env::var_os("HOLDFAST_PG_BIN") {
            Some(folder) => Some(PathBuf::from(folder)).filter(|folder| is_complete(folder)),
            None => in_path().or_else(newest_package),
        };
        let folder = folder.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "no folder with initdb and postgres was found",
            )
        })?;
        let runner = if geteuid().is_root() {
            Some(unprivileged()?)
        } else {
            None
        };
        Ok(Self { folder, runner })
    }

    /// Makes a command that runs `program`, as the server's user.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.env_remove("PGDATA");
        if let Some((user, group)) = self.runner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Returns the path of one of PostgreSQL's programs.
    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// Returns the server's user and group, if it is not whoever runs the tests.
    pub(super) const fn runner(&self) -> Option<(u32, u32)> {
        self.runner
    }

    /// Returns the id of the server's user.
    pub(super) fn uid(&self) -> u32 {
        self.runner.map_or_else(|| geteuid().as_raw(), |(user, _)| user)
    }

    /// Returns what `postgres --version` says.
    pub(super) fn version(&self) -> io::Result<String> {
        let output = self.command("postgres").arg("--version").output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|program| folder.join(program).is_file())
}

fn in_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folder = env::split_paths(&path).find(|folder| is_complete(folder))?;
    // Distributions link single programs into PATH; the others are found beside the original.
    let postgres = fs::canonicalize(folder.join("postgres")).ok()?;
    postgres.parent().map(Path::to_owned)
}

fn newest_package() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            is_complete(&folder).then_some((version, folder))
        })
        .max()
        .map(|(_, folder)| folder)
}

/// Finds a user for the server, which refuses to run as root.
fn unprivileged() -> io::Result<(u32, u32)> {
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)?.filter(|user| user.uid != Uid::from_raw(0)) {
            return Ok((user.uid.as_raw(), user.gid.as_raw()));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        "there is neither a user postgres nor nobody",
    ))
}
