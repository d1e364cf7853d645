//! Lists of products, with full-text search.

use std::{fmt, str::FromStr};

use holdfast_domain::{Caller, JsonObject, Product, ProductId, ProductStatus, Role, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use uuid::Uuid;

use super::product::ProductRow;
use crate::{Page, PageRequest, Store, StoreError, decode};

/// Which products to list, of those that the viewer may see.
///
/// Active products are public; drafts and archived ones are for their seller and admins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductFilter {
    /// Words to look for in name, SKU and description; the last one may be the beginning of a word.
    pub query: Option<String>,
    /// Only products of this status.
    pub status: Option<ProductStatus>,
    /// Only products of this seller.
    pub seller_id: Option<UserId>,
    /// Who asks; `None`: somebody who is not signed in.
    pub viewer: Option<Caller>,
}

/// The order of a list of products. Ties are broken by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProductSort {
    /// Oldest first.
    #[serde(rename = "created_at")]
    Oldest,
    /// Newest first.
    #[default]
    #[serde(rename = "-created_at")]
    Newest,
    /// Cheapest first, by minor units whatever the currency.
    #[serde(rename = "price")]
    Cheapest,
    /// Dearest first.
    #[serde(rename = "-price")]
    Dearest,
    /// By name.
    #[serde(rename = "name")]
    Name,
}

impl ProductSort {
    const ALL: [Self; 5] = [
        Self::Oldest,
        Self::Newest,
        Self::Cheapest,
        Self::Dearest,
        Self::Name,
    ];

    /// Returns the order's name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oldest => "created_at",
            Self::Newest => "-created_at",
            Self::Cheapest => "price",
            Self::Dearest => "-price",
            Self::Name => "name",
        }
    }
}

impl fmt::Display for ProductSort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no order of a list of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be created_at, -created_at, price, -price or name")]
pub struct UnknownProductSort;

impl FromStr for ProductSort {
    type Err = UnknownProductSort;

    fn from_str(text: &str) -> Result<Self, UnknownProductSort> {
        Self::ALL
            .into_iter()
            .find(|sort| sort.as_str() == text)
            .ok_or(UnknownProductSort)
    }
}

/// Where a product stands in a list, in the terms of the list's order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProductPosition {
    /// When it was made, for [`ProductSort::Oldest`] and [`ProductSort::Newest`].
    CreatedAt(Timestamp),
    /// Minor units, for [`ProductSort::Cheapest`] and [`ProductSort::Dearest`].
    Price(i64),
    /// Its name, for [`ProductSort::Name`].
    Name(String),
}

/// The key of a page of products: belongs to one order, and outlives inserts and edits of others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProductKey {
    /// The list's order.
    pub sort: ProductSort,
    /// The last product's position.
    pub position: ProductPosition,
    /// The last product.
    pub product_id: ProductId,
}

/// Selects a page of products; the argument is where it begins and its order.
macro_rules! select_products {
    ($c:expr, $asked:expr, $position:expr, $rest:tt) => {
        sqlx::query_as!(
            ProductRow,
            r#"SELECT product_id, seller_id, sku, name, description, price_minor, currency, status,
                      attributes AS "attributes: Json<JsonObject>", low_stock_threshold, created_at,
                      updated_at, version
               FROM product
               WHERE ($1::text IS NULL OR search @@ product_query($1))
                 AND ($2::text IS NULL OR status = $2)
                 AND ($3::uuid IS NULL OR seller_id = $3)
                 AND (status = 'active' OR $4 OR seller_id = $5)
                 AND ($6::uuid IS NULL OR "#
                + $rest
                + " LIMIT $8",
            $asked.query,
            $asked.status,
            $asked.seller_id,
            $asked.sees_all,
            $asked.sees_own_of,
            $asked.after,
            $position,
            $asked.limit,
        )
        .fetch_all($c)
        .await
    };
}

/// A filter and a page in the terms of the statement.
struct Asked<'a> {
    query: Option<&'a str>,
    status: Option<&'static str>,
    seller_id: Option<Uuid>,
    sees_all: bool,
    sees_own_of: Option<Uuid>,
    after: Option<Uuid>,
    limit: i64,
}

impl ProductKey {
    /// Makes the key of the page that ends with `product`.
    fn of(product: &Product, sort: ProductSort) -> Self {
        let position = match sort {
            ProductSort::Oldest | ProductSort::Newest => ProductPosition::CreatedAt(product.created_at),
            ProductSort::Cheapest | ProductSort::Dearest => ProductPosition::Price(product.price.amount),
            ProductSort::Name => ProductPosition::Name(product.name.clone()),
        };
        Self {
            sort,
            position,
            product_id: product.id,
        }
    }
}

impl Store {
    /// Lists products.
    ///
    /// # Errors
    /// [`StoreError::PageKeyMismatch`]: the page's key belongs to another order.
    pub async fn products_list(
        &self,
        filter: &ProductFilter,
        sort: ProductSort,
        request: &PageRequest<ProductKey>,
    ) -> Result<Page<Product, ProductKey>, StoreError> {
        let viewer = filter.viewer.as_ref();
        let asked = Asked {
            query: filter.query.as_deref(),
            status: filter.status.map(ProductStatus::as_str),
            seller_id: filter.seller_id.map(|id| id.0),
            sees_all: viewer.is_some_and(Caller::is_admin),
            sees_own_of: viewer
                .filter(|viewer| viewer.role == Role::Seller)
                .map(|viewer| viewer.user_id.0),
            after: request.after.as_ref().map(|key| key.product_id.0),
            limit: request.probe(),
        };
        let (mut age, mut price, mut name) = (None, None, None);
        if let Some(key) = &request.after {
            match (&key.position, sort) {
                _ if key.sort != sort => return Err(StoreError::PageKeyMismatch),
                (ProductPosition::CreatedAt(at), ProductSort::Oldest | ProductSort::Newest) => {
                    age = Some(decode::instant(*at));
                }
                (ProductPosition::Price(minor), ProductSort::Cheapest | ProductSort::Dearest) => {
                    price = Some(*minor);
                }
                (ProductPosition::Name(text), ProductSort::Name) => name = Some(text),
                _ => return Err(StoreError::PageKeyMismatch),
            }
        }
        let rows = self
            .run(async |c| match sort {
                ProductSort::Oldest => select_products!(
                    c,
                    asked,
                    age,
                    "(created_at, product_id) > ($7::timestamptz, $6)) ORDER BY created_at, product_id"
                ),
                ProductSort::Newest => select_products!(
                    c,
                    asked,
                    age,
                    "(created_at, product_id) < ($7::timestamptz, $6)) \
                     ORDER BY created_at DESC, product_id DESC"
                ),
                ProductSort::Cheapest => select_products!(
                    c,
                    asked,
                    price,
                    "(price_minor, product_id) > ($7::bigint, $6)) ORDER BY price_minor, product_id"
                ),
                ProductSort::Dearest => select_products!(
                    c,
                    asked,
                    price,
                    "(price_minor, product_id) < ($7::bigint, $6)) \
                     ORDER BY price_minor DESC, product_id DESC"
                ),
                ProductSort::Name => select_products!(
                    c,
                    asked,
                    name,
                    "(name, product_id) > ($7::text, $6)) ORDER BY name, product_id"
                ),
            })
            .await?;
        let products = rows
            .into_iter()
            .map(Product::try_from)
            .collect::<Result<_, _>>()?;
        Ok(request.page(products, |product| ProductKey::of(product, sort)))
    }
}
