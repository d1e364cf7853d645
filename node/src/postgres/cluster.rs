//! The database's files: made once, completely or not at all.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::discovery::Installation;
use super::error::PostgresError;
use super::home::Home;
use crate::process::spawn_bound;

/// Reads which major version made the files in `data`; `None` if there are
/// none.
pub(super) fn version_of(data: &Path) -> Result<Option<u32>, PostgresError> {
    let file = data.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PostgresError::io("read", file)(error)),
    }
}

/// Makes the files beside their final place and moves them there: an `initdb`
/// that was interrupted leaves nothing that looks finished.
pub(super) fn initialise(
    installation: &Installation,
    home: &Home,
    durable: bool,
) -> Result<(), PostgresError> {
    let partial = home.directory.join("data.partial");
    for leftover in [&partial, &home.data()] {
        match fs::remove_dir_all(leftover) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(PostgresError::io("remove", leftover)(error));
            }
            _ => {}
        }
    }
    let program = installation.program("initdb");
    let mut command = Command::new(&program);
    command
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
        .args(["--locale=C", "--no-instructions", "--pgdata"])
        .arg(&partial)
        .current_dir(&home.directory)
        .env_remove("PGDATA")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if !durable {
        command.arg("--no-sync");
    }
    home.account.run(&mut command);
    let output = spawn_bound(command, Signal::SIGTERM)
        .and_then(std::process::Child::wait_with_output)
        .map_err(PostgresError::io("run", program))?;
    if !output.status.success() {
        return Err(PostgresError::Initdb {
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    fs::rename(&partial, home.data()).map_err(PostgresError::io("move", partial))
}
