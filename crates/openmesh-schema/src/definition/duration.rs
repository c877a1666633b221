//! ISO 8601 durations of fixed length: weeks, days, hours, minutes, seconds. No years or months: they vary.

use crate::limits::DURATION_MS_MAX;

/// Milliseconds of `PT10M`, `P1DT12H`, `P2W`; at least one second, at most a year.
pub(crate) fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let malformed = || format!("`{text}` is not a duration such as PT10M, PT24H or P7D");
    let rest = text.strip_prefix('P').ok_or_else(malformed)?;
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return Err(malformed()),
        None => (rest, ""),
    };
    let date_s = sum_units(date, &[('W', 604_800), ('D', 86_400)]).ok_or_else(malformed)?;
    let time_s = sum_units(time, &[('H', 3_600), ('M', 60), ('S', 1)]).ok_or_else(malformed)?;
    let total_ms = date_s.checked_add(time_s).and_then(|s| s.checked_mul(1000));
    match total_ms {
        Some(ms) if ms > 0 && ms <= DURATION_MS_MAX => Ok(ms),
        Some(0) => Err(format!("`{text}` is no time at all")),
        _ => Err(format!("`{text}` is longer than 366 days")),
    }
}

fn sum_units(text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut rest = text;
    let mut total = 0_i64;
    for (letter, seconds) in units {
        let Some((digits, after)) = rest.split_once(*letter) else {
            continue;
        };
        if digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        total = total.checked_add(digits.parse::<i64>().ok()?.checked_mul(*seconds)?)?;
        rest = after;
    }
    rest.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::parse_duration_ms;

    #[test]
    fn durations_are_read_to_the_second() {
        assert_eq!(parse_duration_ms("PT10M"), Ok(600_000));
        assert_eq!(parse_duration_ms("P1DT12H30S"), Ok(129_630_000));
        assert_eq!(parse_duration_ms("P2W"), Ok(1_209_600_000));
        for bad in
            ["", "P", "PT", "10M", "PT10", "PT0S", "P1M1D", "PT1M1H", "P1Y", "P400D", "PT-1M", "PT1.5S"]
        {
            assert!(parse_duration_ms(bad).is_err(), "{bad}");
        }
    }
}
