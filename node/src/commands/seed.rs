//! `holdfast seed`

use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use holdfast_store::seed::SeedSize;
use holdfast_store::{Store, StoreOptions};

use super::database::DatabaseArgs;
use crate::seeding::seed;
use crate::signals::StopSignals;
use crate::up::{Grounds, UpOptions, free_base_port};
use crate::{runtime, telemetry, terminal};

/// Fill an unused database with a shop that has been open for a year.
///
/// Every order is of one unit, paid and shipped; nobody knows the customers'
/// passwords. `holdfast audit` finds nothing afterwards. Nodes are to start
/// afterwards. Where no server is named, the database is the one that `holdfast
/// up` will find in the data directory.
#[derive(Debug, Args)]
pub struct Seed {
    /// How many products
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    products: u32,
    /// How many customers
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    customers: u32,
    /// How many orders; a million take 5.5 GB
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(0..=1_000_000_000))]
    orders: u64,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Seed {
    /// Fills the database.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init("warn")?;
        runtime::on_this_thread(self.fill())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn fill(&self) -> anyhow::Result<()> {
        let config = self.database.named()?;
        let mut signals = StopSignals::install()?;
        let up = UpOptions {
            config_file: None,
            nodes: None,
            data_dir: self.database.data_dir.clone(),
            base_port: Some(free_base_port(&config, None)?),
            restart: false,
        };
        let Some(grounds) = Grounds::prepare(up, config, &mut signals).await? else {
            return Ok(());
        };
        let filled = tokio::select! {
            filled = self.fill_at(grounds.database_url()) => filled,
            signal = signals.next() => Err(anyhow!("{signal}: the shop is not whole; begin again with another database")),
        };
        let left = grounds.leave().await;
        filled.and(left)
    }

    async fn fill_at(&self, url: &str) -> anyhow::Result<()> {
        let options = StoreOptions {
            max_connections: 1,
            application_name: "holdfast-seed".to_owned(),
            ..StoreOptions::default()
        };
        let store = Store::connect(url, options)
            .await
            .context("cannot connect to the database")?;
        let nodes = store.nodes().await?;
        if let Some(node) = nodes.iter().find(|node| !node.state.is_over()) {
            bail!(
                "{} has not left the cluster: stop the nodes first, for they would tell of all this",
                node.name
            );
        }
        if !store.is_unused().await? {
            bail!("the shop has products or orders: it is not for this to add to");
        }
        let size = SeedSize {
            products: self.products,
            customers: self.customers,
            orders: self.orders,
        };
        seed(url, size).await?;
        store.close().await;
        terminal::say(format_args!(
            "seeded: {} products, {} customers, {} orders",
            self.products, self.customers, self.orders
        ));
        Ok(())
    }
}
