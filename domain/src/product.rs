//! Products: the catalogue's rules.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    FieldError, JsonObject, Money, ProductId, Refusal, Timestamp, UserId,
    text::{self, DESCRIPTION_MAX_CHARS, NAME_MAX_CHARS},
};

/// A stock-keeping unit: the seller's own name for a product, unique among what they sell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sku(String);

impl Sku {
    /// Parses 1 to 64 printable ASCII characters without spaces.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if printable && (1..=64).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(FieldError::new(
                "/sku",
                "must be 1 to 64 printable ASCII characters without spaces",
            ))
        }
    }

    /// Returns the SKU's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a product stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    /// Being prepared: seen by its seller and admins, not for sale.
    Draft,
    /// For sale, seen by everyone.
    Active,
    /// No longer for sale; existing orders keep their snapshot of it. Final.
    Archived,
}

impl ProductStatus {
    /// Returns the status's name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }
}

/// Text that names no product status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be draft, active or archived")]
pub struct UnknownProductStatus;

impl FromStr for ProductStatus {
    type Err = UnknownProductStatus;

    fn from_str(text: &str) -> Result<Self, UnknownProductStatus> {
        [Self::Draft, Self::Active, Self::Archived]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownProductStatus)
    }
}

/// A product as the catalogue knows it. Its stock is a thing of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The product's id.
    pub id: ProductId,
    /// The seller's own name for it.
    pub sku: Sku,
    /// What customers read first.
    pub name: String,
    /// What customers read next; may be empty.
    pub description: String,
    /// What one unit costs; never negative.
    pub price: Money,
    /// Where it stands in its life.
    pub status: ProductStatus,
    /// The seller's own data.
    pub attributes: JsonObject,
    /// Who sells it.
    pub seller_id: UserId,
    /// At or below this many available units, `stock.low` is told.
    pub low_stock_threshold: Option<u32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the catalogue's part was last edited.
    pub updated_at: Timestamp,
    /// Counts edits of the catalogue's part, from 1; selling does not move it.
    pub version: i64,
}

/// An edit: only what is `Some` changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductPatch {
    /// A new SKU.
    pub sku: Option<Sku>,
    /// A new name.
    pub name: Option<String>,
    /// A new description.
    pub description: Option<String>,
    /// A new price.
    pub price: Option<Money>,
    /// A new status; `Archived` is reached by archiving.
    pub status: Option<ProductStatus>,
    /// An edit of the attributes, which the owner merges with those that stand then.
    pub attributes: Option<AttributesPatch>,
    /// A new threshold; `Some(None)` removes it.
    pub low_stock_threshold: Option<Option<u32>>,
}

/// An RFC 7396 merge patch of a product's attributes, applied by the owner to what stands then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributesPatch {
    /// Removes all attributes.
    Clear,
    /// Merges: members that are null are removed.
    Merge(JsonObject),
}

impl Product {
    /// Checks every rule of the catalogue that one product alone can break.
    pub fn check(&self) -> Result<(), Refusal> {
        let checks = [
            text::check("/name", &self.name, 1, NAME_MAX_CHARS),
            text::check("/description", &self.description, 0, DESCRIPTION_MAX_CHARS),
            text::check_object("/attributes", &self.attributes),
            check_price(self.price),
            check_threshold(self.low_stock_threshold),
        ];
        let errors: Vec<FieldError> = checks.into_iter().filter_map(Result::err).collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Invalid(errors))
        }
    }

    /// Applies an edit based on `expected_version`.
    ///
    /// # Errors
    /// [`Refusal::VersionMismatch`]: somebody else edited it meanwhile.
    /// [`Refusal::Invalid`]: the result would break a rule, or the product is archived.
    pub fn edit(&self, patch: ProductPatch, expected_version: i64, at: Timestamp) -> Result<Self, Refusal> {
        self.expect_version(expected_version)?;
        if self.status == ProductStatus::Archived {
            return Err(Refusal::invalid(
                "/status",
                "an archived product cannot be edited",
            ));
        }
        if patch.status == Some(ProductStatus::Archived) {
            return Err(Refusal::invalid(
                "/status",
                "is reached with DELETE, which archives",
            ));
        }
        let mut next = self.clone();
        next.sku = patch.sku.unwrap_or(next.sku);
        next.name = patch.name.unwrap_or(next.name);
        next.description = patch.description.unwrap_or(next.description);
        next.price = patch.price.unwrap_or(next.price);
        next.status = patch.status.unwrap_or(next.status);
        next.low_stock_threshold = patch.low_stock_threshold.unwrap_or(next.low_stock_threshold);
        match patch.attributes {
            Some(AttributesPatch::Clear) => next.attributes = JsonObject::empty(),
            Some(AttributesPatch::Merge(members)) => next.attributes = next.attributes.merged(&members),
            None => {}
        }
        next.updated_at = at;
        next.version += 1;
        next.check()?;
        Ok(next)
    }

    /// Takes the product off sale for good.
    pub fn archive(&self, expected_version: i64, at: Timestamp) -> Result<Self, Refusal> {
        self.expect_version(expected_version)?;
        if self.status == ProductStatus::Archived {
            return Err(Refusal::NotFound);
        }
        let version = self.version + 1;
        Ok(Self {
            status: ProductStatus::Archived,
            updated_at: at,
            version,
            ..self.clone()
        })
    }

    fn expect_version(&self, expected: i64) -> Result<(), Refusal> {
        if self.version == expected {
            Ok(())
        } else {
            Err(Refusal::VersionMismatch {
                current_version: self.version,
            })
        }
    }
}

