//! `holdfast up`: a whole cluster on this machine, from nothing.
//!
//! Each node is a process of its own, a child of this one, and so is the
//! embedded database. In order:
//!
//! 1. take the data directory ([`data_dir`]), plan the nodes, try their ports
//!    ([`mod@plan`]);
//! 2. find or start the database ([`database`]), migrate it, make the first
//!    administrator ([`admin`]);
//! 3. launch the nodes ([`member`]) and wait until all are ready;
//! 4. keep everything running ([`supervisor`]) until asked to stop; then drain
//!    the nodes and stop the database last.
//!
//! Invariant: no child outlives this process, and `run/cluster.json` names the
//! processes that run now.

mod admin;
mod backoff;
mod data_dir;
mod database;
mod log_file;
mod member;
mod overrides;
mod plan;
mod progress;
mod summary;
mod supervisor;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

pub use data_dir::{DataDir, DataDirError};
pub(crate) use plan::free_base_port;
pub use plan::{DEFAULT_BASE_PORT, NodePlan, PlanError, plan};

use crate::config::Config;
use crate::postgres::{Phase, Postgres, PostgresOptions};
use crate::setup::Setup;
use crate::signals::StopSignals;
use crate::terminal;
use admin::Admin;
use database::Database;
pub(crate) use database::Instance;
use member::Launch;
pub(crate) use overrides::Overrides;
use plan::check_ports;
use progress::Step;
use supervisor::Supervisor;

/// Connections beside the nodes': tools, migrations, and what a restarted node
/// opens while the old one's are being closed.
const SPARE_CONNECTIONS: u32 = 40;

/// How long a database of ours gets to stop.
const DATABASE_STOP: Duration = Duration::from_secs(3);

/// What to run.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// The settings' file, if there is one.
    pub config_file: Option<PathBuf>,
    /// How many nodes; as many as the settings list, if absent.
    pub nodes: Option<usize>,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The first node's API port; the addresses in the settings, if absent.
    pub base_port: Option<u16>,
    /// Whether a node that dies is started again.
    pub restart: bool,
}

/// Runs the cluster until a signal asks to stop.
pub async fn run(options: UpOptions, config: Config) -> anyhow::Result<()> {
    let mut signals = StopSignals::install()?;
    let Some(grounds) = Grounds::prepare(options, config, &mut signals).await? else {
        return Ok(());
    };
    let mut cluster = grounds.launch(&[])?;
    let ended = tokio::select! {
        ended = cluster.run_until_it_fails() => ended,
        signal = signals.next() => {
            terminal::remark(format_args!("{signal}: stopping"));
            Ok(())
        }
    };
    let stopped = cluster.stop(&mut signals).await;
    ended.and(stopped)
}

/// What has to be there before the first node starts.
pub(crate) struct Grounds {
    began: Instant,
    options: UpOptions,
    config: Config,
    data_dir: DataDir,
    /// The nodes that are to run. They may still be sent other ways than the
    /// straight ones.
    pub(crate) plans: Vec<NodePlan>,
    database: Database,
    admin: Admin,
    /// Whether mail is spooled if the settings say nothing about mail.
    spools: bool,
    /// What single nodes are launched with, then and later.
    pub(crate) overrides: Overrides,
}

impl Grounds {
    /// Takes the data directory, starts the database and brings it up to date;
    /// nothing if a signal asked to stop meanwhile.
    pub(crate) async fn prepare(
        options: UpOptions,
        config: Config,
        signals: &mut StopSignals,
    ) -> anyhow::Result<Option<Self>> {
        let began = Instant::now();
        let data_dir = DataDir::acquire(&options.data_dir)?;
        // A file that a killed launcher left behind names nobody any more.
        let _ = std::fs::remove_file(data_dir.cluster_file());
        let plans = plan(&config, options.nodes, options.base_port)?;
        check_ports(&plans)?;
        let (database, admin) = tokio::select! {
            prepared = prepare(&config, plans.len(), &data_dir) => prepared?,
            signal = signals.next() => {
                // What was started so far ends with its handle, or with us.
                terminal::remark(format_args!("{signal}: stopping before anything ran"));
                return Ok(None);
            }
        };
        Ok(Some(Self {
            began,
            options,
            config,
            data_dir,
            plans,
            database,
            admin,
            spools: true,
            overrides: Overrides::default(),
        }))
    }

    /// Has no mail written unless the settings say where to.
    pub(crate) fn without_mail(self) -> Self {
        Self {
            spools: false,
            ..self
        }
    }

    /// The database's URL, which may hold a password.
    pub(crate) fn database_url(&self) -> &str {
        self.database.url()
    }

    /// The database's server, if it is ours.
    pub(crate) fn instance(&self) -> Option<&Instance> {
        self.database.instance()
    }

