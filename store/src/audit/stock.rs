//! The part of the audit that is cheap enough to go on while the shop is open.

use crate::{Store, StoreError};

/// How many products break what must hold of stock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockBreaches {
    /// Products with a counter below zero.
    pub negative: i64,
    /// Products that promise more units than there are.
    pub oversold: i64,
}

impl Store {
    /// Counts products whose counters are negative or oversold, which the schema should make impossible.
    ///
    /// Reads the whole table of counters once, within the time of one statement.
    pub async fn stock_breaches(&self) -> Result<StockBreaches, StoreError> {
        self.run(async |c| {
            sqlx::query_as!(
                StockBreaches,
                r#"SELECT count(*) FILTER (WHERE on_hand < 0 OR reserved < 0) AS "negative!",
                          count(*) FILTER (WHERE reserved > on_hand) AS "oversold!"
                   FROM stock WHERE NOT (0 <= reserved AND reserved <= on_hand)"#
            )
            .fetch_one(c)
            .await
        })
        .await
    }
}
