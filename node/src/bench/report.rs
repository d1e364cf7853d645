//! Results, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::load::{Tally, count};
use super::meter::Part;
use super::{BenchOptions, Spread, WorkKind, plot};
use crate::postgres::Postgres;
use crate::terminal;

/// Names what was built, if whoever runs this knows.
const COMMIT: &str = "HOLDFAST_COMMIT";

/// What is measured at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) work: WorkKind,
    pub(crate) spread: Spread,
    pub(crate) lines: usize,
    pub(crate) clients: usize,
    /// Requests a second, if they do not wait for answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) offered: Option<u32>,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.spread.name(), self.work.name())?;
        if self.work == WorkKind::Orders && self.lines > 1 {
            write!(f, " of {} lines", self.lines)?;
        }
        write!(f, ", {} clients", self.clients)?;
        if let Some(rate) = self.offered {
            write!(f, ", {rate}/s")?;
        }
        Ok(())
    }
}

/// What came of measuring a cell once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) contender: String,
    #[serde(flatten)]
    pub(crate) cell: Cell,
    pub(crate) round: usize,
    /// Good answers a second.
    pub(crate) rate: f64,
    /// Latencies of good answers, in milliseconds.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Requests that were turned away with 503.
    pub(crate) refused: u64,
    /// How long it took to turn them away, in milliseconds.
    pub(crate) refused_p99_ms: f64,
    pub(crate) failed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
    /// Processor time of a good answer, in microseconds.
    pub(crate) server_us: f64,
    pub(crate) postgres_us: f64,
    pub(crate) generator_us: f64,
    /// Bytes in Postgres's log for a good answer.
    pub(crate) log_bytes: f64,
    /// What the nodes hold in memory at the end, in MiB.
    pub(crate) memory_mib: f64,
    /// Orders that a cluster's database held before anything was measured.
    pub(crate) stored: u64,
}

impl Measurement {
    pub(super) fn new(
        contender: &str,
        cell: Cell,
        round: usize,
        tally: &Tally,
        spent_us: &BTreeMap<Part, u64>,
        log_bytes: u64,
        share: f64,
    ) -> Self {
        let answers = count(tally.latencies.len()).max(1.0);
        let per_answer = |part| count(spent_us.get(&part).copied().unwrap_or_default()) / answers;
        let ms = |us: u64| count(us) / 1_000.0;
        Self {
            contender: contender.to_owned(),
            cell,
            round,
            rate: tally.rate(),
            p50_ms: ms(tally.latencies.value_at_quantile(0.5)),
            p99_ms: ms(tally.latencies.value_at_quantile(0.99)),
            max_ms: ms(tally.latencies.max()),
            refused: tally.refusals.len(),
            refused_p99_ms: ms(tally.refusals.value_at_quantile(0.99)),
            failed: tally.failed,
            failure: tally.failure.clone(),
            server_us: per_answer(Part::Server),
            postgres_us: per_answer(Part::Postgres),
            generator_us: per_answer(Part::Generator),
            log_bytes: count(log_bytes) * share / answers,
            memory_mib: 0.0,
            stored: 0,
        }
    }
}

/// Tells of one measurement as soon as it is made.
pub(super) fn remark(measured: &Measurement) {
    terminal::remark(format_args!(
        "{:12} {:36} {:8.0}/s  p50 {:7.2} ms  p99 {:7.2} ms  cpu us {:5.0} + {:5.0} pg + {:5.0} gen  log {:5.0} B  {:4.0} MiB  refused {} (p99 {:.1} ms) failed {}{}",
        measured.contender,
        measured.cell.to_string(),
        measured.rate,
        measured.p50_ms,
        measured.p99_ms,
        measured.server_us,
        measured.postgres_us,
        measured.generator_us,
        measured.log_bytes,
        measured.memory_mib,
        measured.refused,
        measured.refused_p99_ms,
        measured.failed,
        measured
            .failure
            .as_deref()
            .map(|why| format!(" ({why})"))
            .unwrap_or_default(),
    ));
}

