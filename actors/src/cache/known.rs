//! A product as this node knows it, and as it is told.

use std::sync::OnceLock;

use bytes::Bytes;
use holdfast_domain::{Product, StockLevel};
use holdfast_store::StockedProduct;

use super::products::text_bytes;

/// What a body takes besides the product's texts, about: names of fields, ids, times.
const BODY_BYTES: usize = 512;

/// A product and its stock, which all who read it share; and its body, once somebody has written it.
#[derive(Debug)]
pub struct KnownProduct {
    /// The catalogue's part.
    pub product: Product,
    /// The counters.
    pub stock: StockLevel,
    /// Written from `product` alone, which never changes here.
    body: OnceLock<Bytes>,
}

impl KnownProduct {
    /// Joins what is known of a product.
    pub const fn new(product: Product, stock: StockLevel) -> Self {
        Self {
            product,
            stock,
            body: OnceLock::new(),
        }
    }

    /// Returns the catalogue's part as whoever asked first has written it: all have to write it alike, and not
    /// for one reader. `write` is asked again only for what takes more than there is room for.
    ///
    /// # Errors
    /// Those of `write`, which the next one who asks tries again.
    pub fn body<E>(&self, write: impl FnOnce(&Product) -> Result<Bytes, E>) -> Result<Bytes, E> {
        if let Some(body) = self.body.get() {
            return Ok(body.clone());
        }
        let body = write(&self.product)?;
        if body.len() > self.body_room() {
            return Ok(body);
        }
        // A copy, for what it was written into may have room for twice as much.
        let kept = self.body.get_or_init(|| Bytes::copy_from_slice(&body));
        Ok(kept.clone())
    }

    /// Returns how many bytes of a body are kept. One takes more if its texts are mostly characters that
    /// are not written as they are.
    pub(crate) fn body_room(&self) -> usize {
        BODY_BYTES + text_bytes(&self.product)
    }
}

impl From<StockedProduct> for KnownProduct {
    fn from(StockedProduct { product, stock }: StockedProduct) -> Self {
        Self::new(product, stock)
    }
}
