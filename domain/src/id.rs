//! Identifiers: `UUIDv7`, whose last byte names the shard.
//!
//! An id made for a shard carries it in its low eight bits, so that a thing and what it must be
//! committed with can share an owner: a user and their sessions, an order and its first product.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// How many shards every service has; fixed when a database is initialised.
pub const SHARD_COUNT: u16 = 256;

/// Random bytes from which an id is made; drawn by the caller.
pub type Entropy = [u8; 10];

/// One of the [`SHARD_COUNT`] parts into which a service's entities are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId(pub u8);

impl ShardId {
    /// Lists every shard, in order.
    pub fn all() -> impl ExactSizeIterator<Item = Self> + Clone {
        (0..SHARD_COUNT).map(|n| Self(n.to_le_bytes()[0]))
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns the shard of any id: its low eight bits.
pub fn shard_of(id: Uuid) -> ShardId {
    ShardId(id.as_bytes()[15])
}

/// Makes a `UUIDv7` from a time and random bytes.
pub fn uuid_v7(at: Timestamp, entropy: Entropy) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(at.unix_millis(), &entropy).into_uuid()
}

/// An id's text was not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct ParseIdError;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Makes an id from a time and random bytes; its shard is random.
            pub fn mint(at: Timestamp, entropy: Entropy) -> Self {
                Self(uuid_v7(at, entropy))
            }

            /// Makes an id that belongs to `shard`.
            pub fn mint_in(shard: ShardId, at: Timestamp, mut entropy: Entropy) -> Self {
                entropy[9] = shard.0;
                Self(uuid_v7(at, entropy))
            }

            /// Returns the shard that this id belongs to.
            pub fn shard(self) -> ShardId {
                shard_of(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| ParseIdError)
            }
        }
    )*};
}

ids! {
    /// Names a user's account.
    UserId;
    /// Names a signed-in session.
    SessionId;
    /// Names a product.
    ProductId;
    /// Names an order.
    OrderId;
    /// Names a payment attempt on an order.
    PaymentId;
    /// Names a shipment of some of an order's units.
    FulfilmentId;
    /// Names an entry of a product's stock ledger.
    MovementId;
    /// Names an event.
    EventId;
    /// Names one run of a node's process: its incarnation.
    NodeId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_made_for_a_shard_belongs_to_it() {
        for shard in ShardId::all() {
            let id = OrderId::mint_in(
                shard,
                Timestamp::from_unix_micros(1_700_000_000_000_000),
                [0xab; 10],
            );
            assert_eq!(id.shard(), shard);
            assert_eq!(id.0.get_version_num(), 7);
        }
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let early = OrderId::mint(Timestamp::from_unix_micros(1_000_000), [0xff; 10]);
        let late = OrderId::mint(Timestamp::from_unix_micros(1_001_000), [0; 10]);
        assert!(early < late);
    }
}
