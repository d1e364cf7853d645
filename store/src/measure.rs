//! What measuring the shop asks of Postgres.

mod bound;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{Store, StoreError, pool::connect_options};

pub use bound::{BoundConnection, BoundGroup};

/// What the connection calls itself.
const APPLICATION_NAME: &str = "holdfast-measure";

impl Store {
    /// Tells how many bytes the server has written to its log since it was made.
    pub async fn log_position(&self) -> Result<u64, StoreError> {
        let bytes = self
            .run(async |c| {
                sqlx::query_scalar!(r#"SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS "bytes!""#)
                    .fetch_one(c)
                    .await
            })
            .await?;
        Ok(u64::try_from(bytes).unwrap_or_default())
    }

    /// Puts products for sale past the shop, the n-th under the id whose last digits are n in
    /// hexadecimal, each with so many units.
    ///
    /// They have no events: for a database that no node serves.
    pub async fn seed_products(&self, products: u32, units: u32) -> Result<(), StoreError> {
        self.run(async |c| {
            sqlx::query!(
                "WITH made AS (
                     INSERT INTO product
                         (product_id, seller_id, sku, name, description, price_minor, currency, status,
                          attributes, created_at, updated_at, version)
                     SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
                            '00000000-0000-7000-9000-000000000000', 'seed-' || n, 'Seed ' || n, '', 1999, 'EUR',
                            'active', '{}', now(), now(), 1
                     FROM generate_series(0, $1::bigint - 1) AS n
                     RETURNING product_id)
                 INSERT INTO stock (product_id, initial, on_hand, reserved, version)
                 SELECT product_id, $2::integer, $2, 0, 1 FROM made",
                i64::from(products),
                i32::try_from(units).unwrap_or(i32::MAX),
            )
            .execute(c)
            .await
        })
        .await?;
        Ok(())
    }
}

/// Makes an empty database beside the one at `url`.
///
/// # Errors
/// [`StoreError::Rejected`]: there is one of that name.
pub async fn create_database(url: &str, name: &str) -> Result<(), StoreError> {
    let options = connect_options(url, APPLICATION_NAME)?;
    let mut connection = PgConnection::connect_with(&options)
        .await
        .map_err(StoreError::Unavailable)?;
    let name = name.replace('"', "\"\"");
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE \"{name}\"")))
        .execute(&mut connection)
        .await?;
    connection.close().await.map_err(StoreError::Unavailable)
}
