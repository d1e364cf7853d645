//! What Holdfast is compared with: the same rows in SQL alone, one order a
//! transaction, without HTTP, sent by `pgbench`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use holdfast_store::Store;
use nix::sys::signal::Signal;

use super::contender::{connect, new_database};
use super::load::Tally;
use super::meter::Processes;
use super::report::{Cell, Measurement};
use super::work::{Spread, ZIPF_EXPONENT};
use super::{BenchOptions, WorkKind};
use crate::config::Config;
use crate::postgres::Postgres;
use crate::process::spawn_bound;
use crate::setup::Setup;

/// Units of each product: more than a run can sell.
const STOCK: u32 = 1_000_000_000;
/// Threads of `pgbench`: one for each core of a small machine.
const THREADS: &str = "2";

/// How an order is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As one statement.
    One,
    /// As a transaction of four, between BEGIN and COMMIT.
    Four,
}

impl Form {
    const fn name(self) -> &'static str {
        match self {
            Self::One => "sql-1",
            Self::Four => "sql-4",
        }
    }

    const fn script(self) -> &'static str {
        match self {
            Self::One => include_str!("sql/one_statement.sql"),
            Self::Four => include_str!("sql/four_statements.sql"),
        }
    }
}

/// A database that `pgbench` writes orders into.
pub(super) struct Sql {
    form: Form,
    program: PathBuf,
    products: usize,
    database: String,
    sockets: PathBuf,
    scratch: PathBuf,
    store: Store,
    postgres: u32,
}

impl Sql {
    /// Makes a database with the shop's schema and its products; nothing if there is no `pgbench`.
    pub(super) async fn new(
        options: &BenchOptions,
        config: &Config,
        home: &Path,
        postgres: &Postgres,
        form: Form,
    ) -> anyhow::Result<Option<Self>> {
        let Some(program) = find_pgbench(&postgres.installation().bin) else {
            return Ok(None);
        };
        let database = form.name().replace('-', "_");
        let url = new_database(postgres, &database).await?;
        let setup = Setup::connect(&url, config).await?;
        setup.migrate().await?;
        setup.close().await;
        let store = connect(&url).await?;
        let products = u32::try_from(options.products)?;
        store
            .seed_products(products, STOCK)
            .await
            .context("cannot make products")?;
        let sockets = postgres.socket();
        let sockets = sockets.parent().context("a socket is in a directory")?;
        Ok(Some(Self {
            form,
            program,
            products: options.products,
            database,
            sockets: sockets.to_path_buf(),
            scratch: home.to_path_buf(),
            store,
            postgres: postgres.pid(),
        }))
    }

    pub(super) const fn name(&self) -> &'static str {
        self.form.name()
    }

    /// Tells whether there is a script for a cell.
    pub(super) fn suits(cell: &Cell) -> bool {
        cell.work == WorkKind::Orders && cell.lines == 1
    }

    /// Measures one cell once.
    pub(super) async fn measure(
        &self,
        options: &BenchOptions,
        cell: &Cell,
        round: usize,
    ) -> anyhow::Result<Measurement> {
        let script = self.scratch.join(format!("{}.sql", self.name()));
        fs::write(
            &script,
            format!("{}\n{}", self.draw(cell.spread), self.form.script()),
        )?;
        let logs = self.scratch.join(format!("{}-log", self.name()));
        let seconds = (options.warm_up + options.duration).as_secs();
        let mut command = Command::new(&self.program);
        command
            .args([
                "--no-vacuum",
                "--protocol=prepared",
                "--log",
                "--username=postgres",
            ])
            .arg("--host")
            .arg(&self.sockets)
            .arg("--file")
            .arg(&script)
            .arg(format!("--log-prefix={}", logs.display()))
            .arg(format!("--client={}", cell.clients))
            .args(["--jobs", if cell.clients > 1 { THREADS } else { "1" }])
            .arg(format!("--time={seconds}"))
            // Latency counts from when a transaction was due.
            .args(cell.offered.map(|rate| format!("--rate={rate}")))
            .arg(&self.database)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let log_before = self.store.log_position().await?;
        let child = spawn_bound(command, Signal::SIGKILL).context("cannot run pgbench")?;
        let processes = Processes {
            servers: Vec::new(),
            postgres: Some(self.postgres),
            generators: vec![child.id()],
        };
        let pid = child.id();
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
        tokio::time::sleep(options.warm_up).await;
        let (before, from) = (processes.spent(), SystemTime::now());
        tokio::time::sleep(options.duration.saturating_sub(Duration::from_millis(50))).await;
        let after = processes.spent();
        let output = ended.await??;
        if !output.status.success() {
            bail!(
                "pgbench failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let log_bytes = self.store.log_position().await? - log_before;
        let from = from.duration_since(UNIX_EPOCH)?;
        let tally = read_logs(&logs, pid, from, from + options.duration)?;
        Ok(Measurement::new(
            self.name(),
            *cell,
            round,
            &tally,
            &after.since(&before),
            log_bytes,
            options.counted_share(),
        ))
    }

    /// Draws the product that is wanted, in `pgbench`'s own words.
    fn draw(&self, spread: Spread) -> String {
        match spread {
            Spread::Hot => "\\set product 0".to_owned(),
            Spread::Uniform => format!("\\set product random(0, {})", self.products.saturating_sub(1)),
            Spread::Zipf => format!(
                "\\set product random_zipfian(1, {}, {ZIPF_EXPONENT}) - 1",
                self.products.max(1)
            ),
        }
    }
}

fn find_pgbench(bin: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(bin.to_path_buf()).chain(std::env::split_paths(&path));
    directories
        .map(|directory| directory.join("pgbench"))
        .find(|program| program.is_file())
}

/// Reads the logs of `pgbench`, a file for each thread and a line for each transaction:
/// `client number microseconds script second microsecond`. Removes them.
fn read_logs(prefix: &Path, pid: u32, from: Duration, until: Duration) -> anyhow::Result<Tally> {
    let mut tally = Tally::new(until.saturating_sub(from));
    let name = prefix
        .file_name()
        .context("the prefix has a name")?
        .to_string_lossy()
        .into_owned();
    let mine = format!("{name}.{pid}");
    for entry in fs::read_dir(prefix.parent().context("the prefix is in a directory")?)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file != mine && !file.starts_with(&format!("{mine}.")) {
            continue;
        }
        for line in fs::read_to_string(entry.path())?.lines() {
            let fields: Vec<u64> = line.split(' ').map_while(|field| field.parse().ok()).collect();
            let [_, _, took_us, _, second, microsecond, ..] = fields[..] else {
                tally.fail(|| format!("pgbench logged {line:?}"));
                continue;
            };
            let at = Duration::from_secs(second) + Duration::from_micros(microsecond);
            if (from..until).contains(&at) {
                tally.latencies.saturating_record(took_us);
            }
        }
        fs::remove_file(entry.path())?;
    }
    Ok(tally)
}
