//! One message in an inbox, as others see it.

use openmesh_message::limits::{ATTRIBUTES_BYTES_MAX, FRAME_BYTES_MAX};
use openmesh_message::{AgentId, LogSeq, Priority, Timestamp};

/// Bytes of the messages of one reply; the rest of a frame is for what stands around them.
pub(super) const REPLY_BYTES_MAX: u32 = (FRAME_BYTES_MAX - 16 * 1024) as u32;
/// What a reply adds to a message besides the logs it is in: position, time, token, number, attempt, lengths, and the
/// inbox it is in.
const FRAMING_BYTES: usize = 256;
/// A text of any length with the bytes that say how long it is, and a number.
const TEXT_AND_NUMBER_BYTES: usize = 16;
/// Name and value with the bytes that say how long they are.
const ATTRIBUTE_FRAMING_BYTES: usize = 6;
/// The longest proof: a key, a signature, a place and a path.
const PROOF_BYTES_MAX: usize = 512;

/// One message in an inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The record that holds it.
    pub seq: u64,
    /// Which notice of the record's step; `None` is the message itself.
    pub notice: Option<u16>,
    /// Bytes that it takes in a reply, at most.
    pub bytes: u32,
    /// How urgent it is.
    pub priority: Priority,
    /// After this time it is of no use.
    pub expiry: Option<Timestamp>,
    /// How often it was leased.
    pub attempts: u32,
    /// Whether it can be leased.
    pub state: EntryState,
    /// Who sent it; `None` for notices, and for what a snapshot of version 1 holds.
    pub sender: Option<AgentId>,
    /// Whether it is an act of a conversation.
    pub is_act: bool,
}

/// Whether an entry can be leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub enum EntryState {
    /// Can be leased.
    Ready,
    /// Can be leased from this time on.
    Delayed(Timestamp),
    /// Leased under this token until this time.
    Leased(u64, Timestamp),
}

/// Bytes that a kept message takes in a reply, at most: of so many attributes, so many bytes of text and payload, and in
/// these logs.
pub(crate) fn bytes_in_reply(attributes: usize, text_bytes: usize, logs: &[LogSeq]) -> u32 {
    let shown = logs.iter().filter(|log| !log.log.0.starts_with("inbox/"));
    let logs: usize = shown.map(|log| log.log.0.len() + TEXT_AND_NUMBER_BYTES).sum();
    bytes(attributes * ATTRIBUTE_FRAMING_BYTES + text_bytes + PROOF_BYTES_MAX + logs + FRAMING_BYTES)
}

/// The same where only the payload's bytes are known.
pub(crate) fn bytes_in_reply_at_most(payload_bytes: usize) -> u32 {
    bytes(payload_bytes.saturating_add(ATTRIBUTES_BYTES_MAX))
}

fn bytes(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
