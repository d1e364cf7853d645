//! Trying to break a cluster, and finding out whether it broke.
//!
//! A run has a cluster of its own, which it launches as `holdfast up` does, but
//! with every way between two nodes, and between a node and the database, led
//! through a relay ([`network`]). Customers act on all nodes ([`load`]) while
//! faults are inflicted ([`faults`]). Afterwards what is stored is collected
//! ([`gather`]), and the history of what everybody did and was told is checked
//! against it ([`check`]). A page tells all of it ([`report`]).
//!
//! Invariant: load is bounded in time, rate and requests under way, and only
//! processes that this run has started are killed or stopped.

mod check;
mod clocks;
mod faults;
mod gather;
mod history;
mod load;
#[cfg(feature = "fault-points")]
pub(crate) mod mutation;
mod network;
mod report;

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use holdfast_store::{Store, StoreOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::cluster_file::ClusterFile;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::probe::Probe;
use crate::shop::Shop;
use crate::signals::StopSignals;
use crate::terminal;
use crate::up::{self, Grounds, UpOptions};
use check::{Evidence, Verdict};
use clocks::Clocks;
use faults::{OtherRelease, Plan, Site};
use load::{Clock, Stage};

pub use faults::FaultKind;
#[cfg(feature = "fault-points")]
pub use mutation::Mutation;

/// An order that is not paid expires while the run lasts, and its units are
/// sold again.
const PAYMENT_DEADLINE: &str = "6s";
/// How long the database may take to tell which nodes there are.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// How to try.
#[derive(Clone, Debug)]
pub struct ChaosOptions {
    /// The settings' file, if there is one.
    pub config_file: Option<PathBuf>,
    /// Where the cluster is kept; in a temporary directory, if absent.
    pub data_dir: Option<PathBuf>,
    /// How many nodes; as many as the settings list, if absent.
    pub nodes: Option<usize>,
    /// How long the load lasts.
    pub duration: Duration,
    /// Operations a second.
    pub rate: u32,
    /// Clients at work for each node.
    pub clients: usize,
    /// Makes the choice of operations and faults repeatable.
    pub seed: u64,
    /// What may go wrong.
    pub faults: Vec<FaultKind>,
    /// Whether two things go wrong at a time.
    pub in_pairs: bool,
    /// Another build of this program, of an adjacent release; this one at the
    /// wire version before, if absent.
    pub other_build: Option<PathBuf>,
    /// Where the page goes.
    pub report: PathBuf,
    /// The command that runs this again.
    pub command: String,
    /// What is missing that holds the promises; nothing, unless a test is to
    /// see that this is noticed.
    #[cfg(feature = "fault-points")]
    pub without: Option<Mutation>,
}

/// Runs a cluster, the load and the faults, checks, and writes the report.
/// Tells whether every promise was kept; nothing if a signal stopped the run.
pub async fn run(options: &ChaosOptions, config: Config) -> anyhow::Result<Option<bool>> {
    let (options, clock_library) = &as_possible_here(options)?;
    // Better now than after the run.
    File::options()
        .create(true)
        .append(true)
        .open(&options.report)
        .with_context(|| format!("cannot write {}", options.report.display()))?;
    let mut signals = StopSignals::install()?;
    let mut home = Home::make(options.data_dir.as_deref())?;
    let Some(mut grounds) = prepare(options, config, &home, &mut signals).await? else {
        return Ok(None);
    };
    let store = connect(grounds.database_url()).await?;
    let network = network::Network::lay(&mut grounds, &store, &home.path.join("net")).await?;
    let names: Vec<String> = grounds.plans.iter().map(|plan| plan.name.clone()).collect();
    let overrides = grounds.overrides.clone();
    let lay_clocks = |library: &PathBuf| Clocks::lay(library, home.path.join("clocks"), &names, &overrides);
    let clocks = clock_library.as_ref().map(lay_clocks).transpose()?;
    let database = grounds.instance().context("the database is not ours")?.clone();
    let database_url = grounds.database_url().to_owned();
    let variables = vec![
        // All of the load comes from one address.
        ("HOLDFAST_LIMITS__ENABLED", "false".to_owned()),
        ("HOLDFAST_ORDERS__PAYMENT_DEADLINE", PAYMENT_DEADLINE.to_owned()),
    ];
    #[cfg(feature = "fault-points")]
    let variables = without_guard(options.without, &database_url, variables).await?;
    let mut cluster = grounds.launch(&variables)?;
    let trial = async {
        cluster.until_ready().await?;
        let tools = Tools {
            network,
            clocks,
            overrides,
            database,
            database_url,
            store,
        };
        let trial = try_out(options, &home.path, names, tools);
        tokio::select! {
            done = trial => done,
            ended = cluster.supervise() => {
                ended?;
                bail!("the cluster has ended")
            }
        }
    };
    let tried = tokio::select! {
        tried = trial => tried.map(Some),
        signal = signals.next() => {
            terminal::remark(format_args!("{signal}: stopping"));
            Ok(None)
        }
    };
    let stopped = cluster.stop(&mut signals).await;
    if matches!(tried, Ok(Some(false)) | Err(_)) {
        home.keep();
    }
    let tried = tried?;
    stopped?;
    Ok(tried)
}

/// Takes a guard out of the database, or adds to the nodes' `variables` what
/// takes it out of them.
#[cfg(feature = "fault-points")]
async fn without_guard(
    guard: Option<Mutation>,
    database_url: &str,
    mut variables: Vec<(&'static str, String)>,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    if let Some(guard) = guard {
        guard.weaken(database_url).await?;
        variables.extend(guard.variables());
    }
    Ok(variables)
}

async fn prepare(
    options: &ChaosOptions,
    mut config: Config,
    home: &Home,
    signals: &mut StopSignals,
) -> anyhow::Result<Option<Grounds>> {
    if config.link.tls_ca.is_some() {
        bail!("the relays between the nodes cannot see who calls while [link] has TLS");
    }
    // Whatever the settings say: no database but one of this run's own is
    // killed.
    config.postgres.url = None;
    let nodes = options.nodes;
    let base_port = up::free_base_port(&config, nodes)?;
    let up = UpOptions {
        config_file: options.config_file.clone(),
        nodes,
        data_dir: home.path.clone(),
        base_port: Some(base_port),
        restart: true,
    };
    Grounds::prepare(up, config, signals).await
}

/// What faults are made with.
struct Tools {
    network: network::Network,
    clocks: Option<Clocks>,
    overrides: up::Overrides,
    database: up::Instance,
    database_url: String,
    store: Store,
}

/// Leaves out of the whole menu what this machine has not got the means for,
/// and says so; what was asked for by name is not left out. Returns with it the
/// library that moves clocks, if that is needed.
fn as_possible_here(options: &ChaosOptions) -> anyhow::Result<(ChaosOptions, Option<PathBuf>)> {
    const MISSING: &str = "libfaketime is not installed, without which no wall clock can be moved";
    let mut options = options.clone();
    if let Some(build) = &mut options.other_build {
        // Whole, or the system would look for it elsewhere.
        let found = build.canonicalize().ok().filter(|found| found.is_file());
        *build = found.with_context(|| format!("{} is no program", build.display()))?;
    }
    if !options.faults.contains(&FaultKind::Clock) {
        return Ok((options, None));
    }
    let library = Clocks::library();
    if library.is_none() {
        if options.faults.len() < FaultKind::ALL.len() {
            bail!(MISSING);
        }
        terminal::remark(format_args!("{MISSING}: `clock` is left out"));
        options.faults.retain(|kind| *kind != FaultKind::Clock);
    }
    Ok((options, library))
}

async fn try_out(
    options: &ChaosOptions,
    data_dir: &Path,
    names: Vec<String>,
    tools: Tools,
) -> anyhow::Result<bool> {
    let cluster_file = ClusterFile::path_in(data_dir);
    let cluster = ClusterFile::read(&cluster_file)?;
    let shop = Shop::new(cluster.apis())?;
    let edges: Vec<usize> = (0..cluster.nodes.len())
        .filter(|index| cluster.nodes[*index].api.is_some())
        .collect();
    let admin = Credentials::of_admin(data_dir)?;
    terminal::remark("setting up: products and customers");
    let stage = Stage::set(&shop, &admin, shop.nodes() * options.clients, options.rate)
        .await
        .context("cannot set up products and customers")?;
    let stage = Arc::new(stage);
    let facts = report::Facts::collect(options, &names, stage.customers.len(), &tools.database);
    let other_release = OtherRelease::of(options.other_build.as_deref());
    let site = Site {
        cluster_file,
        names,
        network: tools.network,
        database: tools.database,
        database_url: tools.database_url,
        store: tools.store,
        probe: Probe::new()?,
        shop: shop.clone(),
        products: stage.products.clone(),
        clock: Clock::start(),
        clocks: tools.clocks,
        overrides: tools.overrides,
        other_release,
    };
    let plan = Plan {
        kinds: options.faults.clone(),
        in_pairs: options.in_pairs,
        duration: options.duration,
    };
    terminal::remark(format_args!(
        "{} operations a second at {} nodes for {} s, seed {}",
        options.rate,
        shop.nodes(),
        options.duration.as_secs(),
        options.seed
    ));
    let mut seeds = StdRng::seed_from_u64(options.seed);
    let load_seed = seeds.random();
    let (history, (inflictions, unrecovered)) = tokio::join!(
        load::drive(
            &shop,
            &stage,
            &edges,
            site.clock,
            options.duration,
            options.rate,
            load_seed
        ),
        faults::run(&site, &plan, StdRng::from_rng(&mut seeds)),
    );
    let history = history?;
    if inflictions.is_empty() {
        terminal::remark("no fault struck: the run was too short for any, or had too few nodes");
    }
    terminal::remark("collecting what is stored: every order under its key, every ledger");
    // A cluster that is past being asked is the worst that a run can find: it must be told as well.
    let (stored, lost) = told_apart(gather::gather(&shop, &stage, &history).await);
    let is_collected = lost.is_empty();
    let evidence = Evidence {
        history,
        keys: stored.keys,
        listed: stored.listed,
        ledgers: stored.ledgers,
        inflictions,
    };
    let (findings, unaudited) = told_apart(site.store.audit().await.context("cannot audit the database"));
    let mut verdicts = vec![
        Verdict::new(
            "recovery",
            "once a fault is over, every node serves again within a minute",
            format!("{} faults", evidence.inflictions.len()),
            unrecovered,
        ),
        Verdict::new(
            "collection",
            "when all is over, the shop tells what it has stored",
            format!("{} keys", evidence.keys.len()),
            lost.into_iter().chain(unaudited).collect(),
        ),
    ];
    if is_collected {
        verdicts.extend(check::check(&evidence));
    }
    verdicts.extend(findings.into_iter().map(Verdict::from));
    report::print(&evidence, &verdicts);
    report::write(&options.report, &facts, &evidence, &verdicts)?;
    let is_clean = verdicts.iter().all(Verdict::holds);
    let broken = verdicts.iter().filter(|verdict| !verdict.holds()).count();
    terminal::say(if is_clean {
        format!("clean: {} promises were kept", verdicts.len())
    } else {
        format!("BROKEN: {broken} of {} promises were not kept", verdicts.len())
    });
    terminal::say(format_args!("report: {}", options.report.display()));
    terminal::say(format_args!("again:  {}", options.command));
    Ok(is_clean)
}

/// Returns what was got, or nothing and why.
fn told_apart<T: Default>(got: anyhow::Result<T>) -> (T, Vec<String>) {
    match got {
        Ok(got) => (got, Vec::new()),
        Err(error) => (T::default(), vec![format!("{error:#}")]),
    }
}

/// Connects to the database directly, past the relays.
async fn connect(database_url: &str) -> anyhow::Result<Store> {
    let options = StoreOptions {
        max_connections: 2,
        statement_timeout: STATEMENT_TIMEOUT,
        application_name: "holdfast-chaos".to_owned(),
        ..StoreOptions::default()
    };
    Store::connect(database_url, options)
        .await
        .context("cannot connect to the database")
}

/// Where a run's cluster is kept. A temporary directory is removed with it.
struct Home {
    path: PathBuf,
    temporary: Option<TempDir>,
}

impl Home {
    fn make(given: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(path) = given {
            return Ok(Self {
                path: path.to_path_buf(),
                temporary: None,
            });
        }
        // Open to the user that runs Postgres, who is another one if root runs
        // this; what is private in it is closed.
        let directory = tempfile::Builder::new()
            .prefix("holdfast-chaos-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .context("cannot make a directory for the cluster")?;
        Ok(Self {
            path: directory.path().to_path_buf(),
            temporary: Some(directory),
        })
    }

    /// Keeps everything for whoever wants to know what happened.
    fn keep(&mut self) {
        if let Some(directory) = self.temporary.take() {
            self.path = directory.keep();
        }
        terminal::remark(format_args!(
            "logs and database are kept in {}",
            self.path.display()
        ));
    }
}
