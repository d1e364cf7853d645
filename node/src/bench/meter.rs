//! What a run costs in processor time, by process. It is read from `/proc`; where there is none,
//! it is not told.

use std::collections::BTreeMap;
use std::fs;

/// How `/proc` counts processor time, in microseconds: 100 ticks a second, on every Linux that runs
/// this.
const TICK_US: u64 = 10_000;

/// How `/proc` counts memory: in pages of this length, on most machines.
const PAGE_BYTES: u64 = 4_096;

/// Whose processor time is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The nodes, or the server that stands for them.
    Server,
    /// Every process of Postgres.
    Postgres,
    /// The load generator.
    Generator,
}

/// Processes by the part they have.
#[derive(Clone, Debug, Default)]
pub(super) struct Processes {
    pub(super) servers: Vec<u32>,
    /// Postgres's first process; the others are its children.
    pub(super) postgres: Option<u32>,
    pub(super) generators: Vec<u32>,
}

/// Processor time so far, in microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Spent(BTreeMap<Part, u64>);

impl Processes {
    /// Reads how much processor time each part has used so far.
    pub(super) fn spent(&self) -> Spent {
        let mut spent = BTreeMap::new();
        let mut add = |part, pid: u32| {
            if let Some(ticks) = ticks_of(pid) {
                *spent.entry(part).or_default() += ticks * TICK_US;
            }
        };
        for pid in &self.servers {
            add(Part::Server, *pid);
        }
        for pid in &self.generators {
            add(Part::Generator, *pid);
        }
        if let Some(pid) = self.postgres {
            add(Part::Postgres, pid);
            for child in children_of(pid) {
                add(Part::Postgres, child);
            }
        }
        Spent(spent)
    }
}

impl Processes {
    /// Reads how much memory the servers hold, in bytes.
    pub(super) fn resident(&self) -> u64 {
        self.servers.iter().filter_map(|pid| resident_of(*pid)).sum()
    }
}

impl Spent {
    /// Returns what was used since `earlier`, by part.
    pub(super) fn since(&self, earlier: &Self) -> BTreeMap<Part, u64> {
        let used = self.0.iter().map(|(part, now)| {
            let before = earlier.0.get(part).copied().unwrap_or_default();
            (*part, now.saturating_sub(before))
        });
        used.collect()
    }
}

/// Reads the ticks that a process, and those of its children that it has waited for, have used.
fn ticks_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name, in brackets, and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = fields.get(11..15)?;
    ticks.iter().map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn resident_of(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

fn children_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    tasks
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