    /// Stops the database, if it is ours. No node was launched.
    pub(crate) async fn leave(self) -> anyhow::Result<()> {
        Ok(self.database.stop(DATABASE_STOP).await?)
    }

    /// Launches the nodes, with `variables` in their environment.
    pub(crate) fn launch(self, variables: &[(&str, String)]) -> anyhow::Result<Cluster> {
        let config = &self.config;
        let launch = Launch {
            program: std::env::current_exe().context("cannot find this program")?,
            config: absolute(self.options.config_file.as_deref())?,
            database_url: self.database.url().to_owned(),
            cookie_file: match &config.cluster.cookie_file {
                Some(path) => path.clone(),
                None => self.data_dir.cookie_file()?,
            },
            mail_dir: (self.spools && config.mail.smtp_url.is_none() && config.mail.spool_dir.is_none())
                .then(|| self.data_dir.mail_dir()),
            variables: variables
                .iter()
                .map(|(name, text)| ((*name).to_owned(), text.clone()))
                .collect(),
            overrides: self.overrides,
        };
        let supervisor = Supervisor::launch(
            self.plans,
            launch,
            self.database,
            &self.data_dir,
            self.options.restart,
        )?;
        Ok(Cluster {
            began: self.began,
            config: self.config,
            data_dir: self.data_dir,
            admin: self.admin,
            supervisor,
        })
    }
}

/// A cluster whose nodes have been launched. It runs while one of its methods
/// is waited for.
pub(crate) struct Cluster {
    began: Instant,
    config: Config,
    data_dir: DataDir,
    admin: Admin,
    supervisor: Supervisor,
}

impl Cluster {
    /// Waits until every node is ready.
    pub(crate) async fn until_ready(&mut self) -> anyhow::Result<()> {
        let mut step = Step::begin("nodes");
        self.supervisor
            .until_ready(self.config.timeouts.startup, &mut step)
            .await?;
        step.done("all ready");
        Ok(())
    }

    /// Keeps everything running until it is dropped, or fails.
    pub(crate) async fn supervise(&mut self) -> anyhow::Result<()> {
        self.supervisor.supervise().await
    }

    /// Drains the nodes and stops the database last.
    pub(crate) async fn stop(self, signals: &mut StopSignals) -> anyhow::Result<()> {
        let timeouts = &self.config.timeouts;
        self.supervisor
            .stop(timeouts.drain_notice + timeouts.drain, signals)
            .await
    }

    async fn run_until_it_fails(&mut self) -> anyhow::Result<()> {
        self.until_ready().await?;
        summary::print(
            self.supervisor.members(),
            &self.admin,
            &self.config,
            &self.data_dir,
            self.began.elapsed(),
        );
        self.supervise().await
    }
}

async fn prepare(config: &Config, nodes: usize, data_dir: &DataDir) -> anyhow::Result<(Database, Admin)> {
    let database = match &config.postgres.url {
        Some(url) => Database::External {
            url: url.reveal().to_owned(),
        },
        None => start_postgres(config, nodes, data_dir.root()).await?,
    };
    let mut step = Step::begin("migrate");
    step.update("bringing the schema up to date");
    let setup = Setup::connect(database.url(), config).await?;
    match setup.migrate().await? {
        0 => step.done("schema is current"),
        moved => step.done(&format!(
            "schema is current; {moved} events of another server were put behind this one's transactions"
        )),
    }
    let mut step = Step::begin("admin");
    step.update("looking for an administrator");
    let admin = admin::ensure(&setup, data_dir).await?;
    step.done("there is an administrator");
    setup.close().await;
    Ok((database, admin))
}

async fn start_postgres(config: &Config, nodes: usize, data_dir: &Path) -> anyhow::Result<Database> {
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
    let options = PostgresOptions {
        max_connections: config
            .postgres
            .max_connections
            .saturating_mul(nodes)
            .saturating_add(SPARE_CONNECTIONS),
        ..PostgresOptions::new(data_dir)
    };
    let mut step = Step::begin("postgres");
    let (postgres, step) = tokio::task::spawn_blocking(move || {
        let started = Postgres::start_reporting(options, &mut |phase| step.update(told(&phase)));
        started.map(|postgres| (postgres, step))
    })
    .await
    .context("starting PostgreSQL panicked")??;
    step.done(&format!(
        "{}, files in {}",
        postgres.installation(),
        postgres.directory().display()
    ));
    Ok(Database::embedded(postgres))
}

fn told(phase: &Phase) -> String {
    match phase {
        Phase::Discovering => "looking for PostgreSQL".to_owned(),
        Phase::Fetching => "none installed; fetching one (13 MB)".to_owned(),
        Phase::Initialising(found) => format!("making a database with {found}"),
        Phase::Starting(found) => format!("starting {found}"),
    }
}

fn absolute(path: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    path.map(|path| std::path::absolute(path).with_context(|| format!("cannot resolve {}", path.display())))
        .transpose()
}
