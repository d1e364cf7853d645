//! Where an order stands, and where it may go from there.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Its units are reserved until it is paid or expires.
    PendingPayment,
    /// Paid, or promised to be.
    Confirmed,
    /// Some units have been shipped.
    PartiallyFulfilled,
    /// All units have been shipped.
    Fulfilled,
    /// Some units came back.
    PartiallyReturned,
    /// All units came back.
    Returned,
    /// Called off before the first shipment.
    Cancelled,
    /// Not paid in time. A payment that comes later revives it, if its units are there still.
    Expired,
}

impl OrderStatus {
    /// Lists every status.
    pub const ALL: [Self; 8] = [
        Self::PendingPayment,
        Self::Confirmed,
        Self::PartiallyFulfilled,
        Self::Fulfilled,
        Self::PartiallyReturned,
        Self::Returned,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Returns the status's name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingPayment => "pending_payment",
            Self::Confirmed => "confirmed",
            Self::PartiallyFulfilled => "partially_fulfilled",
            Self::Fulfilled => "fulfilled",
            Self::PartiallyReturned => "partially_returned",
            Self::Returned => "returned",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Tells whether an order may move from this status to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (
                Self::PendingPayment,
                Self::Confirmed | Self::Cancelled | Self::Expired
            ) | (
                Self::Confirmed,
                Self::PartiallyFulfilled | Self::Fulfilled | Self::Cancelled
            ) | (
                Self::PartiallyFulfilled,
                Self::PartiallyFulfilled | Self::Fulfilled
            ) | (
                Self::Fulfilled | Self::PartiallyReturned,
                Self::PartiallyReturned | Self::Returned
            ) | (Self::Expired, Self::Confirmed)
        )
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no order status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such order status")]
pub struct UnknownOrderStatus;

impl FromStr for OrderStatus {
    type Err = UnknownOrderStatus;

    fn from_str(text: &str) -> Result<Self, UnknownOrderStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownOrderStatus)
    }
}
