//! How statements were planned.

use crate::{Store, StoreError};

/// Tells how often a connection for statements by key has planned one without the values at hand, which it
/// keeps, and with them, which it does each time anew.
pub async fn plans_by_key(store: &Store) -> Result<(i64, i64), StoreError> {
    let counted = store
        .run_by_key(async |c| {
            sqlx::query_as(
                "SELECT sum(generic_plans)::bigint, sum(custom_plans)::bigint
                 FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared_statements%'",
            )
            .fetch_one(c)
            .await
        })
        .await?;
    Ok(counted)
}
