//! The audit: looks for rows that break what the shop promises.
//!
//! Each check is one statement, and so looks at one moment: it may run while the shop is open. Many
//! repeat what constraints ensure, on purpose: an audit that trusts the schema cannot find a schema
//! that was weakened.

mod stock;

use std::time::Duration;

use sqlx::PgPool;

pub use stock::StockBreaches;

use crate::{Store, StoreError, pool::within};

/// How long one check may take: each reads whole tables.
const CHECK_LIMIT: Duration = Duration::from_mins(10);

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A short name, such as `counters`.
    pub invariant: &'static str,
    /// What must hold, in a sentence.
    pub statement: &'static str,
    /// What was looked at, such as `1200 products`.
    pub figure: String,
    /// How many rows break it.
    pub breaches: i64,
}

struct Row {
    figure: String,
    breaches: i64,
}

/// Runs the checks one after the other, each from the file that has its name.
macro_rules! check_all {
    ($pool:expr, $($file:literal: $invariant:literal, $statement:literal;)*) => {
        vec![$({
            let Row { figure, breaches } =
                within(CHECK_LIMIT, sqlx::query_file_as!(Row, $file).fetch_one($pool)).await?;
            Finding { invariant: $invariant, statement: $statement, figure, breaches }
        },)*]
    };
}

impl Store {
    /// Checks every invariant that the database can show.
    pub async fn audit(&self) -> Result<Vec<Finding>, StoreError> {
        let unhurried = self.unhurried(CHECK_LIMIT).await?;
        let findings = check(&unhurried).await;
        unhurried.close().await;
        findings
    }
}

async fn check(pool: &PgPool) -> Result<Vec<Finding>, StoreError> {
    Ok(check_all! { pool,
        "src/audit/counters.sql": "counters",
            "a product's counters are the sums of its ledger: initial stock, adjustments, shipments";
        "src/audit/ledger.sql": "ledger",
            "a product's ledger has every version once, and each entry follows from the one before";
        "src/audit/oversold.sql": "oversold",
            "no product promises more units than it has";
        "src/audit/reserved.sql": "reserved",
            "a product's reserved units are those that its reservations still hold";
        "src/audit/reservations.sql": "reservations",
            "a reservation's units are those that the ledger reserved, shipped and released for it";
        "src/audit/orphans.sql": "orphans",
            "stock, reservations, orders and products have what they refer to";
        "src/audit/keys.sql": "keys",
            "an idempotency key of a customer makes at most one order";
        "src/audit/lines.sql": "lines",
            "a placed order has all its lines reserved, and a refused one none";
        "src/audit/progress.sql": "progress",
            "reservations have been shipped and released as their orders say";
        "src/audit/statuses.sql": "statuses",
            "an order's status agrees with its lines, its payment and its total";
        "src/audit/transitions.sql": "transitions",
            "an order came to its status along the state machine";
        "src/audit/events.sql": "events",
            "every version of an order and of a product has its event";
        "src/audit/feed.sql": "feed",
            "no event and no shard's position in the feed is ahead of the server's transactions";
        "src/audit/epochs.sql": "epochs",
            "no event was committed under an epoch that had been superseded";
        "src/audit/shards.sql": "shards",
            "an order shares the shard of its lowest product";
        "src/audit/sessions.sql": "sessions",
            "a disabled user has no session that goes on";
    })
}
