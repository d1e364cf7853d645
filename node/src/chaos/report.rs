//! The report: figures on the terminal, and a page that needs nothing but a
//! browser.

mod facts;
mod figures;
mod page;
mod plots;

use std::path::Path;

use anyhow::Context;

use super::check::{Evidence, Verdict};
use crate::terminal;
pub(super) use facts::Facts;
use figures::{Figures, milliseconds};

/// Prints latencies by kind of operation, and the verdicts.
pub(super) fn print(evidence: &Evidence, verdicts: &[Verdict]) {
    let figures = Figures::of(evidence);
    let mut table = terminal::table(["operation", "count", "p50", "p99", "max"]);
    for (kind, latencies) in &figures.latencies {
        table.add_row([
            (*kind).to_owned(),
            latencies.len().to_string(),
            milliseconds(latencies.percentile(50)),
            milliseconds(latencies.percentile(99)),
            milliseconds(latencies.percentile(100)),
        ]);
    }
    terminal::say(table);
    let mut table = terminal::table([
        "fault",
        "times",
        "served again after",
        "worst",
        "longest without a write",
        "failed at its nodes",
        "failed elsewhere",
    ]);
    for recovery in &figures.recoveries {
        table.add_row([
            recovery.kind.to_string(),
            recovery.back.len().to_string(),
            milliseconds(recovery.back.percentile(50)),
            milliseconds(recovery.back.percentile(100)),
            milliseconds(recovery.gap.percentile(100)),
            recovery.failures.at_victims.to_string(),
            recovery.failures.elsewhere.to_string(),
        ]);
    }
    terminal::say(table);
    let mut table = terminal::table(["promise", "what must hold", "looked at", "breaches"]);
    for verdict in verdicts {
        table.add_row([
            verdict.invariant,
            verdict.statement,
            &verdict.figure,
            &verdict.breaches.to_string(),
        ]);
    }
    terminal::say(table);
    for verdict in verdicts {
        for breach in &verdict.told {
            terminal::say(format_args!("BREACH of {}: {breach}", verdict.invariant));
        }
    }
}

/// Writes the page to the file at `path`.
pub(super) fn write(
    path: &Path,
    facts: &Facts,
    evidence: &Evidence,
    verdicts: &[Verdict],
) -> anyhow::Result<()> {
    let page = page::render(facts, evidence, verdicts)?;
    std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))
}
