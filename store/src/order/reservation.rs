//! Reservations, read; they are written by the lane.

use holdfast_domain::{OrderId, ProductId, Quantity, Reservation, UserId, stock::Progress};
use uuid::Uuid;

use crate::{Store, StoreError, decode};

struct ReservationRow {
    order_id: Uuid,
    product_id: Uuid,
    seller_id: Uuid,
    quantity: i32,
    round: i32,
    shipped: i32,
    released: i32,
}

impl TryFrom<ReservationRow> for Reservation {
    type Error = StoreError;

    fn try_from(row: ReservationRow) -> Result<Self, StoreError> {
        let units = decode::count("reservation.quantity", row.quantity)?;
        Ok(Self {
            product_id: ProductId(row.product_id),
            order_id: OrderId(row.order_id),
            seller_id: UserId(row.seller_id),
            quantity: Quantity::new(units)
                .ok_or_else(|| StoreError::corrupt(format_args!("reservation.quantity is {units}")))?,
            round: decode::count("reservation.round", row.round)?,
            progress: Progress {
                shipped: decode::count("reservation.shipped", row.shipped)?,
                released: decode::count("reservation.released", row.released)?,
            },
        })
    }
}

impl Store {
    /// Reads a product's reservation for an order.
    pub async fn reservation(
        &self,
        product_id: ProductId,
        order_id: OrderId,
    ) -> Result<Option<Reservation>, StoreError> {
        let reservations = self.reservations_of(order_id).await?;
        Ok(reservations
            .into_iter()
            .find(|reservation| reservation.product_id == product_id))
    }

    /// Lists an order's reservations, by product id.
    pub async fn reservations_of(&self, order_id: OrderId) -> Result<Vec<Reservation>, StoreError> {
        let rows = self
            .run_by_key(async |c| {
                sqlx::query_as!(
                    ReservationRow,
                    "SELECT order_id, product_id, seller_id, quantity, round, shipped, released
                     FROM reservation WHERE order_id = $1 ORDER BY product_id",
                    order_id.0,
                )
                .fetch_all(c)
                .await
            })
            .await?;
        rows.into_iter().map(Reservation::try_from).collect()
    }
}
