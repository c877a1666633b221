//! Histories: what clients saw, in their order, and what was read afterwards, checked against G1 to G6.
//!
//! A history is a list of [`Event`]s, one JSON object a line where it is kept as text. The [`Checker`] takes them one by
//! one and remembers what it must: it takes as long as the history is, however often it is asked.

mod aired;
mod checker;
mod deliveries;
mod event;
mod inboxes;
mod lanes;
mod logs;
mod messages;
mod names;
mod reading;
mod requests;
#[cfg(test)]
mod tests;

pub use checker::{Checker, Figures};
pub use event::{Ending, Event, Handed, MessageName, Outcome, Place, Put};
pub use reading::{accepted, counts, delivered, record, sent};

use crate::violation::Violation;

/// Checks a history of JSON lines; empty lines and those that begin with `#` are passed over.
///
/// # Errors
/// The number of a line that is no event, and what is wrong with it.
pub fn check_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Checker, Violation> {
    let mut checker = Checker::default();
    for (index, line) in lines.into_iter().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let event = serde_json::from_str(line).map_err(|error| {
            Violation::new("a history can be read", format!("line {}: {error}", index + 1))
        })?;
        checker.note(&event);
    }
    Ok(checker)
}
