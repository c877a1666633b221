//! Medians, percentiles and spreads.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The median of some values, with the least and the greatest of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let is_even = sorted.len().is_multiple_of(2);
        let lower = if is_even { *sorted.get(middle - 1)? } else { upper };
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }

    /// Of the quotients of two rows of values, taken round by round.
    pub(crate) fn of_ratios(above: &[f64], below: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = above.iter().zip(below).map(|(above, below)| above / below).collect();
        Self::of(&ratios)
    }

    /// Of the differences of two rows of values, taken round by round.
    pub(crate) fn of_differences(from: &[f64], less: &[f64]) -> Option<Self> {
        let differences: Vec<f64> = from.iter().zip(less).map(|(from, less)| from - less).collect();
        Self::of(&differences)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}..{})", short(self.median), short(self.min), short(self.max))
    }
}

/// The value below which `share` of the sorted values lie.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> u64 {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

/// Three digits that count, with thousands set apart.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    let decimals = if size >= 100.0 || value == 0.0 {
        0
    } else if size >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let grouped = grouped(digits);
    if rest.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{rest}") }
}

/// A count, with thousands set apart.
pub(crate) fn whole(count: u64) -> String {
    grouped(&count.to_string())
}

fn grouped(digits: &str) -> String {
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::{Spread, percentile, short, whole};

    #[test]
    fn medians_of_odd_and_even_counts_lie_in_the_middle() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]).unwrap(), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of(&[f64::NAN, 7.0]).unwrap().median, 7.0);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ratios = Spread::of_ratios(&[10.0, 30.0], &[10.0, 10.0]).unwrap();
        assert_eq!((ratios.min, ratios.max), (1.0, 3.0));
        assert_eq!(Spread::of_differences(&[10.0, 30.0], &[9.0, 10.0]).unwrap().max, 20.0);
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&values, 0.5), 51);
        assert_eq!(percentile(&values, 0.99), 100);
        assert_eq!(percentile(&[5], 0.99), 5);
        assert_eq!(percentile(&[], 0.5), 0);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(1_234_567.8), "1,234,568");
        assert_eq!(short(-123.4), "-123");
        assert_eq!(short(12.34), "12.3");
        assert_eq!(short(0.123), "0.12");
        assert_eq!(short(0.0), "0");
        assert_eq!((whole(1), whole(1_000), whole(999)), ("1".into(), "1,000".into(), "999".into()));
    }
}
