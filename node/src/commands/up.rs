//! `holdfast up`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::{Config, Secret};
use crate::up::{UpOptions, run};
use crate::{runtime, telemetry};

/// Run a whole cluster on this machine, with its database.
#[derive(Debug, Args)]
pub struct Up {
    /// Settings [default: cluster.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How many nodes [default: as many as the settings list]
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// Where the database, the logs and the secrets are kept
    #[arg(long, value_name = "DIR", default_value = ".data")]
    data_dir: PathBuf,
    /// First node's API port; ops ports are 1000 above, link ports 2000
    /// [default: the addresses in the settings, or 8080]
    #[arg(long, value_name = "PORT")]
    base_port: Option<u16>,
    /// Leave a node that died dead
    #[arg(long)]
    no_restart: bool,
    /// Use this server instead of one of our own; better set in
    /// `HOLDFAST_DATABASE_URL`, where others cannot see it
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl Up {
    /// Runs the cluster until a signal asks to stop.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init("warn")?;
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(url) = self.database_url {
            config.postgres.url = Some(Secret::new(url));
        }
        let options = UpOptions {
            config_file: Config::locate(self.config.as_deref()),
            nodes: self.nodes,
            data_dir: self.data_dir,
            base_port: self.base_port,
            restart: !self.no_restart,
        };
        runtime::on_this_thread(run(options, config))?;
        Ok(ExitCode::SUCCESS)
    }
}
