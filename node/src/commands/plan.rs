//! `holdfast plan`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::bench::Spread;
use crate::plan::{Kind, Model, Sample, read};
use crate::terminal;

/// Tell how many cores so many orders a second take
///
/// From what `holdfast bench --json` has measured on a machine like those that
/// are planned: clusters of different sizes, asked by different numbers of
/// clients.
#[derive(Debug, Args)]
pub struct Plan {
    /// What was measured
    #[arg(long, value_name = "FILE", required = true, value_delimiter = ',')]
    measured: Vec<PathBuf>,
    /// Another run, to tell how far off this is
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    against: Vec<PathBuf>,
    /// Orders a second
    #[arg(long, value_name = "R", value_delimiter = ',', default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    orders_per_second: Vec<u32>,
    /// Sizes of the cluster
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "3", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    nodes: Vec<u32>,
    /// How demand is spread over the products
    #[arg(long, value_name = "SPREAD", default_value = "zipf")]
    spread: Spread,
    /// Lines of an order
    #[arg(long, value_name = "N", default_value_t = 1)]
    lines: usize,
    /// Orders that the database held before
    #[arg(long, value_name = "N", default_value_t = 0)]
    stored: u64,
    /// What an order takes in the median, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    takes_ms: u32,
    /// How busy cores may be, in percent: the rest is for what comes at once
    #[arg(long, value_name = "PERCENT", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100))]
    busy: u32,
}

impl Plan {
    /// Tells.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let kind = Kind {
            spread: self.spread,
            lines: self.lines,
            stored: self.stored,
        };
        let model = Model::fitted(&Self::samples(&self.measured, kind)?)?;
        let mut table = terminal::table([
            "orders/s",
            "nodes",
            "us an order",
            "of it pg",
            "cores of a node",
            "cores of pg",
            "log MB/s",
            "log GB a day",
        ]);
        let busy = f64::from(self.busy) / 100.0;
        for rate in &self.orders_per_second {
            for nodes in &self.nodes {
                let needs = model.needs(f64::from(*rate), *nodes, f64::from(self.takes_ms));
                table.add_row([
                    rate.to_string(),
                    nodes.to_string(),
                    format!("{:.0}", needs.node_us + needs.postgres_us),
                    format!("{:.0}", needs.postgres_us),
                    format!("{:.1}", needs.node_cores / f64::from(*nodes) / busy),
                    format!("{:.1}", needs.postgres_cores / busy),
                    format!("{:.1}", needs.log_bytes / 1e6),
                    format!("{:.0}", needs.log_bytes * 86_400.0 / 1e9),
                ]);
            }
        }
        terminal::say(table);
        terminal::say(format_args!(
            "an order: nodes {:.0} + {:.0} (N - 1) / N us, PostgreSQL {:.0} + {:.0} / k us with k in progress at a node, {:.0} bytes of log",
            model.node.base, model.node.slope, model.postgres.base, model.postgres.slope, model.log_bytes
        ));
        if !self.against.is_empty() {
            let samples = Self::samples(&self.against, kind)?;
            let errors = model.errors(&samples);
            if let (Some(median), Some(most)) = (errors.median(), errors.most()) {
                terminal::say(format_args!(
                    "against the other run: off by {:.0}% in the median, {:.0}% at most, of {} turns",
                    100.0 * median,
                    100.0 * most,
                    samples.len()
                ));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn samples(files: &[PathBuf], kind: Kind) -> anyhow::Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for file in files {
            samples.extend(read(file, kind)?);
        }
        Ok(samples)
    }
}
