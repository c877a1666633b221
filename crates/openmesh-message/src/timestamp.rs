//! Points in time: milliseconds since the Unix epoch, written as RFC 3339 in UTC.

use std::fmt;

/// Milliseconds since the Unix epoch, UTC.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct Timestamp(#[n(0)] i64);

/// Times from here on are left to `jiff`, which knows none later than this (`jiff::Timestamp::MAX`).
const COMMON_MS_END: u64 = 253_402_207_200_000;

/// Why a text is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 time (2026-01-31T12:00:00Z)")]
pub struct TimestampError(String);

impl Timestamp {
    /// Wraps milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This time moved by `ms`, stopping at the ends of the range.
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this time; negative if it is later.
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Parses an RFC 3339 time with its offset.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let refused = || TimestampError(crate::limits::excerpt(text));
        if let Some(millis) = common_millis(text.as_bytes()) {
            return Ok(Self(millis));
        }
        if text.len() > 40 {
            return Err(refused());
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| refused())?;
        Ok(Self(time.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(millis @ 0..COMMON_MS_END) = u64::try_from(self.0) {
            return f.write_str(std::str::from_utf8(&common_text(millis)).unwrap_or_default());
        }
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// The time of a text such as is written here, or of one without a fraction; `None` for any other, and for dates that need a
/// closer look. Days by Howard Hinnant's `days_from_civil`.
fn common_millis(text: &[u8]) -> Option<i64> {
    let milli = match text.get(19..)? {
        b"Z" => 0,
        [b'.', fraction @ .., b'Z'] if fraction.len() == 3 => digits(fraction)?,
        _ => return None,
    };
    let part = |from: usize, to: usize, behind: &[u8]| {
        let is_before = behind.is_empty() || text.get(to..)?.starts_with(behind);
        digits(text.get(from..to).filter(|_| is_before)?)
    };
    let (year, month, day) = (part(0, 4, b"-")?, part(5, 7, b"-")?, part(8, 10, b"T")?);
    let (hour, minute, second) = (part(11, 13, b":")?, part(14, 16, b":")?, part(17, 19, b"")?);
    let is_plain = year >= 1970 && (1..=12).contains(&month) && (1..=28).contains(&day);
    if !is_plain || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (year, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + milli)
}

/// A number of a few digits.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + i64::from(digit))
    })
}

/// The text of a time whose year has four digits. Dates by Howard Hinnant's `civil_from_days`: years begin in March, and
/// 146,097 days make 400 of them.
fn common_text(millis: u64) -> [u8; 24] {
    const DAY_MS: u64 = 86_400_000;
    const DAYS_TO_1970: u64 = 719_468;
    let (days, of_day) = (millis / DAY_MS + DAYS_TO_1970, millis % DAY_MS);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let parts = [(year, 4), (month, 7), (day, 10), (hour, 13), (minute, 16), (second, 19), (milli, 23)];
    for (number, end) in parts {
        put_digits(&mut text, number, end);
    }
    text
}

/// Puts a number where zeros stand, its last digit before `end`.
fn put_digits(text: &mut [u8], mut number: u64, end: usize) {
    for place in text.iter_mut().take(end).rev() {
        if number == 0 {
            return;
        }
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;
    use proptest::prelude::{prop_oneof, proptest};

    #[test]
    fn rfc_3339_round_trips_to_the_millisecond() {
        let time = Timestamp::parse("2026-11-22T13:30:00.123+01:00").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T12:30:00.123Z");
        assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        assert!(Timestamp::parse("yesterday").is_err());
    }

    proptest! {
        #[test]
        fn times_of_any_year_are_written_as_jiff_writes_them(
            millis in prop_oneof![-10_000_000_000_000_i64..300_000_000_000_000, 253_402_207_100_000_i64..253_402_207_300_000],
        ) {
            let expected = match jiff::Timestamp::from_millisecond(millis) {
                Ok(time) => format!("{time:.3}"),
                Err(_) => format!("{millis}ms"),
            };
            assert_eq!(Timestamp::from_millis(millis).to_string(), expected);
            let back = expected.parse::<jiff::Timestamp>().map(|time| time.as_millisecond());
            assert_eq!(Timestamp::parse(&expected).ok().map(Timestamp::millis), back.ok());
        }
    }

    #[test]
    fn whatever_a_text_says_is_what_jiff_reads() {
        let text = "2026-11-22T13:30:59.123Z";
        let all = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond());
        for (text, place) in [(text, 0..24), ("2024-02-28T00:00:00Z", 0..20)] {
            for place in place {
                for byte in b' '..=b'~' {
                    let mut other = text.as_bytes().to_vec();
                    other[place] = byte;
                    let other = String::from_utf8(other).unwrap();
                    assert_eq!(Timestamp::parse(&other).ok().map(Timestamp::millis), all(&other), "{other}");
                }
            }
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.plus_ms(1), end);
    }
}
