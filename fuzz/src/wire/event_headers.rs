//! A CloudEvent in binary mode: as a message, it is the same in every form. An input is lines of `name: value` and,
//! after an empty one, the body.

use super::said::kept;
use crate::cast::message;
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_message::Envelope;
use openmesh_message::cloudevents::{from_headers, from_json, to_headers, to_json};

const HEADERS_MAX: usize = 80;

/// Headers, an empty line, a body.
pub fn target(input: &[u8]) -> Met {
    let mut rest = input;
    let mut headers: Vec<(&str, &[u8])> = Vec::new();
    while headers.len() < HEADERS_MAX && !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.windows(2).position(|pair| pair == b": ") else {
            continue;
        };
        if let Ok(name) = std::str::from_utf8(&line[..colon]) {
            headers.push((name, &line[colon + 2..]));
        }
    }
    match from_headers(headers, rest.to_vec().into()) {
        Ok(message) => {
            let again = to_headers(&message);
            let again = again.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            assert_eq!(from_headers(again, message.payload.clone()).as_ref(), Ok(&message));
            assert_eq!(from_json(to_json(&message).as_bytes()), Ok(message));
            Met::Taken
        }
        Err(error) => {
            assert_brief(&error);
            Met::Refused
        }
    }
}

/// Messages of ours, and values that are quoted and encoded.
pub fn seeds() -> Vec<Seed> {
    let of = |message: &Envelope| {
        let mut input = Vec::new();
        for (name, value) in to_headers(message) {
            input.extend(format!("{name}: {value}\n").into_bytes());
        }
        [input, b"\n".to_vec(), message.payload.to_vec()].concat()
    };
    let plain = "ce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: t\ncontent-type: text/plain\n";
    vec![
        Seed::new("sent", of(&message("m-1"))),
        Seed::new("kept", of(&kept())),
        Seed::new("quoted", format!("{plain}ce-subject: \"a \\\"b\\\"\"\nhost: x\n\nbody")),
        Seed::new("encoded", format!("{plain}ce-subject: Euro%20%E2%82%AC%20%F0%9F%98%80\n\n")),
    ]
}
