//! Finding out how fast a cluster is, beside what it is compared with.
//!
//! A run has a Postgres of its own, and on it one database for each thing that
//! is measured ([`contender`]). Everything is measured in turns, round after
//! round on the same machine, so that what disturbs one disturbs all; results
//! are compared as ratios of the same round. [`load`] makes the requests,
//! [`meter`] tells what they cost, [`report`] puts it into words.
//!
//! Invariant: an answer that is not the one hoped for never counts as work.

mod bare;
mod bound;
mod client;
mod contender;
mod load;
mod meter;
mod plot;
mod quiet;
mod report;
mod server;
mod sql;
mod stage;
mod work;

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::config::Config;
use crate::postgres::{Postgres, PostgresOptions};
use crate::signals::StopSignals;
use crate::terminal;
use bare::Bare;
use bound::Bound;
use contender::{Cluster, Contender};
use report::Facts;
use sql::{Form, Sql};

pub(crate) use load::count;
pub(crate) use report::{Cell, Measurement, Values, read};
pub use work::Spread;

/// Connections beside the nodes' and those of SQL alone: setting up, and looking at what was written.
const SPARE_CONNECTIONS: u32 = 40;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    /// Placing orders.
    Orders,
    /// Reading products.
    Reads,
    /// Signing in.
    Logins,
}

impl WorkKind {
    /// The kind's name, as in arguments and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Reads => "reads",
            Self::Logins => "logins",
        }
    }
}

/// What to measure, and for how long.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// The settings' file, if there is one.
    pub config_file: Option<PathBuf>,
    /// Sizes of the clusters.
    pub nodes: Vec<usize>,
    /// What is asked.
    pub works: Vec<WorkKind>,
    /// How demand is spread.
    pub spreads: Vec<Spread>,
    /// Lines of an order.
    pub lines: Vec<usize>,
    /// Clients that ask at once.
    pub clients: Vec<usize>,
    /// Requests a second; if there are none, each client sends when it was
    /// answered.
    pub rates: Vec<u32>,
    /// How many products there are.
    pub products: usize,
    /// Orders that a cluster's database holds before anything is measured.
    pub stored: u64,
    /// How long a measurement takes.
    pub duration: Duration,
    /// How long it runs before it counts.
    pub warm_up: Duration,
    /// How often everything is measured.
    pub rounds: usize,
    /// Whether customers are written to: what SQL alone does not do either.
    pub mail: bool,
    /// Whether what clusters are compared with is measured as well.
    pub references: bool,
    /// Where the results go as JSON.
    pub json: Option<PathBuf>,
    /// Where a plot of latency against rate goes.
    pub plot: Option<PathBuf>,
    /// The command that runs this again.
    pub command: String,
}

impl BenchOptions {
    /// The part of a turn that counts. What the log holds of a turn was written
    /// during the rest of it as well.
    fn counted_share(&self) -> f64 {
        self.duration.as_secs_f64() / (self.duration + self.warm_up).as_secs_f64()
    }
}

/// Measures, and tells the results.
pub async fn run(options: &BenchOptions, config: Config) -> anyhow::Result<()> {
    let mail = &config.mail;
    if config.nats.url.is_some() || mail.smtp_url.is_some() || mail.spool_dir.is_some() {
        bail!(
            "the settings name NATS, a mail relay or a spool, which would hear of every order: name none here"
        );
    }
    if has_twice(&options.nodes) || has_twice(&options.rates) {
        bail!("--nodes or --rate names a number twice");
    }
    let mut signals = StopSignals::install()?;
    let home = home()?;
    let postgres = start_postgres(home.path(), options, &config).await?;
    let facts = Facts::collect(options, &postgres);
    let mut measurements = Vec::new();
    let measured = tokio::select! {
        measured = measure(options, &config, home.path(), &postgres, &mut measurements) => measured,
        signal = signals.next() => {
            terminal::remark(format_args!("{signal}: stopping"));
            Ok(())
        }
    };
    tokio::task::spawn_blocking(move || postgres.stop(Duration::from_secs(3))).await??;
    // Whatever ended the run: what was measured before is told.
    if !measurements.is_empty() {
        report::tell(options, facts, &measurements)?;
    }
    measured
}

/// Makes a directory that the user who runs Postgres may enter: another one if root runs this.
fn home() -> anyhow::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("holdfast-bench-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .context("cannot make a directory for the databases")
}

