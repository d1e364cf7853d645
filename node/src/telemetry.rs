//! Logs: readable text on a terminal, JSON lines everywhere else.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{EnvFilter, ParseError};

/// The variable that filters: `info`, `holdfast_actors=debug`, and so on.
const VARIABLE: &str = "HOLDFAST_LOG";

/// Sends this process's logs to standard error, `default` of them unless the
/// environment says otherwise.
///
/// # Errors
/// A filter that does not parse is refused rather than ignored.
pub fn init(default: &str) -> Result<(), ParseError> {
    let filter = match std::env::var(VARIABLE) {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter)?,
        _ => EnvFilter::try_new(default)?,
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // A second initialisation, as by two tests in one process, changes nothing.
    let _ = if io::stderr().is_terminal() {
        logs.compact().try_init()
    } else {
        logs.json().flatten_event(true).try_init()
    };
    Ok(())
}
