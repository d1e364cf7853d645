//! Moves of an order that has been placed.

use holdfast_domain::{Event, JsonObject, Order, OrderId};

use crate::{Lease, OperationRecord, Store, StoreError, decode, event};

/// A move of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSave {
    /// The order after the move.
    pub order: Order,
    /// The version before it.
    pub expected_version: i64,
    /// Whether products now have reservations to ship or release because of it.
    pub unsettled: bool,
    /// What happened, one event per version.
    pub events: Vec<Event>,
}

impl Store {
    /// Moves an order that has been placed.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer owner holds the order's shard.
    /// [`StoreError::Version`]: the order is at another version, or was never placed.
    /// [`StoreError::OperationExists`]: it was done before.
    pub async fn order_save(
        &self,
        lease: &Lease,
        operation: Option<&OperationRecord>,
        save: &OrderSave,
    ) -> Result<(), StoreError> {
        let operation = OperationRecord::json(operation)?;
        let events = event::json(&save.events)?;
        let order = &save.order;
        let lines = decode::json(&order.lines)?;
        let payment = order.payment.as_ref().map(decode::json).transpose()?;
        self.run(async |c| {
            sqlx::query!(
                "SELECT order_save($1, $2, $3::text::jsonb, $4, $5, $6, $7::text::jsonb, $8::text::jsonb,
                     $9, $10::text::jsonb, $11, $12, $13, $14, $15::text::jsonb)",
                lease.node_id.0,
                lease.epoch,
                operation,
                order.id.0,
                save.expected_version,
                order.status.as_str(),
                lines,
                order.shipping_address.as_ref().map(JsonObject::as_str),
                order.note,
                payment,
                order.expires_at.map(decode::instant),
                decode::instant(order.updated_at),
                order.version,
                save.unsettled,
                events,
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }

    /// Notes that an order's reservations have followed it; returns whether it was still at `version`.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer owner holds the order's shard.
    pub async fn order_settled(
        &self,
        lease: &Lease,
        order_id: OrderId,
        version: i64,
    ) -> Result<bool, StoreError> {
        self.run(async |c| {
            sqlx::query_scalar!(
                r#"SELECT order_settled_rounds($1, $2, $3, $4) AS "settled!""#,
                lease.node_id.0,
                lease.epoch,
                order_id.0,
                version,
            )
            .fetch_one(c)
            .await
        })
        .await
    }
}
