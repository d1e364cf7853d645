//! A shop that has been open for a year, made in one go: to see how one of that size behaves.
//!
//! Written past the shop, but as the shop would have: every invariant of the audit holds, and every event is
//! there. Nodes must not run meanwhile: they would tell of it. What has a place in a row follows from its
//! number, so that parts can be made one after the other.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{Store, StoreError, pool::connect_options};

const APPLICATION_NAME: &str = "holdfast-seed";
const CATALOGUE: &str = include_str!("seed/catalogue.sql");
const ORDERS: &str = include_str!("seed/orders.sql");
const DONE: &str = include_str!("seed/done.sql");

/// How large the shop is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedSize {
    /// Products, all of one seller.
    pub products: u32,
    /// Customers, who cannot sign in: they have no password.
    pub customers: u32,
    /// Orders that were paid and shipped, spread evenly over products, customers and the last year.
    pub orders: u64,
}

/// A database that is being filled.
#[derive(Debug)]
pub struct Seeding {
    connection: PgConnection,
    size: SeedSize,
}

impl Store {
    /// Tells whether the shop has neither products nor orders.
    pub async fn is_unused(&self) -> Result<bool, StoreError> {
        self.run(async |c| {
            sqlx::query_scalar!(
                r#"SELECT NOT EXISTS (SELECT FROM product) AND NOT EXISTS (SELECT FROM orders) AS "unused!""#
            )
            .fetch_one(c)
            .await
        })
        .await
    }
}

impl Seeding {
    /// Makes the seller, the customers and the products of a shop that [is unused](Store::is_unused).
    ///
    /// # Errors
    /// [`StoreError`], as everywhere; also if this shop was seeded before.
    pub async fn begin(url: &str, size: SeedSize) -> Result<Self, StoreError> {
        let options = connect_options(url, APPLICATION_NAME)?;
        let connection = PgConnection::connect_with(&options)
            .await
            .map_err(StoreError::Unavailable)?;
        let mut seeding = Self { connection, size };
        seeding.run(CATALOGUE, 0, 0).await?;
        Ok(seeding)
    }

    /// Makes the orders from number `first` up to and without `end`.
    ///
    /// # Errors
    /// [`StoreError`], as everywhere; then none of them is there.
    pub async fn orders(&mut self, first: u64, end: u64) -> Result<(), StoreError> {
        self.run(ORDERS, first, end.min(self.size.orders)).await
    }

    /// Brings the counters to where the orders have left them, and takes all that has happened as told.
    ///
    /// # Errors
    /// [`StoreError`], as everywhere.
    pub async fn finish(mut self) -> Result<(), StoreError> {
        self.run(DONE, 0, 0).await?;
        self.connection.close().await.map_err(StoreError::Unavailable)
    }

    /// Runs the statements of `script` as one transaction.
    async fn run(&mut self, script: &str, first: u64, end: u64) -> Result<(), StoreError> {
        let SeedSize {
            products,
            customers,
            orders,
        } = self.size;
        let script = [
            (":products", u64::from(products)),
            (":customers", u64::from(customers)),
            (":orders", orders),
            (":first", first),
            (":end", end),
        ]
        .into_iter()
        .fold(script.to_owned(), |script, (name, value)| {
            script.replace(name, &value.to_string())
        });
        sqlx::raw_sql(AssertSqlSafe(script))
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}
