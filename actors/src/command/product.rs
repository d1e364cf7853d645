//! What a product can be asked.

use holdfast_domain::{
    JsonObject, Money, MovementId, Operation, OrderId, ProductId, ProductStatus, Quantity, Sku, StockLevel,
    Timestamp, UserId, product::ProductPatch, stock::Progress,
};
use serde::{Deserialize, Serialize};

use super::By;

/// A request to a product.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ProductCommand {
    /// Makes it.
    Create(By, NewProduct),
    /// Reads it and its counters.
    Read(ProductId),
    /// Edits the catalogue's part, based on a version.
    Edit(By, ProductId, ProductPatch, i64),
    /// Takes it off sale, based on a version.
    Archive(By, ProductId, i64),
    /// Changes how many units there are.
    Adjust(By, ProductId, Adjustment),
    /// States how many units there are.
    SetStock(By, ProductId, StockTarget),
    /// Promises units to an order whose home is elsewhere; durable before the answer.
    Reserve(Reserve),
    /// Brings an order's reservation to where the order says it is.
    Settle(Settle),
    /// Promises units anew, in this round, to an order that was paid after it had expired.
    ReserveAnew(Reserve, u32),
    /// Settles a reservation in a round after the first.
    SettleAnew(Settle, u32),
}

impl ProductCommand {
    /// Returns the product that is asked.
    pub fn product_id(&self) -> ProductId {
        match self {
            Self::Create(_, new) => new.id,
            Self::Read(id)
            | Self::Edit(_, id, ..)
            | Self::Archive(_, id, _)
            | Self::Adjust(_, id, _)
            | Self::SetStock(_, id, _) => *id,
            Self::Reserve(reserve) | Self::ReserveAnew(reserve, _) => reserve.product_id,
            Self::Settle(settle) | Self::SettleAnew(settle, _) => settle.product_id,
        }
    }
}

impl ProductCommand {
    /// Returns the operation under which the request is remembered.
    pub fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Create(by, _)
            | Self::Edit(by, ..)
            | Self::Archive(by, ..)
            | Self::Adjust(by, ..)
            | Self::SetStock(by, ..) => Some(&by.operation),
            Self::Read(_)
            | Self::Reserve(_)
            | Self::Settle(_)
            | Self::ReserveAnew(..)
            | Self::SettleAnew(..) => None,
        }
    }
}

/// A product to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewProduct {
    /// Its id.
    pub id: ProductId,
    /// The seller's own name for it.
    pub sku: Sku,
    /// What customers read first.
    pub name: String,
    /// What customers read next.
    pub description: String,
    /// What one unit costs.
    pub price: Money,
    /// Draft or active.
    pub status: ProductStatus,
    /// The seller's own data.
    pub attributes: JsonObject,
    /// The stock it starts with.
    pub stock: u32,
    /// At or below this many available units, `stock.low` is told.
    pub low_stock_threshold: Option<u32>,
}

/// A change of stock; it commutes with sales and needs no version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// The movement's id.
    pub movement_id: MovementId,
    /// Units to add, or to take when negative.
    pub delta: i64,
    /// A short reason, such as `received`.
    pub reason: String,
    /// More words on it.
    pub note: Option<String>,
}

/// A statement of stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockTarget {
    /// The movement's id.
    pub movement_id: MovementId,
    /// Units that there are.
    pub on_hand: u32,
    /// The version of the stock that this is based on.
    pub expected_version: i64,
}

/// What a change of stock led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjusted {
    /// The movement.
    pub movement_id: MovementId,
    /// The counters after it.
    pub level: StockLevel,
}

/// A promise of units to an order whose home is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// The product.
    pub product_id: ProductId,
    /// The order.
    pub order_id: OrderId,
    /// Units wanted.
    pub quantity: Quantity,
    /// Who orders: the movement's actor.
    pub customer_id: UserId,
}

/// What an order says has become of its reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// The product.
    pub product_id: ProductId,
    /// The order.
    pub order_id: OrderId,
    /// Who sells the product.
    pub seller_id: UserId,
    /// The units that the order promised itself.
    pub quantity: Quantity,
    /// How many units are shipped and released, as the order knows.
    pub target: Progress,
    /// Who caused it: the movements' actor.
    pub actor_id: UserId,
    /// When the order changed.
    pub at: Timestamp,
}
