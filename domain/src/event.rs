//! Events: what happened, in the words that other systems hear.

mod audience;
mod cloud;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use audience::Audience;
pub use cloud::{CloudEvent, ForeignEvent};

use crate::{EventId, JsonObject, Timestamp};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $aggregate:ident;)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$doc])* $name,)*
        }

        impl EventKind {
            /// Lists every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the kind's name, such as `order.placed`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Returns which kind of thing it happened to.
            pub const fn aggregate(self) -> Aggregate {
                match self {
                    $(Self::$name => Aggregate::$aggregate,)*
                }
            }
        }
    };
}

/// A kind of thing that has a version, and events in the order of its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Aggregate {
    /// An account.
    User,
    /// A product's catalogue part.
    Product,
    /// A product's stock.
    Stock,
    /// An order.
    Order,
}

impl Aggregate {
    /// Returns the aggregate's name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Product => "product",
            Self::Stock => "stock",
            Self::Order => "order",
        }
    }
}

kinds! {
    /// Somebody made an account.
    UserRegistered = "user.registered", User;
    /// A product was made.
    ProductCreated = "product.created", Product;
    /// A product was edited.
    ProductUpdated = "product.updated", Product;
    /// A product was taken off sale.
    ProductArchived = "product.archived", Product;
    /// Somebody changed how many units there are.
    StockAdjusted = "stock.adjusted", Stock;
    /// The available units fell to the threshold.
    StockLow = "stock.low", Stock;
    /// The last available unit was sold.
    StockDepleted = "stock.depleted", Stock;
    /// An order was placed.
    OrderPlaced = "order.placed", Order;
    /// An order's address or note was edited.
    OrderUpdated = "order.updated", Order;
    /// An order was paid or promised to be.
    OrderConfirmed = "order.confirmed", Order;
    /// An order was called off.
    OrderCancelled = "order.cancelled", Order;
    /// An order was not paid in time.
    OrderExpired = "order.expired", Order;
    /// Units of an order were shipped.
    OrderFulfilled = "order.fulfilled", Order;
    /// Money moved to the shop.
    PaymentCaptured = "payment.captured", Order;
    /// A provider declined a payment.
    PaymentDeclined = "payment.declined", Order;
    /// Money moved back.
    PaymentRefunded = "payment.refunded", Order;
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such kind of event")]
pub struct UnknownEventKind;

impl FromStr for EventKind {
    type Err = UnknownEventKind;

    fn from_str(text: &str) -> Result<Self, UnknownEventKind> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownEventKind)
    }
}

/// A committed change, as others hear of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The event's own id, by which a consumer knows a repeat.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// The id of what it happened to.
    pub subject: Uuid,
    /// The version of `subject` that the change made.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// Who did it; `None`: the shop itself.
    pub actor_id: Option<Uuid>,
    /// The rest, by kind.
    pub data: JsonObject,
    /// The W3C trace that caused it.
    pub trace_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
    }
}
