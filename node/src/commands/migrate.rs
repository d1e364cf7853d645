//! `holdfast migrate`

use std::process::ExitCode;

use clap::Args;

use super::database::DatabaseArgs;
use crate::setup::Setup;
use crate::{runtime, telemetry, terminal};

/// Bring the database's schema up to date.
///
/// `holdfast up` does this by itself. Migrations only add: nodes of the
/// release before go on working. After a logical dump was restored it also
/// makes the feed of events follow the new server's transactions; no node may
/// run then.
#[derive(Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Migrate {
    /// Applies the migrations that are missing, and mends a feed that is ahead.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init("warn")?;
        let (config, url) = self.database.settings()?;
        runtime::on_this_thread(async {
            let setup = Setup::connect(url.reveal(), &config).await?;
            let moved = setup.migrate().await?;
            setup.close().await;
            if moved > 0 {
                terminal::say(format!(
                    "{moved} events were of another server and have been put behind this one's transactions"
                ));
            }
            terminal::say("the schema is current");
            Ok(ExitCode::SUCCESS)
        })
    }
}
