//! Single products.

use holdfast_domain::{Event, JsonObject, Money, Movement, Product, ProductId, Sku, StockLevel, UserId};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Lease, OperationRecord, Store, StoreError, decode, event};

/// A product to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProduct {
    /// The catalogue's part, at version 1.
    pub product: Product,
    /// The first entry of the ledger, of kind `initial` and version 1; it states the stock.
    pub initial: Movement,
    /// What happened.
    pub events: Vec<Event>,
}

/// A product and its stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockedProduct {
    /// The catalogue's part.
    pub product: Product,
    /// The counters.
    pub stock: StockLevel,
}

/// The columns of a product's catalogue part.
pub(super) struct ProductRow {
    pub(super) product_id: Uuid,
    pub(super) seller_id: Uuid,
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) price_minor: i64,
    pub(super) currency: String,
    pub(super) status: String,
    pub(super) attributes: Json<JsonObject>,
    pub(super) low_stock_threshold: Option<i32>,
    pub(super) created_at: OffsetDateTime,
    pub(super) updated_at: OffsetDateTime,
    pub(super) version: i64,
}

impl TryFrom<ProductRow> for Product {
    type Error = StoreError;

    fn try_from(row: ProductRow) -> Result<Self, StoreError> {
        let sku = Sku::parse(&row.sku).map_err(|error| {
            StoreError::corrupt(format_args!(
                "sku of product {}: {}",
                row.product_id, error.message
            ))
        })?;
        let threshold = row.low_stock_threshold;
        Ok(Self {
            id: ProductId(row.product_id),
            sku,
            name: row.name,
            description: row.description,
            price: Money::new(
                row.price_minor,
                decode::parsed("product.currency", &row.currency)?,
            ),
            status: decode::parsed("product.status", &row.status)?,
            attributes: row.attributes.0,
            seller_id: UserId(row.seller_id),
            low_stock_threshold: threshold
                .map(|units| decode::count("product.low_stock_threshold", units))
                .transpose()?,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            version: row.version,
        })
    }
}

impl Store {
    /// Makes a product with its stock and the ledger's first entry.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer owner holds the product's shard.
    /// [`StoreError::SkuTaken`]: the seller has another product with this SKU that is not archived.
    /// [`StoreError::OperationExists`]: it was done before.
    pub async fn product_create(
        &self,
        lease: &Lease,
        operation: Option<&OperationRecord>,
        new: &NewProduct,
    ) -> Result<(), StoreError> {
        let operation = OperationRecord::json(operation)?;
        let events = event::json(&new.events)?;
        let NewProduct { product, initial, .. } = new;
        self.run(async |c| {
            sqlx::query!(
                "SELECT product_create($1, $2, $3::text::jsonb, $4, $5, $6, $7, $8, $9, $10, $11,
                     $12::text::jsonb, $13, $14, $15, $16, $17, $18, $19, $20::text::jsonb)",
                lease.node_id.0,
                lease.epoch,
                operation,
                product.id.0,
                product.seller_id.0,
                product.sku.as_str(),
                product.name,
                product.description,
                product.price.amount,
                product.price.currency.code(),
                product.status.as_str(),
                product.attributes.as_str(),
                product.low_stock_threshold.map(i64::from),
                decode::instant(product.created_at),
                initial.change.movement_id.0,
                i64::from(initial.level.on_hand),
                initial.change.reason,
                initial.change.note,
                initial.change.actor_id.0,
                events,
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }

    /// Writes the edited catalogue part of a product; the version before was one less.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: a newer owner holds the product's shard.
    /// [`StoreError::Version`]: the product is at another version.
    /// [`StoreError::SkuTaken`]: the seller has another product with this SKU that is not archived.
    /// [`StoreError::OperationExists`]: it was done before.
    pub async fn product_save(
        &self,
        lease: &Lease,
        operation: Option<&OperationRecord>,
        product: &Product,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let operation = OperationRecord::json(operation)?;
        let events = event::json(events)?;
        self.run(async |c| {
            sqlx::query!(
                "SELECT product_save($1, $2, $3::text::jsonb, $4, $5, $6, $7, $8, $9, $10,
                     $11::text::jsonb, $12, $13, $14, $15::text::jsonb)",
                lease.node_id.0,
                lease.epoch,
                operation,
                product.id.0,
                product.sku.as_str(),
                product.name,
                product.description,
                product.price.amount,
                product.price.currency.code(),
                product.status.as_str(),
                product.attributes.as_str(),
                product.low_stock_threshold.map(i64::from),
                decode::instant(product.updated_at),
                product.version,
                events,
            )
            .fetch_one(c)
            .await
        })
        .await?;
        Ok(())
    }

    /// Reads a product and its stock.
    pub async fn product(&self, product_id: ProductId) -> Result<Option<StockedProduct>, StoreError> {
        Ok(self.products(&[product_id]).await?.pop())
    }

    /// Reads products and their stock in one statement, by ascending id; unknown ones are left out.
    pub async fn products(&self, product_ids: &[ProductId]) -> Result<Vec<StockedProduct>, StoreError> {
        let ids: Vec<Uuid> = product_ids.iter().map(|id| id.0).collect();
        let rows = self
            .run_by_key(async |c| {
                sqlx::query!(
                    r#"SELECT product_id, seller_id, sku, name, description, price_minor, currency, status,
                              attributes AS "attributes: Json<JsonObject>", low_stock_threshold, created_at,
                              updated_at, product.version, on_hand, reserved, stock.version AS stock_version
                       FROM product JOIN stock USING (product_id)
                       WHERE product_id = ANY ($1) AND stock.product_id = ANY ($1) ORDER BY product_id"#,
                    &ids,
                )
                .fetch_all(c)
                .await
            })
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(StockedProduct {
                    stock: StockLevel {
                        product_id: ProductId(row.product_id),
                        on_hand: decode::count("stock.on_hand", row.on_hand)?,
                        reserved: decode::count("stock.reserved", row.reserved)?,
                        version: row.stock_version,
                    },
                    product: Product::try_from(ProductRow {
                        product_id: row.product_id,
                        seller_id: row.seller_id,
                        sku: row.sku,
                        name: row.name,
                        description: row.description,
                        price_minor: row.price_minor,
                        currency: row.currency,
                        status: row.status,
                        attributes: row.attributes,
                        low_stock_threshold: row.low_stock_threshold,
                        created_at: row.created_at,
                        updated_at: row.updated_at,
                        version: row.version,
                    })?,
                })
            })
            .collect()
    }
}
