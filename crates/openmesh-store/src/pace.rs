//! When work beside the log gives way more than usual.

use std::time::Duration;

/// Records a second for which the log needs the cores: what follows it catches up when there are fewer.
const FLOOD_PER_SECOND: f64 = 30_000.0;

/// Whether the log, grown by so many records while work beside it took so long, grows so fast that this work is to wait.
pub fn is_flood(grown: u64, worked: Duration) -> bool {
    grown as f64 > FLOOD_PER_SECOND * worked.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::is_flood;
    use std::time::Duration;

    #[test]
    fn it_is_the_rate_that_counts() {
        assert!(!is_flood(0, Duration::ZERO));
        assert!(!is_flood(29, Duration::from_millis(1)));
        assert!(is_flood(31, Duration::from_millis(1)));
        assert!(!is_flood(31, Duration::from_millis(2)));
    }
}