async fn start_postgres(home: &Path, options: &BenchOptions, config: &Config) -> anyhow::Result<Postgres> {
    let nodes: usize = options.nodes.iter().sum();
    let clients = options.clients.iter().max().copied().unwrap_or_default();
    let postgres = PostgresOptions {
        max_connections: u32::try_from(nodes)?
            .saturating_mul(config.postgres.max_connections.saturating_add(2))
            .saturating_add(u32::try_from(clients)?)
            .saturating_add(SPARE_CONNECTIONS),
        ..PostgresOptions::new(home)
    };
    let started = tokio::task::spawn_blocking(move || Postgres::start(postgres)).await?;
    started.context("cannot start PostgreSQL")
}

async fn measure(
    options: &BenchOptions,
    config: &Config,
    home: &Path,
    postgres: &Postgres,
    measurements: &mut Vec<Measurement>,
) -> anyhow::Result<()> {
    let cells = cells(options);
    let mut contenders = Vec::new();
    for nodes in &options.nodes {
        let cluster = Cluster::launch(options, config, home, postgres, *nodes).await?;
        contenders.push(Contender::Cluster(Box::new(cluster)));
    }
    if options.references {
        if let Some(Contender::Cluster(cluster)) = contenders.first() {
            let bare = Bare::new(cluster, config).await?;
            let bound = Bound::new(cluster, postgres)
                .await
                .context("cannot set up the bound")?;
            contenders.push(Contender::Bare(bare));
            contenders.push(Contender::Bound(bound));
        }
        for form in [Form::One, Form::Four] {
            match Sql::new(options, config, home, postgres, form).await? {
                Some(sql) => contenders.push(Contender::Sql(sql)),
                None => terminal::remark("there is no pgbench: SQL alone is not measured"),
            }
        }
    }
    let suited = |cell: &Cell| -> Vec<usize> {
        let all = contenders.iter().enumerate();
        all.filter(|(_, one)| one.suits(cell))
            .map(|(index, _)| index)
            .collect()
    };
    let turns: Vec<Vec<usize>> = cells.iter().map(suited).collect();
    let bar = progress(turns.iter().map(Vec::len).sum::<usize>() * options.rounds);
    let everybody = contender::servers(&contenders, postgres);
    for (cell, mut turns) in cells.iter().zip(turns) {
        for round in 0..options.rounds {
            for turn in &turns {
                let contender = &mut contenders[*turn];
                bar.set_message(format!("waiting for quiet before {} {cell}", contender.name()));
                if !quiet::comes(&everybody).await {
                    bar.suspend(|| {
                        terminal::remark("what was put off is not done yet: it burdens what follows");
                    });
                }
                bar.set_message(format!("{} {cell}", contender.name()));
                let measurement = contender.measure(options, cell, round).await?;
                bar.suspend(|| report::remark(&measurement));
                measurements.push(measurement);
                bar.inc(1);
            }
            // Nobody always follows the same one.
            if !turns.is_empty() {
                turns.rotate_left(1);
            }
        }
    }
    bar.finish_and_clear();
    for contender in contenders {
        contender.end().await?;
    }
    Ok(())
}

fn cells(options: &BenchOptions) -> Vec<Cell> {
    let mut cells = Vec::new();
    for work in &options.works {
        let lines: &[usize] = match work {
            WorkKind::Orders => &options.lines,
            WorkKind::Reads | WorkKind::Logins => &[1],
        };
        let spreads: &[Spread] = match work {
            WorkKind::Orders | WorkKind::Reads => &options.spreads,
            WorkKind::Logins => &[Spread::Uniform],
        };
        for spread in spreads {
            for lines in lines {
                for clients in &options.clients {
                    let cell = |offered| Cell {
                        work: *work,
                        spread: *spread,
                        lines: *lines,
                        clients: *clients,
                        offered,
                    };
                    if options.rates.is_empty() {
                        cells.push(cell(None));
                    }
                    cells.extend(options.rates.iter().copied().map(Some).map(cell));
                }
            }
        }
    }
    cells
}

fn has_twice<T: Ord>(numbers: &[T]) -> bool {
    let different: BTreeSet<&T> = numbers.iter().collect();
    different.len() < numbers.len()
}

fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}
