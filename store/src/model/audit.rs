//! The audit: what stands in the tables and breaks a promise.
//!
//! The checks are those of [`Store::audit`](crate::Store::audit), under the same names and with a
//! breach for each row that these count; without accounts and sessions, which the model does not have.
//! Two see more than tables show: `leases` and `operations`.

mod history;
mod orders;
mod stock;

use std::fmt;

use super::{Model, tables::Tables};

/// Something that breaks a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The promise's short name, such as `counters`.
    pub invariant: &'static str,
    /// What breaks it.
    pub detail: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// Finds what breaks one promise.
type Check = fn(&Tables) -> Vec<String>;

/// The checks, by the names of their promises.
const CHECKS: &[(&str, Check)] = &[
    ("counters", stock::counters),
    ("ledger", stock::ledger),
    ("oversold", stock::oversold),
    ("reserved", stock::reserved),
    ("reservations", stock::reservations),
    ("orphans", orders::orphans),
    ("keys", orders::keys),
    ("lines", orders::lines),
    ("progress", orders::progress),
    ("statuses", orders::statuses),
    ("shards", orders::shards),
    ("transitions", history::transitions),
    ("events", history::events),
    ("epochs", history::epochs),
    ("leases", history::leases),
    ("operations", history::operations),
];

impl Model {
    /// Looks for rows that break what the shop promises. None, while all guards are there.
    pub fn audit(&self) -> Vec<Breach> {
        let found = |&(invariant, check): &(&'static str, Check)| {
            let details = check(&self.tables).into_iter();
            details.map(move |detail| Breach { invariant, detail })
        };
        CHECKS.iter().flat_map(found).collect()
    }
}
