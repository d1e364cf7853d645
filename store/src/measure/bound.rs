//! Orders as narrow as they can be, written in groups: what is possible, for a shop to be compared with.
//!
//! Its tables are its own, in a database that no shop uses.

use std::collections::HashMap;

use sqlx::{Connection, Executor, PgConnection};
use uuid::Uuid;

use super::APPLICATION_NAME;
use crate::{StoreError, pool::connect_options};

const SCHEMA: &str = include_str!("bound_schema.sql");
const COMMIT: &str = include_str!("bound_commit.sql");

/// A group of orders, column by column.
#[derive(Debug, Default)]
pub struct BoundGroup {
    orders: Vec<Uuid>,
    totals: Vec<i64>,
    line_orders: Vec<Uuid>,
    line_products: Vec<Uuid>,
    line_quantities: Vec<i32>,
    sold: HashMap<Uuid, i64>,
}

impl BoundGroup {
    /// Adds an order of these products and quantities, which comes to `total_minor`.
    pub fn add(&mut self, order: Uuid, total_minor: i64, lines: impl IntoIterator<Item = (Uuid, i32)>) {
        self.orders.push(order);
        self.totals.push(total_minor);
        for (product, quantity) in lines {
            self.line_orders.push(order);
            self.line_products.push(product);
            self.line_quantities.push(quantity);
            *self.sold.entry(product).or_default() += i64::from(quantity);
        }
    }
}

/// The one connection that writes.
#[derive(Debug)]
pub struct BoundConnection {
    connection: PgConnection,
}

impl BoundConnection {
    /// Makes the tables in the empty database at `url`, and products of so many units each.
    ///
    /// # Errors
    /// [`StoreError`], as everywhere.
    pub async fn make(url: &str, products: &[Uuid], units: i64) -> Result<Self, StoreError> {
        let options = connect_options(url, APPLICATION_NAME)?;
        let mut connection = PgConnection::connect_with(&options)
            .await
            .map_err(StoreError::Unavailable)?;
        connection.execute(SCHEMA).await?;
        let stock =
            "INSERT INTO stock (product_id, units) SELECT product_id, $2 FROM unnest($1) AS product_id";
        sqlx::query(stock)
            .bind(products)
            .bind(units)
            .execute(&mut connection)
            .await?;
        Ok(Self { connection })
    }

    /// Writes a group as one statement; when this returns, it is durable.
    ///
    /// # Errors
    /// [`StoreError`], as everywhere.
    pub async fn commit(&mut self, group: BoundGroup) -> Result<(), StoreError> {
        let (products, units): (Vec<Uuid>, Vec<i64>) = group.sold.into_iter().unzip();
        sqlx::query(COMMIT)
            .bind(products)
            .bind(units)
            .bind(group.orders)
            .bind(group.totals)
            .bind(group.line_orders)
            .bind(group.line_products)
            .bind(group.line_quantities)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}
