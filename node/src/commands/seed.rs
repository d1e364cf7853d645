//! `holdfast seed`

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use holdfast_store::seed::{SeedSize, Seeding};
use holdfast_store::{Store, StoreOptions};
use indicatif::{ProgressBar, ProgressStyle};

use super::database::DatabaseArgs;
use crate::setup::Setup;
use crate::{runtime, telemetry, terminal};

/// Orders in one transaction.
const CHUNK: u64 = 10_000;

/// Fill an unused database with a shop that has been open for a year.
///
/// Every order is of one unit, paid and shipped; customers have no passwords.
/// `holdfast audit` finds nothing afterwards. For trying out a shop of some
/// size, with nodes that start afterwards: nodes that run already would not see
/// it at once.
#[derive(Debug, Args)]
pub struct Seed {
    /// How many products
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    products: u32,
    /// How many customers
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    customers: u32,
    /// How many orders; a million take about 5 GB
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
        let (config, url) = self.database.settings()?;
        let setup = Setup::connect(url.reveal(), &config).await?;
        setup.migrate().await?;
        setup.close().await;
        let options = StoreOptions {
            max_connections: 1,
            application_name: "holdfast-seed".to_owned(),
            ..StoreOptions::default()
        };
        let store = Store::connect(url.reveal(), options)
            .await
            .context("cannot connect to the database")?;
        if !store.is_unused().await? {
            bail!("the shop has products or orders: it is not for this to add to");
        }
        let bar = progress(self.orders);
        let size = SeedSize {
            products: self.products,
            customers: self.customers,
            orders: self.orders,
        };
        let mut seeding = Seeding::begin(url.reveal(), size)
            .await
            .context("cannot make products and customers")?;
        for first in (0..self.orders).step_by(usize::try_from(CHUNK)?) {
            let made = seeding.orders(first, first + CHUNK).await;
            made.with_context(|| format!("cannot make the orders from number {first} on"))?;
            bar.set_position((first + CHUNK).min(self.orders));
        }
        seeding
            .finish()
            .await
            .context("cannot bring the counters up to date")?;
        bar.finish_and_clear();
        store.close().await;
        terminal::say(format_args!(
            "seeded: {} products, {} customers, {} orders",
            self.products, self.customers, self.orders
        ));
        Ok(())
    }
}

fn progress(orders: u64) -> ProgressBar {
    let bar = ProgressBar::new(orders);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} orders {elapsed}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}
