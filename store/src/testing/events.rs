//! What has been told, for tests to wait for.

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use crate::ShardRow;

const POLL: Duration = Duration::from_millis(20);

/// Waits until `least` events of `shards` were committed under the epochs which these are at.
///
/// # Errors
/// The database does not answer.
pub async fn until_told_by_owners(url: &str, shards: &[ShardRow], least: i64) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    while told_by_owners(&mut connection, shards).await? < least {
        tokio::time::sleep(POLL).await;
    }
    connection.close().await
}

async fn told_by_owners(connection: &mut PgConnection, shards: &[ShardRow]) -> sqlx::Result<i64> {
    let services: Vec<&str> = shards.iter().map(|shard| shard.service.as_str()).collect();
    let ids: Vec<i16> = shards.iter().map(|shard| i16::from(shard.shard.0)).collect();
    sqlx::query_scalar(
        "SELECT count(*) FROM unnest($1::text[], $2::smallint[]) AS had (service, shard_id)
         JOIN shard USING (service, shard_id)
         JOIN event ON shard_of(event.subject) = shard.shard_id AND event.epoch = shard.epoch
             AND shard.service = CASE event.aggregate
                 WHEN 'user' THEN 'sessions' WHEN 'order' THEN 'orders' ELSE 'products' END",
    )
    .bind(&services)
    .bind(&ids)
    .fetch_one(connection)
    .await
}
