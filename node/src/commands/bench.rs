//! `holdfast bench`

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::TypedValueParser;

use crate::bench::{BenchOptions, Spread, WorkKind, run};
use crate::config::Config;
use crate::{runtime, telemetry};

/// Measure how fast a cluster of its own is
///
/// Starts a PostgreSQL of its own, and on it everything that is measured; asks
/// each in turns.
#[derive(Debug, Args)]
pub struct Bench {
    /// Sizes of the clusters
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,3")]
    nodes: Vec<usize>,
    /// What is asked
    #[arg(long, value_name = "WORK", value_delimiter = ',', default_value = "orders")]
    work: Vec<WorkKind>,
    /// How demand is spread over the products
    #[arg(
        long,
        value_name = "SPREAD",
        value_delimiter = ',',
        default_value = "hot,uniform,zipf"
    )]
    spread: Vec<Spread>,
    /// Lines of an order, each of another product
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1", value_parser = count(1..=100))]
    lines: Vec<usize>,
    /// Clients that ask at once
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "64", value_parser = count(1..=4096))]
    clients: Vec<usize>,
    /// Requests a second, one rate after the other [default: each client sends
    /// when it was answered]
    #[arg(long, value_name = "R", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Vec<u32>,
    /// How many products there are
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = count(1..=1_000_000))]
    products: usize,
    /// Orders that a cluster's database holds before anything is measured, made up as by `seed`
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100_000_000))]
    stored: u64,
    /// How long a measurement takes
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=240))]
    seconds: u64,
    /// How long it runs before it counts
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=60))]
    warm_up: u64,
    /// How often everything is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = count(1..=100))]
    rounds: usize,
    /// Write to customers as well, into a spool; what waits to be written when a measurement ends
    /// burdens the next ones
    #[arg(long)]
    mail: bool,
    /// Leave out what clusters are compared with
    #[arg(long)]
    no_references: bool,
    /// Where the results go as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where a plot of latency against rate goes, as SVG
    #[arg(long, value_name = "FILE", requires = "rate")]
    plot: Option<PathBuf>,
    /// Settings [default: cluster.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Reads a number of things.
fn count(range: RangeInclusive<usize>) -> impl TypedValueParser<Value = usize> {
    move |text: &str| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("must be {} to {}", range.start(), range.end())),
    }
}

impl Bench {
    /// Measures.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init("warn")?;
        let config = Config::load(self.config.as_deref())?;
        let options = BenchOptions {
            config_file: Config::locate(self.config.as_deref()),
            nodes: self.nodes,
            works: self.work,
            spreads: self.spread,
            lines: self.lines,
            clients: self.clients,
            rates: self.rate,
            products: self.products,
            stored: self.stored,
            duration: Duration::from_secs(self.seconds),
            warm_up: Duration::from_secs(self.warm_up),
            rounds: self.rounds,
            mail: self.mail,
            references: !self.no_references,
            json: self.json,
            plot: self.plot,
            command: std::env::args().collect::<Vec<_>>().join(" "),
        };
        runtime::on_all_cores(run(&options, config))?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Bench;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        bench: Bench,
    }

    #[test]
    fn what_cannot_be_measured_is_refused_by_what_can() {
        for arguments in [
            "--clients 0",
            "--clients 64,5000",
            "--lines 101",
            "--products 0",
            "--rate 0",
            "--rounds 0",
            "--seconds 0",
        ] {
            let arguments = ["bench"].into_iter().chain(arguments.split(' '));
            let refused = Command::try_parse_from(arguments).unwrap_err().to_string();
            assert!(
                refused.contains("must be") || refused.contains("is not in"),
                "{refused}"
            );
        }
        let bench = Command::parse_from(["bench", "--clients", "1,64", "--rate", "500"]).bench;
        assert_eq!((bench.clients, bench.rate), (vec![1, 64], vec![500]));
    }
}
