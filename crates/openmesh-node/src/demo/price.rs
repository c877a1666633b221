//! Prices: whole cents, so that every process rounds alike, and amounts compare as they were written.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

const CENTS: f64 = 100.0;
/// Beyond it, amounts in cents are no longer exact in JSON numbers.
const CENTS_MAX: f64 = 9.0e15;

/// An amount of money in hundredths of its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Price(i64);

impl Price {
    /// The amount as JSON has it, what is below a cent cut off; `None` for one that no price can be.
    pub(crate) fn from_amount(amount: f64) -> Option<Self> {
        let nearest = (amount * CENTS).round();
        // 0.29 * 100 lies below 29: an amount that is whole cents stays what it is.
        let cents = if nearest / CENTS > amount { nearest - 1.0 } else { nearest };
        ((0.0..=CENTS_MAX).contains(&cents)).then_some(Self(cents as i64))
    }

    /// The amount as JSON has it.
    pub(crate) fn amount(self) -> f64 {
        self.0 as f64 / CENTS
    }

    /// This price times a factor, to the nearest cent.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor).round().clamp(0.0, CENTS_MAX) as i64)
    }

    /// The price at a share of the way from this one to another; 0 is this one, 1 the other.
    pub(crate) fn towards(self, other: Self, share: f64) -> Self {
        Self(self.0 + ((other.0 - self.0) as f64 * share).round() as i64)
    }

    /// The `value` object of the market's schemas.
    pub(crate) fn value(self, currency: &str) -> Value {
        json!({"amount": self.amount(), "currency": currency})
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, cents) = (self.0 / 100, self.0 % 100);
        let digits = whole.to_string();
        let mut grouped = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        f.pad(&format!("{grouped}.{cents:02}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Price;

    #[test]
    fn amounts_survive_a_round_trip_and_never_grow() {
        for cents in [0, 1, 29, 57, 99, 100, 12_345_678, 110_000_000] {
            assert_eq!(Price::from_amount(Price(cents).amount()), Some(Price(cents)));
        }
        assert_eq!(Price::from_amount(1.999), Some(Price(199)));
        assert_eq!(Price::from_amount(-1.0), None);
        assert_eq!(Price::from_amount(f64::NAN), None);
        assert_eq!(Price::from_amount(1.0e300), None);
    }

    #[test]
    fn prices_are_readable() {
        assert_eq!(Price(123_456_789).to_string(), "1,234,567.89");
        assert_eq!(Price(5).to_string(), "0.05");
        assert_eq!(Price(100_000).towards(Price(50_000), 0.25).to_string(), "875.00");
    }
}
