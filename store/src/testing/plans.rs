//! How statements are planned.

use sqlx::{AssertSqlSafe, Row};

use crate::{Store, StoreError};

/// A statement of a connection for what is found by key.
#[derive(Clone, Debug)]
pub struct KeyedStatement {
    /// The statement.
    pub text: String,
    /// How often it ran by the plan that is kept.
    pub by_kept_plan: i64,
    /// How often it ran by a plan for the values at hand.
    pub by_own_plan: i64,
    /// The plan that is kept, as `EXPLAIN` tells it.
    pub plan: String,
}

/// Lists the statements that one of the connections for what is found by key has run.
pub async fn statements_by_key(store: &Store) -> Result<Vec<KeyedStatement>, StoreError> {
    store
        .run_by_key(async |c| {
            let prepared: Vec<(String, String, i64, i64, i32)> = sqlx::query_as(
                "SELECT name, statement, generic_plans, custom_plans, cardinality(parameter_types)
                 FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared_statements%'",
            )
            .fetch_all(&mut *c)
            .await?;
            let mut statements = Vec::with_capacity(prepared.len());
            for (name, text, by_kept_plan, by_own_plan, parameters) in prepared {
                let values = vec!["NULL"; usize::try_from(parameters).unwrap_or(0)].join(", ");
                let explain = format!("EXPLAIN EXECUTE {name} ({values})");
                let lines = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *c).await?;
                let lines: Vec<String> = lines
                    .iter()
                    .map(|line| line.try_get(0))
                    .collect::<Result<_, _>>()?;
                statements.push(KeyedStatement {
                    text,
                    by_kept_plan,
                    by_own_plan,
                    plan: lines.join("\n"),
                });
            }
            Ok(statements)
        })
        .await
}
