//! Orders that wait for something: what a new owner resumes, and what a sweeper proposes.

use holdfast_domain::{OrderId, ShardId};

use crate::{Store, StoreError};

/// What is left to do on an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnfinishedWork {
    /// Its placing is past its deadline: give it up, or finish it.
    Placing,
    /// Its products have reservations to ship or release.
    Unsettled,
    /// It was not paid in time.
    Expiring,
}

/// An order that has something left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfinishedOrder {
    /// The order.
    pub order_id: OrderId,
    /// What is left to do.
    pub work: UnfinishedWork,
}

impl Store {
    /// Lists up to `limit` orders for each kind of work in these shards, by the Postgres clock.
    pub async fn orders_unfinished(
        &self,
        shards: &[ShardId],
        limit: u32,
    ) -> Result<Vec<UnfinishedOrder>, StoreError> {
        let shards: Vec<i16> = shards.iter().map(|shard| i16::from(shard.0)).collect();
        let rows = self
            .run(async |c| {
                sqlx::query!(
                    r#"(SELECT order_id AS "order_id!", 'placing' AS "work!" FROM orders
                        WHERE state = 'placing' AND shard_of(order_id) = ANY ($1) AND place_deadline <= now()
                        LIMIT $2)
                       UNION ALL
                       (SELECT order_id, 'unsettled' FROM orders
                        WHERE unsettled AND shard_of(order_id) = ANY ($1)
                        LIMIT $2)
                       UNION ALL
                       (SELECT order_id, 'expiring' FROM orders
                        WHERE state = 'pending_payment' AND shard_of(order_id) = ANY ($1)
                          AND expires_at <= now()
                        LIMIT $2)"#,
                    &shards,
                    i64::from(limit),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        rows.into_iter()
            .map(|row| {
                let work = match row.work.as_str() {
                    "placing" => UnfinishedWork::Placing,
                    "unsettled" => UnfinishedWork::Unsettled,
                    "expiring" => UnfinishedWork::Expiring,
                    other => return Err(StoreError::corrupt(format_args!("work {other:?}"))),
                };
                Ok(UnfinishedOrder {
                    order_id: OrderId(row.order_id),
                    work,
                })
            })
            .collect()
    }
}
