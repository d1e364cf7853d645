//! Trying to break a cluster, and finding out whether it broke.
//!
//! A steady stream of orders, payments, cancellations and reads goes to all
//! nodes ([`traffic`]) while nodes are killed ([`killer`]). Afterwards every
//! order that was asked for is asked for again under its key ([`verify`]), and
//! the database is audited.
//!
//! Invariant: load is bounded in time, rate and requests in flight, goes only
//! where `run/cluster.json` says, and only processes named there are killed.

mod distribution;
mod killer;
mod ledger;
mod shopper;
mod traffic;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::cluster_file::ClusterFile;
use crate::credentials::Credentials;
use crate::shop::Shop;
use crate::terminal;
use distribution::Distribution;
use ledger::Ledger;

/// How to try.
#[derive(Clone, Debug)]
pub struct ChaosOptions {
    /// The data directory of the cluster that `holdfast up` runs.
    pub data_dir: PathBuf,
    /// How long the load lasts.
    pub duration: Duration,
    /// Operations a second.
    pub rate: u32,
    /// The time between a node's return and the next kill.
    pub kill_every: Duration,
    /// Makes the choice of operations and victims repeatable.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct ChaosReport {
    /// Latencies of the operations, retries included, by kind.
    latencies: Vec<(&'static str, Distribution)>,
    /// Times from a kill until the node was ready again.
    recoveries: Distribution,
    /// Operations not begun because too many were under way.
    shed: u64,
    /// Orders acknowledged while the load lasted.
    acknowledged: usize,
    /// What was found wrong, in words.
    pub breaches: Vec<String>,
}

/// Runs the load and the kills, then looks for lost and doubled orders.
pub async fn run(options: &ChaosOptions) -> anyhow::Result<ChaosReport> {
    let cluster_file = ClusterFile::path_in(&options.data_dir);
    let cluster = ClusterFile::read(&cluster_file)?;
    let shop = Shop::new(cluster.apis())?;
    let mut rng = StdRng::seed_from_u64(options.seed);
    let admin = Credentials::of_admin(&options.data_dir)?;
    terminal::remark("setting up: products and customers");
    let stage = shopper::set_the_stage(&shop, &admin, options)
        .await
        .context("cannot set up products and customers")?;
    let ledger = Arc::new(Ledger::new(stage.customers.len()));

    terminal::remark(format_args!(
        "{} operations a second for {} s; a node dies every {} s",
        options.rate,
        options.duration.as_secs(),
        options.kill_every.as_secs()
    ));
    let killer_rng = StdRng::from_rng(&mut rng);
    let (shed, recoveries) = tokio::join!(
        traffic::drive(&shop, &stage, &ledger, options, rng),
        killer::kill(&cluster_file, options, killer_rng),
    );
    let mut breaches = Vec::new();
    let recoveries = recoveries.unwrap_or_else(|error| {
        breaches.push(format!("{error:#}"));
        Distribution::default()
    });

    terminal::remark("asking for every order again, under its key");
    let acknowledged = ledger.acknowledged();
    breaches.extend(ledger.take_unexpected());
    breaches.extend(verify::every_order_exists_once(&shop, &stage, &ledger).await);
    Ok(ChaosReport {
        latencies: ledger.take_latencies(),
        recoveries,
        shed,
        acknowledged,
        breaches,
    })
}

impl ChaosReport {
    /// Prints latencies, recovery times and breaches.
    pub fn print(&self) {
        let mut table = terminal::table(["operation", "count", "p50", "p90", "p99", "max"]);
        for (kind, distribution) in &self.latencies {
            table.add_row(distribution.row(kind));
        }
        table.add_row(self.recoveries.row("node back after a kill"));
        terminal::say(table);
        terminal::say(format_args!(
            "{} orders acknowledged, {} operations shed",
            self.acknowledged, self.shed
        ));
        for breach in &self.breaches {
            terminal::say(format_args!("BREACH: {breach}"));
        }
    }
}
