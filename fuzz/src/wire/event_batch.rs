//! CloudEvents in a batch: each is a message or refused by itself, and messages stay what they are.

use super::said::kept;
use crate::cast::message;
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_message::Envelope;
use openmesh_message::cloudevents::{EVENTS_MAX, from_batch, to_batch};

/// A JSON array of events.
pub fn target(input: &[u8]) -> Met {
    let events = match from_batch(input) {
        Ok(events) => events,
        Err(error) => {
            assert_brief(&error);
            return Met::Refused;
        }
    };
    assert!(events.len() <= EVENTS_MAX);
    for error in events.iter().filter_map(|event| event.as_ref().err()) {
        assert_brief(error);
    }
    let messages: Vec<Envelope> = events.into_iter().flatten().collect();
    let again: Result<Vec<Envelope>, _> =
        from_batch(to_batch(&messages).as_bytes()).unwrap().into_iter().collect();
    assert_eq!(again, Ok(messages));
    Met::Taken
}

/// None, two, and one good among bad ones.
pub fn seeds() -> Vec<Seed> {
    let two = to_batch(&[message("m-1"), kept()]);
    let mixed = two.replacen('[', r#"[{"id":[1]},7,{"data":1,"data_base64":""},"#, 1);
    vec![Seed::new("none", "[]"), Seed::new("two", two), Seed::new("mixed", mixed)]
}
