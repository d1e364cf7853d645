//! Alerts: products that were running out, or had run out.

use holdfast_domain::{EventId, EventKind, ProductId, Timestamp};
use serde::Serialize;

use crate::{Page, PageRequest, Store, StoreError, decode};

/// A product that was running out, or had run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockAlert {
    /// The event that told so.
    pub event_id: EventId,
    /// The product.
    pub product_id: ProductId,
    /// [`EventKind::StockLow`] or [`EventKind::StockDepleted`].
    pub kind: EventKind,
    /// Units that there were.
    pub on_hand: u32,
    /// Units of those that could still be ordered.
    pub available: u32,
    /// When.
    pub at: Timestamp,
}

/// An alert as the function takes it.
#[derive(Serialize)]
pub(super) struct AlertColumns {
    product_id: ProductId,
    kind: &'static str,
    on_hand: u32,
    available: u32,
    at: Timestamp,
}

impl From<&StockAlert> for AlertColumns {
    fn from(alert: &StockAlert) -> Self {
        Self {
            product_id: alert.product_id,
            kind: alert.kind.as_str(),
            on_hand: alert.on_hand,
            available: alert.available,
            at: alert.at,
        }
    }
}

impl Store {
    /// Keeps an alert, once.
    pub async fn stock_alert_record(&self, alert: &StockAlert) -> Result<(), StoreError> {
        self.run(async |c| {
            sqlx::query!(
                "SELECT stock_alert_record($1, $2, $3, $4, $5, $6)",
                alert.event_id.0,
                alert.product_id.0,
                alert.kind.as_str(),
                i64::from(alert.on_hand),
                i64::from(alert.available),
                decode::instant(alert.at),
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }

    /// Lists a product's alerts, newest first.
    pub async fn stock_alerts(
        &self,
        product_id: ProductId,
        request: &PageRequest<EventId>,
    ) -> Result<Page<StockAlert, EventId>, StoreError> {
        let rows = self
            .run(async |c| {
                sqlx::query!(
                    "SELECT event_id, kind, on_hand, available, at FROM stock_alert
                     WHERE product_id = $1 AND ($2::uuid IS NULL OR event_id < $2)
                     ORDER BY event_id DESC LIMIT $3",
                    product_id.0,
                    request.after.map(|id| id.0) as Option<uuid::Uuid>,
                    request.probe(),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        let alerts = rows
            .into_iter()
            .map(|row| {
                Ok(StockAlert {
                    event_id: EventId(row.event_id),
                    product_id,
                    kind: decode::parsed("stock_alert.kind", &row.kind)?,
                    on_hand: decode::count("stock_alert.on_hand", row.on_hand)?,
                    available: decode::count("stock_alert.available", row.available)?,
                    at: row.at.into(),
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(request.page(alerts, |alert: &StockAlert| alert.event_id))
    }

    /// Deletes up to `limit` alerts that are older than ninety days; returns how many.
    pub async fn stock_alerts_purge(&self, limit: u32) -> Result<u64, StoreError> {
        let purged = self
            .run(async |c| {
                sqlx::query_scalar!(r#"SELECT stock_alerts_purge($1) AS "purged!""#, i64::from(limit))
                    .fetch_one(c)
                    .await
            })
            .await?;
        Ok(purged.unsigned_abs())
    }
}
