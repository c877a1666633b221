//! Reads frames of a node by the place of things: once one delivery has been walked through, those that are laid out
//! alike are known by their heads.

use crate::pubsub::seen::{Scan, Seen};
use anyhow::{Context, Result, ensure};
use minicbor::Decoder;
use openmesh_message::frame::{FrameDecoder, body_length};

const HEADER_BYTES: usize = 4;
/// A frame's body begins with an array of two and its kind.
const OUTCOMES: [u8; 2] = [0x82, 0];
const DELIVER: [u8; 2] = [0x82, 2];
/// Or an array of three: sends whose tags follow one another were passed on.
const ALL_PASSED: [u8; 2] = [0x83, 7];
/// A message is an array of seven, its variant first.
const MESSAGE: [u8; 2] = [0x87, 0];
/// An outcome `[tag of four bytes, [3, []]]`.
const PASSED_BYTES: usize = 9;
const PASSED: [u8; 3] = [0x82, 3, 0x80];

/// Counts what is delivered to one subscription. What a node answers to sends must be that they were passed on; anything
/// else ends the load.
pub(crate) struct Frames {
    subscription: u64,
    read: fn(&[u8], &mut Seen) -> Result<()>,
    alike: Option<Layout>,
}

/// How a message is laid out behind its number.
struct Layout {
    /// From the attributes up to the payload's content: only to compare its ends.
    first: u8,
    payload_at: usize,
    payload_bytes: usize,
    /// The head of the payload, and what stands behind it.
    payload_head: [u8; 2],
    tail: Vec<u8>,
}

impl Frames {
    pub(crate) fn new(subscription: u64) -> Self {
        Self::reading(subscription, |payload, seen| seen.message(payload))
    }

    /// The same where payloads say otherwise which messages they are of.
    pub(super) const fn reading(subscription: u64, read: fn(&[u8], &mut Seen) -> Result<()>) -> Self {
        Self { subscription, read, alike: None }
    }

    fn delivered(&mut self, body: &[u8], seen: &mut Seen) -> Result<()> {
        let mut decoder = Decoder::new(body);
        decoder.set_position(DELIVER.len());
        let count = decoder.array()?.context("a list without its length")?;
        for _ in 0..count {
            let at = decoder.position();
            let rest = body.get(at..).unwrap_or_default();
            if let Some(bytes) = self.quick(rest, seen)? {
                decoder.set_position(at + bytes);
            } else {
                self.walk(&mut decoder, seen)?;
            }
        }
        ensure!(decoder.position() == body.len(), "bytes follow the frame");
        Ok(())
    }

    /// Counts a message that is laid out as the last one; says how long it is.
    fn quick(&self, bytes: &[u8], seen: &mut Seen) -> Result<Option<usize>> {
        let Some((layout, [array, variant, subscription, width, ..])) =
            self.alike.as_ref().zip(bytes.first_chunk::<4>())
        else {
            return Ok(None);
        };
        if [*array, *variant] != MESSAGE || u64::from(*subscription) != self.subscription {
            return Ok(None);
        }
        let number_bytes = match width {
            0..=0x17 => 1,
            0x18 => 2,
            0x19 => 3,
            0x1a => 5,
            _ => 9,
        };
        let message = bytes.get(3 + number_bytes..).unwrap_or_default();
        let Some(payload) = layout.payload(message) else { return Ok(None) };
        (self.read)(payload, seen)?;
        Ok(Some(3 + number_bytes + layout.bytes()))
    }

    /// Reads a delivery item by item, and remembers how it is laid out.
    fn walk(&mut self, decoder: &mut Decoder<'_>, seen: &mut Seen) -> Result<()> {
        decoder.array()?;
        let variant = decoder.u8()?;
        ensure!(decoder.u64()? == self.subscription, "a delivery for nobody");
        let number = decoder.u64()?;
        if variant == 1 {
            let last = decoder.u64()?;
            ensure!(last >= number, "a gap that ends before it begins");
            seen.missed(last);
            return Ok(());
        }
        let begin = decoder.position();
        decoder.skip()?;
        let head = decoder.position();
        let payload = decoder.bytes()?;
        let content = decoder.position() - payload.len();
        decoder.skip()?;
        decoder.skip()?;
        let message = decoder.input().get(begin..decoder.position()).unwrap_or_default();
        (self.read)(payload, seen)?;
        self.alike = Layout::of(message, head - begin, content - begin, payload.len());
        Ok(())
    }
}

impl Layout {
    fn of(message: &[u8], head: usize, payload_at: usize, payload_bytes: usize) -> Option<Self> {
        let payload_head = *message.get(head..payload_at)?.last_chunk::<2>()?;
        let tail = message.get(payload_at + payload_bytes..)?.to_vec();
        Some(Self { first: *message.first()?, payload_at, payload_bytes, payload_head, tail })
    }

    fn bytes(&self) -> usize {
        self.payload_at + self.payload_bytes + self.tail.len()
    }

