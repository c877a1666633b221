//! The durations of timers, beside a reader that goes letter by letter.

use crate::cast::authority;
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_schema::limits::DURATION_MS_MAX;
use openmesh_schema::{Catalog, TimerStart};
use serde_json::{Value, json};

const DIGITS_MAX: usize = 9;

/// The text of a duration.
pub fn target(input: &[u8]) -> Met {
    let Ok(text) = std::str::from_utf8(input) else {
        return Met::Refused;
    };
    let expected = naive(text);
    match Catalog::builtin().check_protocol(definition(text).to_string().as_bytes(), authority()) {
        Ok((protocol, _)) => {
            let timer = protocol.definition().machines["round"].states["asked"].timer.as_ref().unwrap();
            let starts = TimerStart::After { text: text.to_owned(), duration_ms: expected.unwrap() };
            assert_eq!(timer.starts, starts);
            Met::Taken
        }
        Err(error) => {
            assert_eq!(expected, None, "`{text}` is refused: {error}");
            assert_brief(&error);
            Met::Refused
        }
    }
}

/// A small protocol with a timer of that duration.
pub(super) fn definition(after: &str) -> Value {
    json!({
        "protocol": "acme/tiny@v1.0.0",
        "roles": {"asker": {"count": 1, "binds": "initiator"}, "answerer": {"count": 1, "binds": "first-move"}},
        "machines": {"round": {
            "initial": "start",
            "finals": {"done": "success", "late": "timeout"},
            "states": {
                "start": {"moves": [{"performative": "request", "from": "asker", "next": "asked"}]},
                "asked": {
                    "timer": {"after": after, "next": "late"},
                    "moves": [{"performative": "inform", "from": "answerer", "next": "done"}],
                },
            },
        }},
    })
}

/// Milliseconds, of weeks, days, hours, minutes and seconds in this order, each at most once.
fn naive(text: &str) -> Option<i64> {
    let mut units = [('W', 604_800), ('D', 86_400), ('T', 0), ('H', 3_600), ('M', 60), ('S', 1)].into_iter();
    let mut letters = text.strip_prefix('P')?.chars();
    let (mut digits, mut total_s, mut in_time) = (String::new(), 0_i64, false);
    let mut last = 'P';
    for letter in letters.by_ref() {
        last = letter;
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let (_, seconds) = units.by_ref().find(|(unit, _)| *unit == letter)?;
        if letter == 'T' {
            in_time = true;
            if !digits.is_empty() {
                return None;
            }
            continue;
        }
        if digits.is_empty() || digits.len() > DIGITS_MAX || (!in_time && "HMS".contains(letter)) {
            return None;
        }
        total_s += digits.parse::<i64>().unwrap() * seconds;
        digits.clear();
    }
    let ms = total_s * 1000;
    (digits.is_empty() && last != 'T' && ms > 0 && ms <= DURATION_MS_MAX).then_some(ms)
}

/// Durations, and what is near to them.
pub fn seeds() -> Vec<Seed> {
    let texts =
        ["PT10M", "P1DT12H30S", "P2W", "P366D", "P367D", "PT0S", "P1M", "PT1M1H", "P1DT", "PT000000009S"];
    texts.iter().map(|text| Seed::new(text.to_lowercase(), *text)).collect()
}
