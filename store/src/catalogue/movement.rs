//! The ledger of a product's stock.

use holdfast_domain::{
    Movement, MovementId, MovementKind, OrderId, ProductId, StockLevel, UserId, stock::StockChange,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Page, PageRequest, Store, StoreError, decode};

struct MovementRow {
    product_id: Uuid,
    version: i64,
    movement_id: Uuid,
    kind: String,
    delta_on_hand: i64,
    delta_reserved: i64,
    on_hand: i32,
    reserved: i32,
    order_id: Option<Uuid>,
    reason: Option<String>,
    note: Option<String>,
    actor_id: Uuid,
    at: OffsetDateTime,
}

impl TryFrom<MovementRow> for Movement {
    type Error = StoreError;

    fn try_from(row: MovementRow) -> Result<Self, StoreError> {
        Ok(Self {
            change: StockChange {
                movement_id: MovementId(row.movement_id),
                kind: kind(&row.kind)?,
                delta_on_hand: row.delta_on_hand,
                delta_reserved: row.delta_reserved,
                order_id: row.order_id.map(OrderId),
                reason: row.reason,
                note: row.note,
                actor_id: UserId(row.actor_id),
                at: row.at.into(),
            },
            level: StockLevel {
                product_id: ProductId(row.product_id),
                on_hand: decode::count("stock_movement.on_hand", row.on_hand)?,
                reserved: decode::count("stock_movement.reserved", row.reserved)?,
                version: row.version,
            },
        })
    }
}

fn kind(text: &str) -> Result<MovementKind, StoreError> {
    [
        MovementKind::Initial,
        MovementKind::Adjustment,
        MovementKind::Reserve,
        MovementKind::Release,
        MovementKind::Ship,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == text)
    .ok_or_else(|| StoreError::corrupt(format_args!("stock_movement.kind {text:?}")))
}

impl Store {
    /// Lists a product's movements, newest first; a page's key is the version.
    pub async fn movements_list(
        &self,
        product_id: ProductId,
        request: &PageRequest<i64>,
    ) -> Result<Page<Movement, i64>, StoreError> {
        let rows = self
            .run(async |c| {
                sqlx::query_as!(
                    MovementRow,
                    "SELECT product_id, version, movement_id, kind, delta_on_hand, delta_reserved, on_hand,
                            reserved, order_id, reason, note, actor_id, at
                     FROM stock_movement
                     WHERE product_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3",
                    product_id.0,
                    request.after.unwrap_or(i64::MAX),
                    request.probe(),
                )
                .fetch_all(c)
                .await
            })
            .await?;
        let movements = rows
            .into_iter()
            .map(Movement::try_from)
            .collect::<Result<_, _>>()?;
        Ok(request.page(movements, |movement: &Movement| movement.level.version))
    }
}