    /// The payload of a message laid out like this; `None` where it is not.
    fn payload<'a>(&self, message: &'a [u8]) -> Option<&'a [u8]> {
        let (before, rest) = message.split_at_checked(self.payload_at)?;
        let (payload, after) = rest.split_at_checked(self.payload_bytes)?;
        let is_alike = before.first() == Some(&self.first)
            && before.last_chunk::<2>() == Some(&self.payload_head)
            && after.starts_with(&self.tail);
        is_alike.then_some(payload)
    }
}

impl Scan for Frames {
    fn scan(&mut self, bytes: &[u8], seen: &mut Seen) -> Result<usize> {
        each_frame(bytes, |body| {
            if body.starts_with(&DELIVER) {
                return self.delivered(body, seen);
            }
            if body.starts_with(&ALL_PASSED) {
                return Ok(());
            }
            ensure!(body.starts_with(&OUTCOMES), "the node said what was not expected: {}", said(body));
            all_passed(body)
        })
    }
}

fn all_passed(body: &[u8]) -> Result<()> {
    let mut decoder = Decoder::new(body);
    decoder.set_position(OUTCOMES.len());
    decoder.array()?;
    let outcomes = body.get(decoder.position()..).unwrap_or_default();
    let all = outcomes.chunks(PASSED_BYTES).all(|outcome| outcome.ends_with(&PASSED));
    ensure!(all, "not every message was passed on: {}", said(body));
    Ok(())
}

/// Hands over the bodies of all whole frames; says how many bytes they were.
fn each_frame(bytes: &[u8], mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<usize> {
    let mut rest = bytes;
    while let Some((header, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
        let Some((body, after)) = after.split_at_checked(body_length(*header)?) else { break };
        each(body)?;
        rest = after;
    }
    Ok(bytes.len() - rest.len())
}

fn said(body: &[u8]) -> String {
    format!("{:?}", FrameDecoder::default().decode_server(body))
}

#[cfg(test)]
mod tests {
    use super::Frames;
    use crate::pubsub::seen::{Scan, Seen};
    use openmesh_message::frame::{Delivery, FrameEncoder, SendOutcome, ServerFrame};
    use openmesh_message::{Address, DomainId, Draft, KeyPair, Performative, Target, Timestamp};
    use std::sync::Arc;

    fn message(number: u64, id: &str) -> Delivery {
        let key = KeyPair::from_seed(&[1; 32]).unwrap();
        let to = Address::new(DomainId::from_bytes([1; 32]), Target::Topic("live/x".parse().unwrap()));
        let draft = Draft::new(id, Timestamp::from_millis(0), &to, &Performative::Inform);
        let payload = [[0; 8], (number - 1).to_le_bytes(), [0xff; 8]].concat();
        let envelope = draft.payload("text/plain", payload).unsigned(&key.id()).unwrap();
        Delivery::Message { subscription: 1, number, envelope: Arc::new(envelope) }
    }

    fn frames(frames: Vec<ServerFrame>) -> Vec<u8> {
        let (mut encoder, mut bytes) = (FrameEncoder::default(), Vec::new());
        for frame in frames {
            encoder.encode_server(&frame, &mut bytes).unwrap();
        }
        bytes
    }

    #[test]
    fn messages_are_counted_however_they_are_laid_out_and_gaps_are_missed() {
        let alike = (1..400).map(|number| message(number, &format!("m-{number:04}"))).collect();
        let other = vec![message(400, "m"), message(401, "m-0401"), message(402, "m-0402")];
        let gap = vec![Delivery::Gap { subscription: 1, first: 403, last: 409 }, message(410, "m-0410")];
        let bytes = frames([alike, other, gap].map(ServerFrame::Deliver).into());
        let (mut scan, mut seen) = (Frames::new(1), Seen::default());
        let half = scan.scan(&bytes[..bytes.len() / 2], &mut seen).unwrap();
        assert_eq!(half + scan.scan(&bytes[half..], &mut seen).unwrap(), bytes.len());
        assert_eq!((seen.messages(), seen.next()), (403, 410));
    }

    #[test]
    fn the_wrong_subscription_and_another_frame_end_the_load() {
        let bytes = frames(vec![ServerFrame::Deliver(vec![message(1, "m")])]);
        assert!(Frames::new(2).scan(&bytes, &mut Seen::default()).is_err());
        assert!(Frames::new(1).scan(&frames(vec![ServerFrame::Pong(1)]), &mut Seen::default()).is_err());
    }

    #[test]
    fn only_what_was_passed_on_is_answered_well() {
        let passed = |tags: std::ops::Range<u64>| tags.map(|tag| (tag, SendOutcome::Passed)).collect();
        let well = frames(vec![ServerFrame::Outcomes(passed(70_000..70_300))]);
        assert_eq!(Frames::new(1).scan(&well, &mut Seen::default()).unwrap(), well.len());
        let run = frames(vec![ServerFrame::Passed(70_000, 300)]);
        assert_eq!(Frames::new(1).scan(&run, &mut Seen::default()).unwrap(), run.len());
        let unknown = frames(vec![ServerFrame::Outcomes(vec![(70_000, SendOutcome::Unknown)])]);
        assert!(Frames::new(1).scan(&unknown, &mut Seen::default()).is_err());
    }
}
