//! Why there is no server.

use std::path::PathBuf;

/// Why the embedded server cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Neither installed nor fetched.
    #[error(
        "no PostgreSQL {oldest} or newer found, and none could be fetched ({reason}); install it with\n  {command}\nor set HOLDFAST_DATABASE_URL to a server, or HOLDFAST_PG_BIN to a directory with postgres and initdb"
    )]
    NotFound {
        /// The oldest version that will do.
        oldest: u32,
        /// Why fetching failed.
        reason: String,
        /// What installs it on this system.
        command: &'static str,
    },
    /// `HOLDFAST_PG_BIN` leads nowhere.
    #[error("HOLDFAST_PG_BIN={} holds no runnable postgres {wanted} and initdb", path.display())]
    BadBin {
        /// What the variable says.
        path: PathBuf,
        /// Which version is needed.
        wanted: String,
    },
    /// The files are of a version that is not installed.
    #[error(
        "{} was made by PostgreSQL {made_by}, and only other versions are installed; install that version or set HOLDFAST_PG_BIN to it",
        data.display()
    )]
    OtherVersion {
        /// The database's files.
        data: PathBuf,
        /// The major version that made them.
        made_by: u32,
    },
    /// A directory that must be private is somebody else's.
    #[error("{} is not ours alone: it must be a directory of the user who runs the server, closed to others", path.display())]
    NotPrivate {
        /// The directory.
        path: PathBuf,
    },
    /// A path that Postgres cannot be told.
    #[error("{} is not Unicode", path.display())]
    NotUnicode {
        /// The path.
        path: PathBuf,
    },
    /// Another server runs on these files.
    #[error("{} is in use by the PostgreSQL server with pid {pid}", data.display())]
    InUse {
        /// The database's files.
        data: PathBuf,
        /// The other server.
        pid: i32,
    },
    /// `initdb` failed.
    #[error("initdb failed: {output}")]
    Initdb {
        /// What it printed.
        output: String,
    },
    /// The server ended before it was ready.
    #[error("postgres ended ({status}) before it was ready: {log}")]
    Ended {
        /// How.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// The server did not get ready in time.
    #[error("postgres was not ready after {seconds} s: {log}")]
    TimedOut {
        /// How long was waited.
        seconds: u64,
        /// The end of its log.
        log: String,
    },
    /// A file or a process could not be handled.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl PostgresError {
    /// Adds what was tried, and on what, to an [`std::io::Error`].
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
