//! Databases without some of their guards, to show that the loss of each is noticed.
//!
//! What is taken away are fragments of the functions that the migrations have made, word by word, and
//! the constraints that would stop the same write. The rest goes on as it was.

use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};

use crate::model::Guards;

/// Why a guard is still there, or half of it.
#[derive(Debug, thiserror::Error)]
pub enum WeakenError {
    /// A function does not read as it is known here: what weakens it is out of date.
    #[error("{function} has {count} times, instead of once: {fragment}")]
    OutOfDate {
        /// The function.
        function: &'static str,
        /// What was looked for.
        fragment: &'static str,
        /// How often it is there.
        count: usize,
    },
    /// The database did not do it.
    #[error("the database cannot be weakened")]
    Database(#[from] sqlx::Error),
}

/// A piece of a function, and what stands in its place.
struct Edit {
    function: &'static str,
    fragment: &'static str,
    instead: &'static str,
}

const fn edit(function: &'static str, fragment: &'static str, instead: &'static str) -> Edit {
    Edit {
        function,
        fragment,
        instead,
    }
}

/// The function that commits batches in whose way something is. The other one refuses those, so that what this
/// one lets pass is let pass.
const LANE_COMMIT: &str = "lane_commit_rows";

const FENCE: [Edit; 5] = [
    edit("fence", " AND state IN ('active', 'draining') FOR SHARE", ""),
    edit("fence", "IF NOT FOUND THEN", "IF false THEN"),
    edit("fence", "IF FOUND THEN", "IF false THEN"),
    // Its row may be gone.
    edit(
        "fence",
        "RETURN v_name;",
        "RETURN coalesce(v_name, 'superseded');",
    ),
    // It keeps its sessions: their end hides the loss from most of its writes.
    edit("node_sessions_end", " AND pid <> pg_backend_pid()", " AND false"),
];

const VERSIONS: [Edit; 4] = [
    edit(LANE_COMMIT, " AND stock.version = w.expected", ""),
    edit(
        LANE_COMMIT,
        "IF v_count <> cardinality(p_stock) THEN",
        "IF false THEN",
    ),
    edit(
        LANE_COMMIT,
        "AND reservation.round = w.round_before
      AND reservation.shipped = w.shipped_before AND reservation.released = w.released_before",
        "",
    ),
    edit(
        LANE_COMMIT,
        "IF v_count + v_wanted <> cardinality(p_reservations) THEN",
        "IF false THEN",
    ),
];

const ORDER_COMPARE_AND_SET: [Edit; 2] = [
    edit(
        LANE_COMMIT,
        "AND CASE w.expected
                  WHEN 'placing' THEN orders.state = 'placing'
                  WHEN 'placed' THEN orders.state NOT IN ('placing', 'refused')
                                     AND orders.version = w.expected_version
                  ELSE false
              END",
        "AND w.expected <> 'absent'",
    ),
    edit(
        LANE_COMMIT,
        "        IF v_count <> v_wanted THEN",
        "        IF false THEN",
    ),
];

/// What lets versions of products and their stock be written twice.
const MANY_MOVEMENTS: &str = "
    ALTER TABLE stock_movement DROP CONSTRAINT stock_movement_pkey;
    CREATE INDEX ON stock_movement (product_id, version);";
/// What lets keys be used twice.
const MANY_ORDERS_OF_A_KEY: &str = "
    ALTER TABLE orders DROP CONSTRAINT orders_customer_key;
    CREATE INDEX ON orders (customer_id, operation_key);
    ALTER TABLE operation DROP CONSTRAINT operation_pkey;
    CREATE INDEX ON operation (principal, route, key);";

/// Takes away the guards that `guards` lacks: what [`Model`](crate::model::Model) skips without them is
/// skipped in the migrated database at `url`. With the fence goes the end of a dead node's sessions.
///
/// # Errors
/// [`WeakenError::OutOfDate`]: nothing has changed.
pub async fn weaken(url: &str, guards: Guards) -> Result<(), WeakenError> {
    let mut connection = PgConnection::connect(url).await?;
    let mut transaction = connection.begin().await?;
    let mut edits: Vec<&Edit> = Vec::new();
    let mut statements: Vec<String> = Vec::new();
    let mut told_once = vec!["user", "product", "stock", "order"];
    if !guards.fence {
        edits.extend(&FENCE);
    }
    if !guards.versions {
        edits.extend(&VERSIONS);
        statements.push(MANY_MOVEMENTS.to_owned());
        told_once.retain(|aggregate| *aggregate == "order");
    }
    if !guards.unique_keys {
        statements.push(MANY_ORDERS_OF_A_KEY.to_owned());
    }
    if !guards.order_compare_and_set {
        edits.extend(&ORDER_COMPARE_AND_SET);
        told_once.retain(|aggregate| *aggregate != "order");
    }
    if told_once.len() < 4 {
        statements.push(events_once_for(&told_once));
    }
    for edit in edits {
        // Read anew each time: an edit starts from what the one before it leaves.
        let definition = definition_of(&mut transaction, edit.function).await?;
        let edited = edit.apply(&definition)?;
        raw_sql(AssertSqlSafe(edited)).execute(&mut *transaction).await?;
    }
    for statement in statements {
        raw_sql(AssertSqlSafe(statement))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}

async fn definition_of(connection: &mut PgConnection, function: &'static str) -> Result<String, WeakenError> {
    let found = sqlx::query_scalar("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = $1")
        .bind(function)
        .fetch_one(connection)
        .await?;
    Ok(found)
}

/// Lets an event be told twice, but for those of these aggregates.
fn events_once_for(aggregates: &[&str]) -> String {
    let guarded = aggregates.join(",");
    format!(
        "ALTER TABLE event DROP CONSTRAINT event_pkey;
         CREATE INDEX ON event (aggregate, subject, sequence, kind);
         CREATE UNIQUE INDEX ON event (aggregate, subject, sequence, kind)
             WHERE aggregate = ANY ('{{{guarded}}}'::text[]);"
    )
}

impl Edit {
    /// Returns the definition of the function with this edit made.
    fn apply(&self, definition: &str) -> Result<String, WeakenError> {
        let count = definition.matches(self.fragment).count();
        if count == 1 {
            return Ok(definition.replacen(self.fragment, self.instead, 1));
        }
        Err(WeakenError::OutOfDate {
            function: self.function,
            fragment: self.fragment,
            count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_that_is_not_there_exactly_once_is_not_replaced() {
        let edit = edit("f", "IF FOUND", "IF false");
        assert_eq!(edit.apply("a; IF FOUND; b").unwrap(), "a; IF false; b");
        for definition in ["", "IF FOUND; IF FOUND"] {
            let refused = edit.apply(definition).unwrap_err();
            assert!(matches!(refused, WeakenError::OutOfDate { .. }), "{refused}");
        }
    }
}
