//! A product on the wire.

use holdfast_domain::{JsonObject, Product, ProductId, ProductStatus, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{money::MoneyBody, openapi::schema};

/// A product.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Product)]
pub(crate) struct ProductBody {
    /// The product's id.
    #[schema(value_type = Uuid)]
    id: ProductId,
    /// The seller's own name for it.
    #[schema(example = "MUG-1")]
    sku: String,
    /// What customers read first.
    #[schema(example = "Mug")]
    name: String,
    /// What customers read next; may be empty.
    #[schema(example = "Holds 300 ml.")]
    description: String,
    /// What one unit costs.
    price: MoneyBody,
    /// Where the product stands in its life.
    #[schema(value_type = schema::ProductStatusName)]
    status: ProductStatus,
    /// The seller's own data.
    #[schema(value_type = Object, example = json!({"colour": "blue"}))]
    attributes: JsonObject,
    /// Who sells it.
    #[schema(value_type = Uuid)]
    seller_id: UserId,
    /// At or below this many available units, `stock.low` is told.
    #[schema(example = 5)]
    low_stock_threshold: Option<u32>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the catalogue's part was last edited.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Counts edits of the catalogue's part, from 1; the `ETag`'s number. Selling does not move it.
    #[schema(example = 1)]
    version: i64,
}

impl From<Product> for ProductBody {
    fn from(product: Product) -> Self {
        Self {
            id: product.id,
            sku: product.sku.to_string(),
            name: product.name,
            description: product.description,
            price: product.price.into(),
            status: product.status,
            attributes: product.attributes,
            seller_id: product.seller_id,
            low_stock_threshold: product.low_stock_threshold,
            created_at: product.created_at,
            updated_at: product.updated_at,
            version: product.version,
        }
    }
}
