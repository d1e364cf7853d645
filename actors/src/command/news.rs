//! What a node says to another node itself, and not to an entity of it.
//!
//! It is only sent to a node whose release knows it: see [`NEWS_PROTO`] and [`MAP_PROTO`].

use holdfast_domain::ProductId;
use serde::{Deserialize, Serialize};

/// The first link protocol whose nodes take a [`NodeMessage`].
pub(crate) const NEWS_PROTO: i32 = 2;
/// The first one whose nodes take a [`NodeMessage::Map`].
pub(crate) const MAP_PROTO: i32 = 3;

/// A message to a node itself. Its answer says nothing but that it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeMessage {
    /// Some of what the sender owns is not as it was.
    News(News),
    /// The cluster map is at the version that the header names.
    Map,
}

/// What is out of date, as the owner says: a hint, which may be late, lost or told twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// These products have changed.
    Changed {
        /// Each with its versions since.
        products: Vec<Changed>,
        /// Whether lists of products may show it.
        lists: bool,
    },
    /// Anything may have changed: more than can be told.
    Everything {
        /// The shards of products that the sender owns.
        shards: Vec<u8>,
    },
}

/// A product that has changed, and its versions since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The product.
    pub product_id: ProductId,
    /// The version of the catalogue's part.
    pub version: i64,
    /// The version of its stock.
    pub stock_version: i64,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::wire;

    #[test]
    fn news_have_these_bytes() {
        let change = Changed {
            product_id: ProductId(Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f)),
            version: 2,
            stock_version: 300,
        };
        let changed = NodeMessage::News(News::Changed {
            products: vec![change],
            lists: true,
        });
        let everything = NodeMessage::News(News::Everything { shards: vec![0, 255] });
        let golden: [(NodeMessage, &[u8]); 3] = [
            (
                changed,
                &[
                    1, // wire version
                    0, 0, // news, of changes
                    1, // one product
                    16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                    15, // its id, behind its length
                    4,  // version 2, zigzag
                    0xfb, 0x58, 0x02, // stock version 300, zigzag
                    1,    // lists
                ],
            ),
            (everything, &[1, 0, 1, 2, 0, 255]),
            (NodeMessage::Map, &[1, 1]),
        ];
        for (message, bytes) in golden {
            let frame = wire::encode(&message).expect("it can be encoded");
            assert_eq!(frame, bytes, "{message:?}");
            assert_eq!(wire::decode::<NodeMessage>(&frame).expect("a message"), message);
        }
    }
}
