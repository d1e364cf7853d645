//! `holdfast chaos`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::audit;
use crate::chaos::{ChaosOptions, run};
use crate::cluster_file::ClusterFile;
use crate::{runtime, telemetry};

/// Kill nodes of a running cluster under load, then look for damage.
///
/// Makes customers, products and orders; for clusters that exist to be tried
/// out.
#[derive(Debug, Args)]
pub struct Chaos {
    /// The data directory of the cluster that `holdfast up` runs
    #[arg(long, value_name = "DIR", default_value = ".data")]
    data_dir: PathBuf,
    /// How long the load lasts
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=540))]
    seconds: u64,
    /// Operations a second
    #[arg(long, value_name = "R", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=2000))]
    rate: u32,
    /// Seconds between a node's return and the next kill
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=540))]
    kill_every: u64,
    /// Repeats the choices of another run [default: drawn]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Chaos {
    /// Fails if an order was lost or doubled, or an invariant is broken.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init("warn")?;
        let options = ChaosOptions {
            duration: Duration::from_secs(self.seconds),
            rate: self.rate,
            kill_every: Duration::from_secs(self.kill_every),
            seed: self.seed.unwrap_or_else(rand::random),
            data_dir: self.data_dir,
        };
        runtime::on_this_thread(async {
            crate::terminal::remark(format_args!("seed {}", options.seed));
            let report = run(&options).await?;
            report.print();
            let cluster = ClusterFile::read(&ClusterFile::path_in(&options.data_dir))?;
            let sound = audit::print(&cluster.database_url).await?;
            Ok(if sound && report.breaches.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        })
    }
}
