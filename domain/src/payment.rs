//! Payments, and the two providers that need no third party.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{FieldError, Money, OrderId, PaymentId, Timestamp};

/// Who moves the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentProvider {
    /// Paid outside the shop - cash, a bank transfer - and taken on trust: authorised, not captured.
    Manual,
    /// Obeys its `method`: for development and tests.
    Test,
}

impl PaymentProvider {
    /// Returns the provider's name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Test => "test",
        }
    }

    /// Decides a payment by `method`.
    pub fn decide(self, method: &str) -> Result<PaymentDecision, FieldError> {
        crate::text::check("/method", method, 1, 100)?;
        match (self, method) {
            (Self::Manual, _) | (Self::Test, "authorize") => Ok(PaymentDecision::Authorised),
            (Self::Test, "decline") => Ok(PaymentDecision::Declined("the test method asks to be declined")),
            // A test provider accepts what a real one would: any opaque token.
            (Self::Test, _) => Ok(PaymentDecision::Captured),
        }
    }
}

impl fmt::Display for PaymentProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be manual or test")]
pub struct UnknownProvider;

impl FromStr for PaymentProvider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        [Self::Manual, Self::Test]
            .into_iter()
            .find(|provider| provider.as_str() == text)
            .ok_or(UnknownProvider)
    }
}

/// What a provider says to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentDecision {
    /// The money is promised.
    Authorised,
    /// The money has moved.
    Captured,
    /// The provider will not; with its reason, fit for the customer.
    Declined(&'static str),
}

/// How far a payment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// The money is promised.
    Authorised,
    /// The money has moved to the shop.
    Captured,
    /// An authorised payment that was given up before any money moved.
    Voided,
    /// All that was captured has moved back.
    Refunded,
}

impl PaymentStatus {
    /// Returns the status's name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
        }
    }
}

/// An order's accepted payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The payment's id.
    pub id: PaymentId,
    /// The order it pays.
    pub order_id: OrderId,
    /// Who moves the money.
    pub provider: PaymentProvider,
    /// How far it has come.
    pub status: PaymentStatus,
    /// What was authorised: the order's total.
    pub amount: Money,
    /// What has moved to the shop, in minor units of `amount`'s currency.
    pub captured: i64,
    /// What has moved back, in minor units; never more than `captured`.
    pub refunded: i64,
    /// When it was accepted.
    pub created_at: Timestamp,
}

impl Payment {
    /// Tells whether the shop holds money of it.
    pub fn is_held(&self) -> bool {
        self.captured > self.refunded
    }

    /// Gives back all that was captured.
    pub(crate) fn refund(&mut self) {
        self.refunded = self.captured;
        self.status = PaymentStatus::Refunded;
    }
}
