//! Telling people what takes its time: a spinner on a terminal, plain lines
//! otherwise.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal;

const TICK: Duration = Duration::from_millis(80);

/// A step under way. Dropped unfinished, it leaves no trace on a terminal.
#[derive(Debug)]
pub(super) struct Step {
    name: &'static str,
    began: Instant,
    spinner: Option<ProgressBar>,
    /// The last thing said, so that plain lines do not repeat themselves.
    said: String,
}

impl Step {
    /// Begins the step called `name`.
    pub(super) fn begin(name: &'static str) -> Self {
        let spinner = io::stderr().is_terminal().then(|| {
            let spinner = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {prefix:10} {msg}") {
                spinner.set_style(style);
            }
            spinner.set_prefix(name);
            spinner.enable_steady_tick(TICK);
            spinner
        });
        Self {
            name,
            began: Instant::now(),
            spinner,
            said: String::new(),
        }
    }

    /// Tells how far the step has come.
    pub(super) fn update(&mut self, message: impl Into<String>) {
        let message = message.into();
        if message == self.said {
            return;
        }
        match &self.spinner {
            Some(spinner) => spinner.set_message(message.clone()),
            None => terminal::remark(format_args!("{}: {message}", self.name)),
        }
        self.said = message;
    }

    /// Ends the step with what came of it.
    pub(super) fn done(mut self, result: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        match self.spinner.take() {
            Some(spinner) => {
                spinner.finish_and_clear();
                terminal::remark(format_args!("✓ {:10} {result} ({seconds:.1} s)", self.name));
            }
            None => {
                terminal::remark(format_args!("{}: {result} ({seconds:.1} s)", self.name));
            }
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }
}
