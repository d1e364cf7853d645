//! What has been told, for tests to wait for.

use sqlx::{Connection, PgConnection};

use crate::ShardRow;

/// Counts the events of `shards` that were committed under the epochs which these are at now.
///
/// # Errors
/// The database does not answer.
pub async fn events_of_owners(url: &str, shards: &[ShardRow]) -> sqlx::Result<i64> {
    let mut connection = PgConnection::connect(url).await?;
    let services: Vec<&str> = shards.iter().map(|shard| shard.service.as_str()).collect();
    let ids: Vec<i16> = shards.iter().map(|shard| i16::from(shard.shard.0)).collect();
    let count = sqlx::query_scalar(
        "SELECT count(*) FROM unnest($1::text[], $2::smallint[]) AS had (service, shard_id)
         JOIN shard USING (service, shard_id)
         JOIN event ON shard_of(event.subject) = shard.shard_id AND event.epoch = shard.epoch
             AND shard.service = CASE event.aggregate
                 WHEN 'user' THEN 'sessions' WHEN 'order' THEN 'orders' ELSE 'products' END",
    )
    .bind(&services)
    .bind(&ids)
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok(count)
}
