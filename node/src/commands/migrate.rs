//! `holdfast migrate`

use std::process::ExitCode;

use clap::Args;

use super::database::DatabaseArgs;
use crate::setup::Setup;
use crate::{runtime, telemetry, terminal};

/// Bring the database's schema up to date.
///
/// `holdfast up` does this by itself. Migrations only add: nodes of the
/// release before go on working.
#[derive(Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Migrate {
    /// Applies the migrations that are missing.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init("warn")?;
        let (config, url) = self.database.settings()?;
        runtime::on_this_thread(async {
            let setup = Setup::connect(url.reveal(), &config).await?;
            setup.migrate().await?;
            setup.close().await;
            terminal::say("the schema is current");
            Ok(ExitCode::SUCCESS)
        })
    }
}
