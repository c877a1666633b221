//! Moments as people write them: a time, or how long ago.

use openmesh_message::Timestamp;

const UNITS: [(&str, i64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 60 * 60_000), ("d", 24 * 60 * 60_000)];

/// Reads `10m`, `2h`, `3d` (ago) or an RFC 3339 time.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    if let Some(ago_ms) = ago_ms(text) {
        return Ok(openmesh_sdk::now().plus_ms(-ago_ms));
    }
    text.parse().map_err(|_| {
        format!("`{text}` is neither how long ago (30s, 10m, 2h, 3d) nor a time (2026-01-31T12:00:00Z)")
    })
}

fn ago_ms(text: &str) -> Option<i64> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<i64>().ok()?.checked_mul(*unit_ms)
}

#[cfg(test)]
mod tests {
    use super::{ago_ms, parse};

    #[test]
    fn times_and_spans_are_told_apart() {
        assert_eq!(ago_ms("10m"), Some(600_000));
        assert_eq!(ago_ms("250ms"), Some(250));
        assert_eq!(ago_ms("3d"), Some(3 * 86_400_000));
        assert_eq!(parse("2026-01-31T12:00:00Z").unwrap().to_string(), "2026-01-31T12:00:00Z");
        assert!(parse("10m").unwrap() < openmesh_sdk::now());
        for bad in ["", "10", "m", "10 m", "-3h", "yesterday", "99999999999999999d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