/// Tells the results: what each contender does, and how many times as much as what it is compared with
/// in the same round.
pub(super) fn tell(options: &BenchOptions, facts: Facts, measurements: &[Measurement]) -> anyhow::Result<()> {
    let mut cells: Vec<Cell> = measurements.iter().map(|measured| measured.cell).collect();
    cells.sort_unstable();
    cells.dedup();
    let mut table = terminal::table([
        "what",
        "who",
        "a second",
        "p50 ms",
        "p99 ms",
        "times",
        "of bound",
        "cpu us",
        "of it pg",
        "log bytes",
        "not done",
    ]);
    for cell in cells {
        let of_cell: Vec<&Measurement> = measurements.iter().filter(|one| one.cell == cell).collect();
        let mut names: Vec<&str> = of_cell.iter().map(|one| one.contender.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let own: Vec<&Measurement> = of_cell
                .iter()
                .copied()
                .filter(|one| one.contender == name)
                .collect();
            let spread = |value: fn(&Measurement) -> f64| Values::of(own.iter().map(|one| value(one)));
            let times = own
                .iter()
                .filter_map(|one| Some(one.rate / compared(&of_cell, one)?));
            let of_bound = own
                .iter()
                .filter_map(|one| Some(100.0 * one.rate / bound(&of_cell, one)?));
            let not_done: u64 = own.iter().map(|one| one.refused + one.failed).sum();
            table.add_row([
                cell.to_string(),
                name.to_owned(),
                spread(|one| one.rate).told(0),
                spread(|one| one.p50_ms).told(1),
                spread(|one| one.p99_ms).told(1),
                Values::of(times).told(2),
                Values::of(of_bound).told(0),
                spread(|one| one.server_us + one.postgres_us).told(0),
                spread(|one| one.postgres_us).told(0),
                spread(|one| one.log_bytes).told(0),
                not_done.to_string(),
            ]);
        }
    }
    terminal::say(table);
    terminal::say(format_args!(
        "{}, {} on {}, {}",
        facts.build, facts.database, facts.machine, facts.begun
    ));
    terminal::say(format_args!(
        "medians of {} rounds, and the least and the most; times: against the faster SQL, or the bare library, of the same round; of bound: percent of what is possible",
        options.rounds
    ));
    if let Some(path) = &options.json {
        let all = Results { facts, measurements };
        std::fs::write(path, serde_json::to_vec_pretty(&all)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &options.plot {
        plot::draw(path, measurements)?;
    }
    Ok(())
}

/// Reads what [`tell`] has written as JSON.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Measurement>> {
    #[derive(Deserialize)]
    struct Written {
        measurements: Vec<Measurement>,
    }
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let written: Written = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what `bench --json` writes", path.display()))?;
    Ok(written.measurements)
}

/// Finds what a cluster's measurement is compared with: the best in its round of what is no cluster.
fn compared(of_cell: &[&Measurement], measured: &Measurement) -> Option<f64> {
    let is_reference = |one: &Measurement| !is_cluster(one) && one.contender != Bound::name();
    if !is_cluster(measured) {
        return None;
    }
    let same_round = of_cell
        .iter()
        .filter(|one| one.round == measured.round && is_reference(one));
    same_round.map(|one| one.rate).max_by(f64::total_cmp)
}

/// Finds what was possible in the round of a cluster's measurement.
fn bound(of_cell: &[&Measurement], measured: &Measurement) -> Option<f64> {
    let mut same_round = of_cell.iter().filter(|one| one.round == measured.round);
    let bound = same_round.find(|one| one.contender == Bound::name())?;
    is_cluster(measured).then_some(bound.rate)
}

fn is_cluster(one: &Measurement) -> bool {
    one.contender.starts_with("holdfast")
}

/// The median of some values, the least and the most.
pub(crate) struct Values {
    sorted: Vec<f64>,
}

impl Values {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self { sorted }
    }

    pub(crate) fn median(&self) -> Option<f64> {
        let (low, high) = (self.sorted.len().checked_sub(1)? / 2, self.sorted.len() / 2);
        Some(f64::midpoint(self.sorted[low], self.sorted[high]))
    }

    pub(crate) fn most(&self) -> Option<f64> {
        self.sorted.last().copied()
    }

    /// Puts it into words, with so many decimals; nothing if there is nothing to tell.
    fn told(&self, decimals: usize) -> String {
        match (self.median(), &self.sorted[..]) {
            (Some(median), [_]) => format!("{median:.decimals$}"),
            (Some(median), [least, .., most]) => {
                format!("{median:.decimals$} ({least:.decimals$} to {most:.decimals$})")
            }
            _ => String::new(),
        }
    }
}

