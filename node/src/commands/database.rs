//! Which database a command works on.

use std::path::PathBuf;

use clap::Args;

use crate::cluster_file::ClusterFile;
use crate::config::{Config, Secret};

/// Finds the database: the settings' or, if they name none, that of the
/// cluster that `holdfast up` runs.
#[derive(Debug, Args)]
pub(super) struct DatabaseArgs {
    /// Settings [default: cluster.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The data directory of the cluster that `holdfast up` runs, for its
    /// database if neither the settings nor `HOLDFAST_DATABASE_URL` name one
    #[arg(long, value_name = "DIR", default_value = ".data")]
    pub(super) data_dir: PathBuf,
    /// Work on this server; better set in `HOLDFAST_DATABASE_URL`, where
    /// others cannot see it
    #[arg(long, value_name = "URL")]
    pub(super) database_url: Option<String>,
}

impl DatabaseArgs {
    /// Loads the settings, with the database's URL filled in.
    pub(super) fn settings(&self) -> anyhow::Result<(Config, Secret)> {
        let config = self.named()?;
        let url = if let Some(url) = &config.postgres.url {
            url.clone()
        } else {
            let cluster = ClusterFile::read(&ClusterFile::path_in(&self.data_dir))?;
            Secret::new(cluster.database_url)
        };
        Ok((config, url))
    }

    /// Loads the settings; with no URL, if nobody names a server.
    pub(super) fn named(&self) -> anyhow::Result<Config> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(url) = &self.database_url {
            config.postgres.url = Some(Secret::new(url));
        }
        Ok(config)
    }
}
