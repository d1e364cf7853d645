//! The command line: one file per command in [`crate::commands`].

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{
    audit, bench, chaos, config, dlq, drain, migrate, node, plan, seed, simulate, status, up, user,
};

/// Holdfast: a commerce backend that keeps its word.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Up),
    Node(node::Node),
    Status(status::Status),
    Drain(drain::Drain),
    Migrate(migrate::Migrate),
    User(user::User),
    Audit(audit::Audit),
    Dlq(dlq::Dlq),
    Seed(seed::Seed),
    Bench(bench::Bench),
    Plan(plan::Plan),
    Chaos(chaos::Chaos),
    Simulate(simulate::Simulate),
    Config(config::ConfigCommand),
}

impl Cli {
    /// Does what was asked.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Up(command) => command.run(),
            Command::Node(command) => command.run(),
            Command::Status(command) => command.run(),
            Command::Drain(command) => command.run(),
            Command::Migrate(command) => command.run(),
            Command::User(command) => command.run(),
            Command::Audit(command) => command.run(),
            Command::Dlq(command) => command.run(),
            Command::Seed(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Plan(command) => command.run(),
            Command::Chaos(command) => command.run(),
            Command::Simulate(command) => Ok(command.run()),
            Command::Config(command) => command.run(),
        }
    }
}
