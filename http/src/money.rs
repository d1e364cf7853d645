//! Money on the wire: whole minor units and an ISO 4217 code.

use std::borrow::Cow;

use holdfast_domain::{FieldError, Money};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Money)]
pub(crate) struct MoneyBody {
    /// Whole minor units: cents for EUR, yen for JPY.
    #[schema(example = 1999)]
    amount: i64,
    /// The ISO 4217 code of the currency.
    #[schema(value_type = String, example = "EUR", pattern = "^[A-Z]{3}$")]
    currency: Cow<'static, str>,
}

impl MoneyBody {
    /// Reads the amount that stands at `field`.
    pub(crate) fn parse(&self, field: &str) -> Result<Money, FieldError> {
        match self.currency.parse() {
            Ok(currency) => Ok(Money::new(self.amount, currency)),
            Err(error) => Err(FieldError::new(
                format!("{field}/currency"),
                format!("is {error}"),
            )),
        }
    }
}

impl From<Money> for MoneyBody {
    fn from(money: Money) -> Self {
        Self {
            amount: money.amount,
            currency: Cow::Borrowed(money.currency.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_currency_is_a_field_error() {
        let body = MoneyBody {
            amount: 1,
            currency: "EURO".into(),
        };
        let error = body.parse("/price").expect_err("a refusal");
        assert_eq!(error.field, "/price/currency");
        assert_eq!(
            error.message,
            "is not an ISO 4217 currency that can be used for prices"
        );
    }
}
