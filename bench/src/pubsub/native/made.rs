//! Messages that are made before the clock starts: signed in batches, or JSON with a schema, or both. Each is sent once, for a
//! signature that was seen before would cost nothing.

use super::{TOPIC, topic};
use crate::generate::native::Line;
use crate::generate::now;
use crate::pubsub::batch::TAG_MIN;
use crate::pubsub::seen::Seen;
use anyhow::{Context, Result, bail};
use openmesh_message::frame::{ClientFrame, Command, FrameEncoder, Reply};
use openmesh_message::{Address, DomainId, Draft, Envelope, Performative, PinnedName, Proof};
use std::collections::VecDeque;

/// What messages are.
#[derive(Clone, Copy, Debug)]
pub(in crate::pubsub) struct Making {
    /// How many are made.
    pub(in crate::pubsub) count: usize,
    /// Bytes of each payload.
    pub(in crate::pubsub) payload_bytes: usize,
    /// Messages of one write, and of one signature.
    pub(in crate::pubsub) at_once: usize,
    /// Whether each batch is signed.
    pub(in crate::pubsub) is_signed: bool,
    /// Whether payloads have a schema.
    pub(in crate::pubsub) is_typed: bool,
}

/// Blocks of messages, each written once.
pub(in crate::pubsub) struct Made {
    blocks: VecDeque<(u64, Vec<u8>)>,
    written: Vec<u8>,
}

const SCHEMA: &str = "bench/tick@v1.0.0";
const SCHEMA_TEXT: &str = r#"{
  "type": "object",
  "required": ["number", "note"],
  "properties": {
    "number": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
    "note": {"type": "string", "maxLength": 100000}
  },
  "additionalProperties": false
}"#;
/// What a payload begins with; the number's digits follow.
const BEGINNING: &str = r#"{"note":""#;
const MIDDLE: &str = r#"","number":""#;
const END: &str = r#""}"#;
const DIGITS: usize = 12;

impl Made {
    /// Makes all of them, as the frames of a connection that has said nothing else of messages.
    pub(super) fn make(line: &mut Line, domain: DomainId, making: Making) -> Result<Self> {
        let schema = if making.is_typed { Some(publish(line)?) } else { None };
        let (to, mut encoder) = (topic(domain)?, FrameEncoder::default());
        let mut blocks = VecDeque::new();
        for first in (0..making.count).step_by(making.at_once) {
            let numbers = first..(first + making.at_once).min(making.count);
            let tags = numbers.clone().map(|number| u64::from(TAG_MIN) + number as u64);
            let messages = batch(line, &to, making, schema.as_ref(), numbers)?;
            let (count, mut bytes) = (messages.len() as u64, Vec::new());
            encoder.encode_client(&ClientFrame::Send(tags.zip(messages).collect()), &mut bytes)?;
            blocks.push_back((count, bytes));
        }
        Ok(Self { blocks, written: Vec::new() })
    }

    /// Messages of the next block; 0 where there is none.
    pub(in crate::pubsub) fn messages(&self) -> u64 {
        self.blocks.front().map_or(0, |(count, _)| *count)
    }

    /// The next block, if there is one.
    pub(in crate::pubsub) fn next(&mut self) -> Option<&[u8]> {
        (_, self.written) = self.blocks.pop_front()?;
        Some(&self.written)
    }
}

/// Reads which message a payload is of.
pub(super) fn seen(payload: &[u8], seen: &mut Seen) -> Result<()> {
    let digits = payload.len().checked_sub(END.len() + DIGITS).and_then(|at| payload.get(at..at + DIGITS));
    let digits =
        digits.and_then(|digits| std::str::from_utf8(digits).ok()).context("a payload without a number")?;
    seen.number(u64::from_str_radix(digits, 16)?)
}

fn batch(
    line: &Line,
    to: &Address,
    making: Making,
    schema: Option<&PinnedName>,
    numbers: std::ops::Range<usize>,
) -> Result<Vec<Envelope>> {
    let (key, now) = (line.key(), now()?);
    let draft = |number: usize| {
        let draft = Draft::new(format!("{number:0DIGITS$x}"), now, to, &Performative::Inform);
        let payload = payload(number, making.payload_bytes)?;
        let draft = match schema {
            Some(schema) => draft.json(payload).schema(schema),
            None => draft.payload("application/octet-stream", payload),
        };
        Ok(draft.unsigned(&key.id())?)
    };
    let mut envelopes = numbers.map(draft).collect::<Result<Vec<_>>>()?;
    if making.is_signed {
        let digests: Vec<_> = envelopes.iter().map(Envelope::digest).collect();
        for (envelope, proof) in envelopes.iter_mut().zip(Proof::sign_batch(key, &digests)) {
            envelope.proof = Some(proof);
        }
    }
    Ok(envelopes)
}

/// JSON of so many bytes, as RFC 8785 writes it, with the message's number in it.
fn payload(number: usize, bytes: usize) -> Result<Vec<u8>> {
    let least = BEGINNING.len() + MIDDLE.len() + DIGITS + END.len();
    let room = bytes.checked_sub(least).with_context(|| format!("a payload has {least} bytes at least"))?;
    Ok(format!("{BEGINNING}{}{MIDDLE}{number:0DIGITS$x}{END}", "x".repeat(room)).into_bytes())
}

fn publish(line: &mut Line) -> Result<PinnedName> {
    let publish = Command::PublishSchema { name: SCHEMA.to_owned(), definition: SCHEMA_TEXT.to_owned() };
    match line.command(publish).with_context(|| format!("a schema for {TOPIC}"))? {
        Reply::Definition { name, .. } => Ok(name.parse()?),
        other => bail!("a definition was answered with {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{SCHEMA_TEXT, payload, seen};
    use crate::pubsub::seen::Seen;

    #[test]
    fn a_payload_has_its_size_and_its_number_and_what_the_schema_wants() {
        let made = payload(0xab, 128).unwrap();
        assert_eq!(made.len(), 128);
        let json: serde_json::Value = serde_json::from_slice(&made).unwrap();
        assert_eq!(json["number"], "0000000000ab");
        let schema: serde_json::Value = serde_json::from_str(SCHEMA_TEXT).unwrap();
        assert!(
            schema["required"].as_array().unwrap().iter().all(|name| !json[name.as_str().unwrap()].is_null())
        );
        let mut read = Seen::default();
        seen(&made, &mut read).unwrap();
        assert_eq!((read.messages(), read.next()), (1, 0xac));
        assert!(payload(0, 20).is_err() && seen(b"short", &mut read).is_err());
    }
}
