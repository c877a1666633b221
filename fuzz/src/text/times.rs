//! Points in time: whatever is taken is written in one form, which leads back, and which sorts as the times do.

use crate::cast::NOW;
use crate::form::is_a_text_of;
use crate::targets::{Met, Seed};
use openmesh_message::Timestamp;

/// Any text.
pub fn target(input: &[u8]) -> Met {
    let Ok(text) = std::str::from_utf8(input) else {
        return Met::Refused;
    };
    let Some(time) = is_a_text_of::<Timestamp>(text) else {
        return Met::Refused;
    };
    assert_eq!(Timestamp::from_millis(time.millis()), time);
    assert_eq!(NOW.plus_ms(time.since_ms(NOW)), time);
    let (written, now) = (time.to_string(), NOW.to_string());
    assert!(written.ends_with('Z'));
    if written.len() == now.len() {
        assert_eq!(written.cmp(&now), time.cmp(&NOW), "{written}");
    }
    Met::Taken
}

/// Times with and without fractions, offsets, and at the ends.
pub fn seeds() -> Vec<Seed> {
    vec![
        Seed::new("zulu", "2026-01-31T12:00:00Z"),
        Seed::new("fraction", "2026-11-22T13:30:00.123456789+01:00"),
        Seed::new("leap", "2016-12-31T23:59:60Z"),
        Seed::new("early", "0000-01-01T00:00:00Z"),
        Seed::new("late", "9999-12-30T22:00:00-00:00"),
        Seed::new("no-offset", "2026-01-31T12:00:00"),
    ]
}
