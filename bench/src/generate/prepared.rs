//! Messages that are made before the clock starts, as the bytes that will be written.

use anyhow::{Context, Result};
use openmesh_message::frame::{ClientFrame, FrameEncoder};
use openmesh_message::limits::{FRAME_BYTES_MAX, PROOF_BATCH_MAX};
use openmesh_message::{
    Address, ConversationId, Draft, Envelope, KeyPair, Performative, PinnedName, Proof, Timestamp,
};
use std::ops::Range;

/// What a frame of one message begins with: four bytes of length, an array of two, kind 0, a list of one.
const HEAD_BYTES: usize = 7;
/// Room for the head of a frame with many messages.
const FRAME_HEAD_BYTES_MAX: usize = 16;
/// Messages of one frame: few enough that the node reads the next frame while it works on one.
const FRAME_MESSAGES: usize = 256;

/// What prepared messages have in common.
pub(super) struct Alike<'a> {
    pub(super) to: &'a Address,
    pub(super) payload: &'a [u8],
    pub(super) checked: Option<&'a Checked>,
    pub(super) signing: Signing,
}

/// Messages that have a schema, and are acts of one conversation.
pub(super) struct Checked {
    pub(super) schema: PinnedName,
    pub(super) protocol: PinnedName,
    pub(super) conversation: ConversationId,
}

/// How messages are signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signing {
    /// One signature for each 256.
    Batches,
    /// One for each.
    Each,
}

impl<'a> Alike<'a> {
    /// Untyped messages, signed in batches.
    pub(super) const fn untyped(to: &'a Address, payload: &'a [u8]) -> Self {
        Self { to, payload, checked: None, signing: Signing::Batches }
    }
}

/// Signed messages, each as the item that a frame holds; its tag is its place.
#[derive(Default)]
pub(super) struct Prepared {
    items: Vec<u8>,
    /// Where each item ends.
    ends: Vec<usize>,
}

impl Prepared {
    /// So many messages.
    pub(super) fn make(key: &KeyPair, alike: &Alike<'_>, count: usize) -> Result<Self> {
        let mut prepared = Self::default();
        let mut encoder = FrameEncoder::default();
        let mut made = 0;
        while made < count {
            let upto = (made + PROOF_BATCH_MAX).min(count);
            let envelopes = signed(key, alike, made..upto)?;
            for (tag, envelope) in (made..upto).zip(envelopes) {
                prepared.push(&mut encoder, tag, envelope)?;
            }
            made = upto;
        }
        Ok(prepared)
    }

    /// The frames that hold these messages.
    pub(super) fn frames(&self, tags: Range<usize>, buffer: &mut Vec<u8>) -> Result<()> {
        let mut next = tags.start;
        while next < tags.end {
            let from = self.start(next);
            let mut upto = next;
            while upto < tags.end && upto - next < FRAME_MESSAGES {
                let end = *self.ends.get(upto).context("no such message was prepared")?;
                if end - from + FRAME_HEAD_BYTES_MAX > FRAME_BYTES_MAX {
                    break;
                }
                upto += 1;
            }
            self.frame(next..upto, buffer)?;
            next = upto;
        }
        Ok(())
    }

    fn frame(&self, tags: Range<usize>, buffer: &mut Vec<u8>) -> Result<()> {
        let items = self.items.get(self.start(tags.start)..self.start(tags.end)).unwrap_or_default();
        let mut head = minicbor::Encoder::new(Vec::with_capacity(FRAME_HEAD_BYTES_MAX));
        head.array(2)?.u8(0)?.array(tags.len() as u64)?;
        let head = head.into_writer();
        buffer.extend(((head.len() + items.len()) as u32).to_be_bytes());
        buffer.extend(head);
        buffer.extend(items);
        Ok(())
    }

    fn start(&self, tag: usize) -> usize {
        tag.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }

    fn push(&mut self, encoder: &mut FrameEncoder, tag: usize, envelope: Envelope) -> Result<()> {
        let mut frame = Vec::new();
        encoder.encode_client(&ClientFrame::Send(vec![(tag as u64, envelope)]), &mut frame)?;
        self.items.extend(frame.get(HEAD_BYTES..).context("a frame holds more than its head")?);
        self.ends.push(self.items.len());
        Ok(())
    }
}

fn signed(key: &KeyPair, alike: &Alike<'_>, ids: Range<usize>) -> Result<Vec<Envelope>> {
    let now = now()?;
    let draft = |id: usize| {
        let draft = Draft::new(format!("m{id}"), now, alike.to, &Performative::Inform);
        let payload = alike.payload.to_vec();
        let draft = match alike.checked {
            None => draft.payload("application/octet-stream", payload),
            Some(Checked { schema, protocol, conversation }) => {
                draft.json(payload).schema(schema).conversation(protocol, conversation)
            }
        };
        draft.unsigned(&key.id())
    };
    let mut envelopes = ids.map(draft).collect::<Result<Vec<_>, _>>()?;
    let digests: Vec<_> = envelopes.iter().map(Envelope::digest).collect();
    let proofs = match alike.signing {
        Signing::Batches => Proof::sign_batch(key, &digests),
        Signing::Each => digests.iter().map(|digest| Proof::sign(key, digest)).collect(),
    };
    for (envelope, proof) in envelopes.iter_mut().zip(proofs) {
        envelope.proof = Some(proof);
    }
    Ok(envelopes)
}

/// The time of day.
pub(crate) fn now() -> Result<Timestamp> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(Timestamp::from_millis(i64::try_from(since.as_millis())?))
}

#[cfg(test)]
mod tests {
    use super::{Alike, Prepared};
    use openmesh_message::frame::{ClientFrame, FrameDecoder};
    use openmesh_message::{Address, DomainId, KeyPair, Target};

    #[test]
    fn prepared_frames_are_what_a_node_reads() {
        let key = KeyPair::from_seed(&[1; 32]).unwrap();
        let to = Address::new(DomainId::from_bytes([1; 32]), Target::Topic("bench/x".parse().unwrap()));
        let prepared = Prepared::make(&key, &Alike::untyped(&to, &[b'x'; 512]), 300).unwrap();
        let mut bytes = Vec::new();
        prepared.frames(0..1, &mut bytes).unwrap();
        prepared.frames(1..300, &mut bytes).unwrap();
        let mut decoder = FrameDecoder::default();
        let mut tags = Vec::new();
        let mut rest = &bytes[..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (body, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            let ClientFrame::Send(messages) = decoder.decode_client(body).unwrap() else { panic!() };
            for (tag, envelope) in messages {
                envelope.proof.clone().unwrap().verify(&key.id(), &envelope.digest()).unwrap();
                tags.push(tag);
            }
            rest = after;
        }
        assert_eq!(tags, (0..300).collect::<Vec<_>>());
    }
}
