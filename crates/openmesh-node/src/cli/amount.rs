//! Times, spans and sizes as people write them.

use super::failure::Failure;
use anyhow::Result;
use openmesh_message::Timestamp;
use openmesh_sdk::now;
use std::time::Duration;

const SPANS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
const SIZES: [(&str, u64); 8] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A span: seconds, or a number and its unit, as 500ms, 2s, 10m, 1h, 30d.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let ms = amount(text, &SPANS, 1_000);
    ms.map(Duration::from_millis).ok_or_else(|| "write seconds, or as 500ms, 2s, 10m, 1h, 30d".to_owned())
}

/// A size: bytes, or a number and its unit, as 64KiB, 10MB, 1GiB.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    amount(text, &SIZES, 1).ok_or_else(|| "write bytes, or as 64KiB, 10MB, 1GiB".to_owned())
}

/// A time to come: seconds or a span from now, or a time as 2026-12-24T12:00:00Z.
pub(crate) fn time_to_come(flag: &str, text: &str) -> Result<Timestamp> {
    time(flag, text, 1)
}

/// A time that was: seconds or a span before now, or a time as 2026-12-24T12:00:00Z.
pub(crate) fn time_past(flag: &str, text: &str) -> Result<Timestamp> {
    time(flag, text, -1)
}

fn time(flag: &str, text: &str, direction: i64) -> Result<Timestamp> {
    if let Ok(span) = span(text) {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        return Ok(now().plus_ms(ms.saturating_mul(direction)));
    }
    let next = "write seconds, a span as 10m, or a time as 2026-12-24T12:00:00Z";
    Timestamp::parse(text).map_err(|why| Failure::usage(format!("{flag}: {why}")).next(next).into())
}

/// How long a span is, in the largest unit that divides it.
pub(crate) fn show_span(ms: u64) -> String {
    show(ms, &SPANS)
}

/// How large a size is, in the largest unit that divides it.
pub(crate) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES)
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    let dividing = units.iter().filter(|(_, worth)| amount > 0 && amount.is_multiple_of(*worth));
    match dividing.max_by_key(|(_, worth)| *worth) {
        Some((unit, worth)) => format!("{}{unit}", amount / worth),
        None => amount.to_string(),
    }
}

fn amount(text: &str, units: &[(&str, u64)], without_unit: u64) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let worth = match unit {
        "" => without_unit,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(worth);
    }
    let number: f64 = number.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    let amount = number * worth as f64;
    (amount < u64::MAX as f64).then_some(amount as u64)
}

#[cfg(test)]
mod tests {
    use super::{show_size, show_span, size, span};
    use std::time::Duration;

    #[test]
    fn spans_and_sizes_are_read_and_shown() {
        assert_eq!(span("2"), Ok(Duration::from_secs(2)));
        assert_eq!(span("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(span("1.5h"), Ok(Duration::from_secs(5_400)));
        assert_eq!(span("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("12"), Ok(12));
        for text in ["", "m", "1y", "-1", "1 h", "9999999999999999999d"] {
            assert!(span(text).is_err(), "{text}");
        }
        assert_eq!((show_span(86_400_000), show_span(90_000)), ("1d".to_owned(), "90s".to_owned()));
        assert_eq!((show_size(1 << 20), show_size(1_500)), ("1MiB".to_owned(), "1500B".to_owned()));
    }
}
