//! `holdfast audit`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use holdfast_store::{Store, StoreOptions};

use super::database::DatabaseArgs;
use crate::{runtime, telemetry, terminal};

/// A check reads whole tables, and may take its time.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(5);

/// Look for rows that break what the shop promises.
#[derive(Debug, Args)]
pub struct Audit {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Audit {
    /// Fails if an invariant is broken.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init("warn")?;
        let (_, url) = self.database.settings()?;
        let sound = runtime::on_this_thread(print(url.reveal()))?;
        Ok(if sound {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Audits the database at `url`, prints each invariant with its figure, and
/// tells whether all of them hold.
async fn print(url: &str) -> anyhow::Result<bool> {
    let options = StoreOptions {
        max_connections: 1,
        statement_timeout: STATEMENT_TIMEOUT,
        application_name: "holdfast-audit".to_owned(),
        ..StoreOptions::default()
    };
    let store = Store::connect(url, options)
        .await
        .context("cannot connect to the database")?;
    let findings = store.audit().await.context("cannot audit the database")?;
    store.close().await;
    let mut table = terminal::table(["invariant", "what must hold", "looked at", "breaches"]);
    for finding in &findings {
        table.add_row([
            finding.invariant,
            finding.statement,
            &finding.figure,
            &finding.breaches.to_string(),
        ]);
    }
    terminal::say(table);
    let broken = findings.iter().filter(|finding| finding.breaches != 0).count();
    terminal::say(if broken == 0 {
        format!("sound: {} invariants hold", findings.len())
    } else {
        format!("UNSOUND: {broken} of {} invariants are broken", findings.len())
    });
    Ok(broken == 0)
}
