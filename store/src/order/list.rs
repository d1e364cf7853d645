//! Lists of orders, newest first.

use holdfast_domain::{JsonObject, Order, OrderId, OrderLine, OrderStatus, Payment, Refusal, UserId};
use sqlx::types::Json;

use super::record::{OrderRecord, OrderRow, select_orders};
use crate::{Page, PageRequest, Store, StoreError};

/// Whose orders to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderScope {
    /// Those of a customer.
    Customer(UserId),
    /// Those with a line of a seller; the lines of others are in them still.
    Seller(UserId),
    /// All.
    Everyone,
}

/// Which orders to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderFilter {
    /// Whose.
    pub scope: OrderScope,
    /// Only those of this status.
    pub status: Option<OrderStatus>,
}

impl Store {
    /// Lists orders that have been placed, newest first.
    pub async fn orders_list(
        &self,
        filter: OrderFilter,
        request: &PageRequest<OrderId>,
    ) -> Result<Page<Order, OrderId>, StoreError> {
        let customer_id = match filter.scope {
            OrderScope::Customer(user_id) => Some(user_id.0),
            OrderScope::Seller(_) | OrderScope::Everyone => None,
        };
        let status = filter.status.map(OrderStatus::as_str);
        let after = request.after.map(|id| id.0);
        let rows = self
            .run(async |c| {
                if let OrderScope::Seller(seller_id) = filter.scope {
                    select_orders!(
                        "WHERE state NOT IN ('placing', 'refused') \
                         AND order_id IN (SELECT order_id FROM reservation WHERE seller_id = $1) \
                         AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR order_id < $3) \
                         ORDER BY order_id DESC LIMIT $4",
                        seller_id.0,
                        status,
                        after,
                        request.probe(),
                    )
                    .fetch_all(c)
                    .await
                } else {
                    select_orders!(
                        "WHERE state NOT IN ('placing', 'refused') \
                         AND ($1::uuid IS NULL OR customer_id = $1) \
                         AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR order_id < $3) \
                         ORDER BY order_id DESC LIMIT $4",
                        customer_id,
                        status,
                        after,
                        request.probe(),
                    )
                    .fetch_all(c)
                    .await
                }
            })
            .await?;
        let order = |row| OrderRecord::try_from(row).map(|record| record.order);
        let orders = rows.into_iter().map(order).collect::<Result<_, _>>()?;
        Ok(request.page(orders, |order: &Order| order.id))
    }
}
