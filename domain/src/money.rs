//! Money: whole minor units of an ISO 4217 currency, with arithmetic that never wraps.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Returns the three-letter code, such as `EUR`.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Returns how many decimal digits the minor unit has: 2 for `EUR`, 0 for `JPY`.
    ///
    /// `None` for units of account without a minor unit, such as gold.
    pub fn exponent(self) -> Option<u16> {
        self.0.exponent()
    }
}

/// A code that ISO 4217 does not list, or that has no minor unit and so cannot price a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ISO 4217 currency that can be used for prices")]
pub struct UnknownCurrency;

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, UnknownCurrency> {
        let currency = iso_currency::Currency::from_code(code).ok_or(UnknownCurrency)?;
        currency.exponent().ok_or(UnknownCurrency)?;
        Ok(Self(currency))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Why a sum of money could not be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The result does not fit an `i64` of minor units.
    #[error("the amount is too large")]
    Overflow,
    /// The operands have different currencies.
    #[error("{0} and {1} cannot be added up")]
    MixedCurrencies(Currency, Currency),
}

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Whole minor units: cents for `EUR`, yen for `JPY`.
    pub amount: i64,
    /// The currency that `amount` counts.
    pub currency: Currency,
}

impl Money {
    /// Makes an amount from whole minor units.
    pub const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Adds two amounts of one currency.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::MixedCurrencies(self.currency, other.currency));
        }
        let amount = self
            .amount
            .checked_add(other.amount)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// Multiplies a unit price by a quantity.
    pub fn checked_mul(self, quantity: u32) -> Result<Self, MoneyError> {
        let amount = self
            .amount
            .checked_mul(i64::from(quantity))
            .ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }
}

/// Writes the amount in whole units with the currency's digits: `19.99 EUR`, `500 JPY`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (amount, code) = (self.amount.unsigned_abs(), self.currency.code());
        let sign = if self.amount < 0 { "-" } else { "" };
        let digits = usize::from(self.currency.exponent().unwrap_or(0));
        // No currency has more than four digits.
        match 10_u64.checked_pow(u32::from(self.currency.exponent().unwrap_or(0))) {
            Some(unit) if unit > 1 => {
                write!(f, "{sign}{}.{:0digits$} {code}", amount / unit, amount % unit)
            }
            _ => write!(f, "{sign}{amount} {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn eur(amount: i64) -> Money {
        Money::new(amount, "EUR".parse().expect("known"))
    }

    #[test]
    fn exponents_follow_iso_4217() {
        for (code, digits) in [("EUR", 2), ("JPY", 0), ("KWD", 3)] {
            assert_eq!(code.parse::<Currency>().expect("known").exponent(), Some(digits));
        }
    }

    #[test]
    fn amounts_are_written_with_the_digits_of_their_currency() {
        let written = |amount, code: &str| Money::new(amount, code.parse().expect("known")).to_string();
        assert_eq!(written(1_999, "EUR"), "19.99 EUR");
        assert_eq!(written(5, "EUR"), "0.05 EUR");
        assert_eq!(written(-105, "EUR"), "-1.05 EUR");
        assert_eq!(written(500, "JPY"), "500 JPY");
        assert_eq!(written(12_345, "KWD"), "12.345 KWD");
        assert_eq!(written(i64::MIN, "EUR"), "-92233720368547758.08 EUR");
    }

    #[test]
    fn gold_and_made_up_codes_price_nothing() {
        for code in ["XAU", "EURO", "eur", ""] {
            assert_eq!(code.parse::<Currency>(), Err(UnknownCurrency), "{code}");
        }
    }

    #[test]
    fn different_currencies_do_not_add_up() {
        let yen = Money::new(1, "JPY".parse().expect("known"));
        assert!(matches!(
            eur(1).checked_add(yen),
            Err(MoneyError::MixedCurrencies(..))
        ));
    }

    proptest! {
        #[test]
        fn money_never_overflows_silently(a: i64, b: i64, quantity: u32) {
            let sum = i128::from(a) + i128::from(b);
            match eur(a).checked_add(eur(b)) {
                Ok(money) => prop_assert_eq!(i128::from(money.amount), sum),
                Err(error) => {
                    prop_assert_eq!(error, MoneyError::Overflow);
                    prop_assert!(i64::try_from(sum).is_err());
                }
            }
            let product = i128::from(a) * i128::from(quantity);
            match eur(a).checked_mul(quantity) {
                Ok(money) => prop_assert_eq!(i128::from(money.amount), product),
                Err(_) => prop_assert!(i64::try_from(product).is_err()),
            }
        }
    }
}
