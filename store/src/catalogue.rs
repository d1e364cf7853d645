//! The catalogue: products, the counters of their stock, and the ledger that explains these.
//!
//! Catalogue and stock are rows of their own with versions of their own: selling a unit disturbs no
//! edit. Stock moves by [`Store::lane_commit`](crate::Store::lane_commit) alone once a product is made.

mod list;
mod movement;
mod product;

pub use list::{ProductFilter, ProductKey, ProductPosition, ProductSort, UnknownProductSort};
pub use product::{NewProduct, StockedProduct};
