//! What is measured: clusters of Holdfast, each with a database of its own, and
//! what they are compared with.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use holdfast_store::{Store, StoreOptions, measure::create_database, seed::SeedSize};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::bare::Bare;
use super::bound::Bound;
use super::client::Client;
use super::load::{Load, Pace, Work, count};
use super::meter::{Processes, Spent};
use super::report::{Cell, Measurement};
use super::sql::Sql;
use super::stage::Stage;
use super::work::{Demand, Logins, Orders, Reads};
use super::{BenchOptions, WorkKind};
use crate::cluster_file::ClusterFile;
use crate::config::{Config, Secret};
use crate::credentials::Credentials;
use crate::postgres::Postgres;
use crate::seeding::seed;
use crate::shop::Shop;
use crate::signals::StopSignals;
use crate::up::{Grounds, UpOptions, free_base_port};

/// No order expires while a run lasts.
const PAYMENT_DEADLINE: &str = "12h";
/// Products and customers of orders that are stored before.
const STORED_OF: u32 = 10_000;
/// The audit of millions of orders takes its time.
const AUDIT_WITHIN: Duration = Duration::from_mins(5);

/// Something that is measured.
pub(super) enum Contender {
    Cluster(Box<Cluster>),
    Sql(Sql),
    Bare(Bare),
    Bound(Bound),
}

impl Contender {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Cluster(cluster) => &cluster.name,
            Self::Sql(sql) => sql.name(),
            Self::Bare(_) => Bare::name(),
            Self::Bound(_) => Bound::name(),
        }
    }

    /// Tells whether it does what a cell asks for.
    pub(super) fn suits(&self, cell: &Cell) -> bool {
        match self {
            Self::Cluster(_) => true,
            Self::Sql(_) => Sql::suits(cell),
            Self::Bare(_) => Bare::suits(cell),
            Self::Bound(_) => Bound::suits(cell),
        }
    }

    /// Measures one cell once.
    pub(super) async fn measure(
        &mut self,
        options: &BenchOptions,
        cell: &Cell,
        round: usize,
    ) -> anyhow::Result<Measurement> {
        match self {
            Self::Cluster(cluster) => cluster.measure(options, cell, round).await,
            Self::Sql(sql) => sql.measure(options, cell, round).await,
            Self::Bare(bare) => bare.measure(options, cell, round).await,
            Self::Bound(bound) => bound.measure(options, cell, round).await,
        }
    }

    /// Looks whether what was written is sound, and ends the contender.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        match self {
            Self::Cluster(cluster) => cluster.end().await,
            Self::Sql(_) | Self::Bare(_) | Self::Bound(_) => Ok(()),
        }
    }
}

/// Who may have something left to do when nobody is asked: every cluster's nodes, and the database.
pub(super) fn servers(contenders: &[Contender], postgres: &Postgres) -> Processes {
    let nodes = contenders.iter().filter_map(|contender| match contender {
        Contender::Cluster(cluster) => Some(&cluster.processes.servers),
        Contender::Sql(_) | Contender::Bare(_) | Contender::Bound(_) => None,
    });
    Processes {
        servers: nodes.flatten().copied().collect(),
        postgres: Some(postgres.pid()),
        generators: Vec::new(),
    }
}

