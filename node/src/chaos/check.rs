//! The checker: what a history and what is stored afterwards say of the shop's
//! promises.
//!
//! Pure: it looks at [`Evidence`] alone. An operation counts as having taken
//! effect at some moment between its beginning and its end, an unknown one at
//! some moment after its beginning or never; a breach is told only if no such
//! choice of moments excuses it. Versions are dense, so that the order of
//! writes is read rather than searched for.

mod answers;
mod availability;
mod orders;
mod refusals;
#[cfg(test)]
mod sample;
mod sessions;
mod stock;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdfast_store::Finding;
use uuid::Uuid;

use super::faults::Infliction;
use super::history::{Level, Operation};

pub(super) use sessions::REVOKED_WITHIN;

/// The most breaches of one promise that are told in words.
const TOLD_MAX: usize = 10;

/// Everything that there is to judge by.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// What the clients did, in the order in which it began.
    pub(super) history: Vec<Operation>,
    /// What each placement's key says when it is asked again.
    pub(super) keys: BTreeMap<String, KeyNow>,
    /// All orders that each client has, as the shop lists them.
    pub(super) listed: BTreeMap<usize, BTreeSet<Uuid>>,
    /// Each product's ledger, oldest entry first.
    pub(super) ledgers: Vec<Vec<Movement>>,
    /// The faults.
    pub(super) inflictions: Vec<Infliction>,
}

/// What a key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyNow {
    Order(Uuid),
    /// It was refused, as this problem.
    Refused(String),
    /// There was no such answer, but this.
    Unclear(String),
}

/// An entry of a product's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Movement {
    pub(super) kind: Kind,
    pub(super) order: Option<Uuid>,
    pub(super) delta_on_hand: i64,
    pub(super) delta_reserved: i64,
    /// The counters after it; their version is the entry's own.
    pub(super) level: Level,
}

/// Why an entry was made, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Adjustment,
    Reserve,
    /// The initial stock, a release, a shipment.
    Other,
}

/// How one promise fared.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    /// A short name.
    pub(super) invariant: &'static str,
    /// What must hold, in a sentence.
    pub(super) statement: &'static str,
    /// What was looked at.
    pub(super) figure: String,
    /// How often it did not hold.
    pub(super) breaches: usize,
    /// The first breaches, in words.
    pub(super) told: Vec<String>,
}

impl Verdict {
    pub(super) fn new(
        invariant: &'static str,
        statement: &'static str,
        figure: String,
        breaches: Vec<String>,
    ) -> Self {
        Self {
            invariant,
            statement,
            figure,
            breaches: breaches.len(),
            told: breaches.into_iter().take(TOLD_MAX).collect(),
        }
    }

    /// Whether it was kept whenever it was looked at.
    pub(super) fn holds(&self) -> bool {
        self.breaches == 0
    }
}

impl From<Finding> for Verdict {
    fn from(finding: Finding) -> Self {
        let breaches = usize::try_from(finding.breaches).unwrap_or_default();
        Self {
            invariant: finding.invariant,
            statement: finding.statement,
            figure: finding.figure,
            breaches,
            told: (breaches > 0)
                .then(|| format!("{breaches} of what is stored"))
                .into_iter()
                .collect(),
        }
    }
}

/// Judges every promise that the evidence can show.
pub(super) fn check(evidence: &Evidence) -> Vec<Verdict> {
    vec![
        orders::acknowledged(evidence),
        orders::single(evidence),
        stock::ledger(evidence),
        stock::shown(evidence),
        versions::order(evidence),
        refusals::sold_out(evidence),
        sessions::ended(evidence),
        answers::allowed_only(evidence),
        availability::errors(evidence),
    ]
}

/// A time as the report tells it.
fn at(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}
