//! `holdfast status`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::cluster_file::ClusterFile;
use crate::probe::{Health, Probe};
use crate::{runtime, telemetry, terminal};

/// Show how each node is.
#[derive(Debug, Args)]
pub struct Status {
    /// The data directory of the cluster that `holdfast up` runs
    #[arg(long, value_name = "DIR", default_value = ".data")]
    data_dir: PathBuf,
    /// Ask these nodes instead: base URLs of their API or ops listeners
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
}

/// A node to ask.
struct Target {
    name: String,
    url: String,
    pid: String,
}

impl Status {
    /// Fails if a node is not ready.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init("warn")?;
        let targets = self.targets()?;
        runtime::on_this_thread(async {
            let probe = Probe::new()?;
            let mut table = terminal::table(["node", "state", "address", "pid", "details"]);
            let mut all_ready = true;
            for target in targets {
                let (state, details) = match probe.health(&target.url).await {
                    Health::Ready => ("ready", String::new()),
                    Health::NotReady(reason) => ("not ready", reason),
                    Health::Unreachable(reason) => ("unreachable", reason),
                };
                all_ready &= state == "ready";
                table.add_row([&target.name, state, &target.url, &target.pid, &details]);
            }
            terminal::say(table);
            Ok(if all_ready {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        })
    }

    fn targets(&self) -> anyhow::Result<Vec<Target>> {
        if self.url.is_empty() {
            let cluster = ClusterFile::read(&ClusterFile::path_in(&self.data_dir))?;
            let targets = cluster.nodes.into_iter().map(|node| Target {
                name: node.name,
                url: node.ops,
                pid: node.pid.to_string(),
            });
            return Ok(targets.collect());
        }
        let targets = self.url.iter().map(|url| Target {
            name: "-".to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            pid: "-".to_owned(),
        });
        Ok(targets.collect())
    }
}