/// A cluster of Holdfast.
pub(super) struct Cluster {
    name: String,
    servers: Vec<SocketAddr>,
    processes: Processes,
    shop: Shop,
    stage: Stage,
    store: Store,
    /// Ends the cluster.
    stop: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Cluster {
    /// Launches a cluster and sets its stage.
    pub(super) async fn launch(
        options: &BenchOptions,
        config: &Config,
        home: &Path,
        postgres: &Postgres,
        nodes: usize,
    ) -> anyhow::Result<Self> {
        let name = format!("holdfast-{nodes}");
        let url = new_database(postgres, &name.replace('-', "_")).await?;
        let mut config = config.clone();
        config.postgres.url = Some(Secret::new(url.clone()));
        let data_dir = home.join(&name);
        let up = UpOptions {
            config_file: options.config_file.clone(),
            nodes: Some(nodes),
            data_dir: data_dir.clone(),
            base_port: Some(free_base_port(&config, Some(nodes))?),
            restart: false,
        };
        let mut signals = StopSignals::install()?;
        let Some(grounds) = Grounds::prepare(up, config, &mut signals).await? else {
            bail!("stopped before anything ran");
        };
        if options.stored > 0 {
            let size = SeedSize {
                products: STORED_OF,
                customers: STORED_OF,
                orders: options.stored,
            };
            seed(&url, size).await?;
        }
        let grounds = if options.mail {
            grounds
        } else {
            grounds.without_mail()
        };
        let mut cluster = grounds.launch(&[
            // All of the load comes from one address.
            ("HOLDFAST_LIMITS__ENABLED", "false".to_owned()),
            ("HOLDFAST_ORDERS__PAYMENT_DEADLINE", PAYMENT_DEADLINE.to_owned()),
        ])?;
        cluster.until_ready().await?;
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            let ended = tokio::select! {
                ended = cluster.supervise() => ended,
                _ = stopped => Ok(()),
            };
            let stopped = cluster.stop(&mut signals).await;
            ended.and(stopped)
        });
        let file = ClusterFile::read(&ClusterFile::path_in(&data_dir))?;
        let shop = Shop::new(file.apis())?;
        let admin = Credentials::of_admin(&data_dir)?;
        let clients = options.clients.iter().copied().max().unwrap_or(1);
        let stage = Stage::set(&shop, &admin, clients, options.products)
            .await
            .context("cannot set up products and customers")?;
        let store = connect(&url).await?;
        let servers = file.nodes.iter().filter_map(|node| node.api.as_deref());
        Ok(Self {
            name,
            servers: servers.map(address_of).collect::<anyhow::Result<_>>()?,
            processes: Processes {
                servers: file.nodes.iter().map(|node| node.pid).collect(),
                postgres: Some(postgres.pid()),
                generators: vec![std::process::id()],
            },
            shop,
            stage,
            store,
            stop,
            running,
        })
    }

    pub(super) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Reads a product: what a bare server is to answer.
    pub(super) async fn read_one(&self) -> anyhow::Result<(HeaderMap, Bytes)> {
        let product = self.stage.products.first().context("there are no products")?;
        let request = Request::get(format!("/v1/products/{product}"))
            .header("host", "localhost")
            .body(Full::default())?;
        let server = *self.servers.first().context("there is no node")?;
        Client::new(server).read(request).await
    }

    async fn measure(
        &mut self,
        options: &BenchOptions,
        cell: &Cell,
        round: usize,
    ) -> anyhow::Result<Measurement> {
        self.stage.freshen(&self.shop).await?;
        let demand = Demand::new(&self.stage.products, cell.spread)?;
        let work: Arc<dyn Work> = match cell.work {
            WorkKind::Orders => Arc::new(Orders::new(&self.stage, demand, cell.lines)),
            WorkKind::Reads => Arc::new(Reads::new(demand)),
            WorkKind::Logins => Arc::new(Logins::new(&self.stage)),
        };
        let (mut before, mut after) = (Spent::default(), Spent::default());
        let log_before = self.store.log_position().await?;
        let tally = load(options, cell, self.servers.clone())
            .run(
                work,
                || before = self.processes.spent(),
                || after = self.processes.spent(),
            )
            .await?;
        let log_bytes = self.store.log_position().await? - log_before;
        Ok(Measurement {
            memory_mib: count(self.processes.resident() >> 20),
            stored: options.stored,
            ..Measurement::new(
                &self.name,
                *cell,
                round,
                &tally,
                &after.since(&before),
                log_bytes,
                options.counted_share(),
            )
        })
    }

    async fn end(self) -> anyhow::Result<()> {
        let findings = self.store.audit().await.context("cannot audit the database")?;
        let broken: Vec<String> = findings
            .iter()
            .filter(|finding| finding.breaches > 0)
            .map(|finding| format!("{}: {} breaches", finding.invariant, finding.breaches))
            .collect();
        let _ = self.stop.send(());
        self.running.await??;
        if !broken.is_empty() {
            bail!("{} is not sound: {}", self.name, broken.join("; "));
        }
        Ok(())
    }
}

/// The load of a cell on some servers.
pub(super) fn load(options: &BenchOptions, cell: &Cell, servers: Vec<SocketAddr>) -> Load {
    Load {
        servers,
        clients: cell.clients,
        pace: cell
            .offered
            .map_or(Pace::Closed, |rate| Pace::Open(f64::from(rate))),
        warm_up: options.warm_up,
        duration: options.duration,
    }
}

/// Makes a database on the run's own server; returns its URL.
pub(super) async fn new_database(postgres: &Postgres, name: &str) -> anyhow::Result<String> {
    create_database(postgres.url(), name)
        .await
        .context("cannot make a database")?;
    let mut url = reqwest::Url::parse(postgres.url())?;
    url.set_path(name);
    Ok(url.into())
}

pub(super) async fn connect(url: &str) -> anyhow::Result<Store> {
    let options = StoreOptions {
        max_connections: 1,
        statement_timeout: AUDIT_WITHIN,
        application_name: "holdfast-bench".to_owned(),
        ..StoreOptions::default()
    };
    Store::connect(url, options)
        .await
        .context("cannot connect to the database")
}

fn address_of(base_url: &str) -> anyhow::Result<SocketAddr> {
    let address = base_url
        .strip_prefix("http://")
        .context("an API has no HTTP address")?;
    Ok(address.parse()?)
}