/// What a run is told with.
#[derive(Serialize)]
struct Results<'a> {
    #[serde(flatten)]
    facts: Facts,
    measurements: &'a [Measurement],
}

/// What was run, on what.
#[derive(Serialize)]
pub(super) struct Facts {
    command: String,
    build: String,
    database: String,
    machine: String,
    begun: String,
}

impl Facts {
    /// Collects them, at the beginning.
    pub(super) fn collect(options: &BenchOptions, postgres: &Postgres) -> Self {
        let profile = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        let cores = available_parallelism().map_or(0, usize::from);
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let time = time::OffsetDateTime::now_utc();
        let commit = std::env::var(COMMIT).map_or_else(|_| String::new(), |commit| format!(" ({commit})"));
        Self {
            command: options.command.clone(),
            build: format!("holdfast {}{commit}, {profile}", env!("CARGO_PKG_VERSION")),
            database: format!("PostgreSQL {}", postgres.installation().major),
            machine: format!(
                "{cores} cores, {} {} {}",
                std::env::consts::OS,
                kernel.trim(),
                std::env::consts::ARCH
            ),
            begun: format!("{} {:02}:{:02} UTC", time.date(), time.hour(), time.minute()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(contender: &str, round: usize, rate: f64) -> Measurement {
        let cell = Cell {
            work: WorkKind::Orders,
            spread: Spread::Hot,
            lines: 1,
            clients: 64,
            offered: None,
        };
        let tally = Tally::new(std::time::Duration::from_secs(1));
        Measurement {
            rate,
            ..Measurement::new(contender, cell, round, &tally, &BTreeMap::new(), 0, 1.0)
        }
    }

    #[test]
    fn a_cluster_is_compared_with_the_best_reference_of_its_own_round() {
        let all = [
            measured("holdfast-1", 0, 900.0),
            measured("sql-1", 0, 100.0),
            measured("sql-4", 0, 60.0),
            measured("bound", 0, 1_000.0),
            measured("holdfast-1", 1, 800.0),
            measured("sql-1", 1, 50.0),
        ];
        let all: Vec<&Measurement> = all.iter().collect();
        assert_eq!(compared(&all, all[0]), Some(100.0));
        assert_eq!(compared(&all, all[4]), Some(50.0));
        assert_eq!(compared(&all, all[1]), None);
        assert_eq!(bound(&all, all[0]), Some(1_000.0));
        assert_eq!(bound(&all, all[4]), None);
    }

    #[test]
    fn a_spread_is_told_by_its_median_and_its_ends() {
        let told = |values: &[f64]| Values::of(values.iter().copied()).told(1);
        assert_eq!(told(&[]), "");
        assert_eq!(told(&[2.0]), "2.0");
        assert_eq!(told(&[3.0, 1.0]), "2.0 (1.0 to 3.0)");
        assert_eq!(told(&[5.0, 1.0, 3.0]), "3.0 (1.0 to 5.0)");
    }
}
