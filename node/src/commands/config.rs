//! `holdfast config`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::Config;
use crate::terminal;

/// Look at the settings.
#[derive(Debug, Args)]
pub struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(Check),
}

/// Check the settings, file and environment together.
#[derive(Debug, Args)]
struct Check {
    /// Settings [default: cluster.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings in force, secrets left out
    #[arg(long)]
    dump_config: bool,
}

impl ConfigCommand {
    /// Checks the settings; an error says what to edit.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Action::Check(check) = self.action;
        let config = Config::load(check.config.as_deref())?;
        if check.dump_config {
            terminal::say(config.to_toml()?.trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        let source = Config::locate(check.config.as_deref())
            .map_or_else(|| "the defaults".to_owned(), |file| file.display().to_string());
        terminal::say(format_args!("{source}: {} nodes, no errors", config.nodes.len()));
        Ok(ExitCode::SUCCESS)
    }
}
