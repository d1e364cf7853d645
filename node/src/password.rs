//! Asking for a password where nobody looks over one's shoulder.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use anyhow::{Context, bail};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::config::Secret;

/// Holds a password for commands that need one: never an argument, which
/// every process on the machine could read.
const VARIABLE: &str = "HOLDFAST_PASSWORD";
/// The most that is read of a password.
const MAX_BYTES: u64 = 1024;

/// Takes a password from the environment, or a line of standard input; asks
/// for it, without showing it, if that is a terminal.
pub fn ask() -> anyhow::Result<Secret> {
    if let Some(password) = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()) {
        return Ok(Secret::new(password));
    }
    let mut input = io::stdin().lock();
    let mut line = String::new();
    if input.is_terminal() {
        let mut output = io::stderr().lock();
        write!(output, "Password: ")?;
        output.flush()?;
        let hidden = Hidden::begin()?;
        input.by_ref().take(MAX_BYTES).read_line(&mut line)?;
        drop(hidden);
        writeln!(output)?;
    } else {
        input.by_ref().take(MAX_BYTES).read_line(&mut line)?;
    }
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("no password: set {VARIABLE}, or write it to standard input");
    }
    Ok(Secret::new(password))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        let before = tcgetattr(io::stdin()).context("cannot read the terminal's settings")?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &silent).context("cannot silence the terminal")?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that refuses.
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.before);
    }
}