fn check_price(price: Money) -> Result<(), FieldError> {
    if price.amount < 0 {
        Err(FieldError::new("/price/amount", "must not be negative"))
    } else {
        Ok(())
    }
}

fn check_threshold(threshold: Option<u32>) -> Result<(), FieldError> {
    match threshold {
        Some(units) if units > crate::stock::ON_HAND_MAX => Err(FieldError::new(
            "/low_stock_threshold",
            "is more than a product can have",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_unix_micros(1_700_000_000_000_000);

    fn mug() -> Product {
        Product {
            id: ProductId::mint(AT, [1; 10]),
            sku: Sku::parse("MUG-1").expect("a SKU"),
            name: "Mug".into(),
            description: String::new(),
            price: Money::new(1_999, "EUR".parse().expect("known")),
            status: ProductStatus::Active,
            attributes: JsonObject::parse(r#"{"colour":"blue","size":"L"}"#).expect("an object"),
            seller_id: UserId::mint(AT, [2; 10]),
            low_stock_threshold: None,
            created_at: AT,
            updated_at: AT,
            version: 3,
        }
    }

    #[test]
    fn an_edit_of_a_stale_version_is_refused() {
        let edit = mug().edit(ProductPatch::default(), 2, AT);
        assert_eq!(edit, Err(Refusal::VersionMismatch { current_version: 3 }));
    }

    #[test]
    fn an_edit_changes_what_it_names_and_counts_one_version() {
        let patch = ProductPatch {
            name: Some("Cup".into()),
            ..ProductPatch::default()
        };
        let cup = mug().edit(patch, 3, AT).expect("a legal edit");
        assert_eq!(
            cup,
            Product {
                name: "Cup".into(),
                version: 4,
                ..mug()
            }
        );
    }

    #[test]
    fn null_removes_an_attribute() {
        let members = JsonObject::parse(r#"{"size":null,"glaze":"matt"}"#).expect("an object");
        let patch = ProductPatch {
            attributes: Some(AttributesPatch::Merge(members)),
            ..ProductPatch::default()
        };
        let edited = mug().edit(patch, 3, AT).expect("a legal edit");
        assert_eq!(edited.attributes.as_str(), r#"{"colour":"blue","glaze":"matt"}"#);
    }

    #[test]
    fn a_negative_price_is_refused() {
        let price = Some(Money::new(-1, mug().price.currency));
        let edit = mug().edit(
            ProductPatch {
                price,
                ..ProductPatch::default()
            },
            3,
            AT,
        );
        assert!(matches!(edit, Err(Refusal::Invalid(_))));
    }

    #[test]
    fn an_archived_product_stays_archived() {
        let archived = mug().archive(3, AT).expect("a legal move");
        assert!(archived.edit(ProductPatch::default(), 4, AT).is_err());
        assert_eq!(archived.archive(4, AT), Err(Refusal::NotFound));
    }
}
