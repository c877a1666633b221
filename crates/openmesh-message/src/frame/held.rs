//! What an agent sees of its inbox without taking anything out, and the inbox's conservation sum.

use crate::{Envelope, Priority, Timestamp};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// A page of an inbox, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct PeekPage {
    /// What is held, in the order of its numbers.
    #[n(0)]
    pub entries: Vec<Peeked>,
    /// Where the next page begins; `None` at the end.
    #[n(1)]
    pub next_after_number: Option<u64>,
}

/// A message held in an inbox, seen without taking it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Peeked {
    /// Its number in the inbox.
    #[n(0)]
    pub number: u64,
    /// How often it was leased.
    #[n(1)]
    pub attempts: u32,
    /// How urgent it is.
    #[n(2)]
    pub priority: Priority,
    /// Whether it can be leased.
    #[n(3)]
    pub state: HeldState,
    /// The message.
    #[n(4)]
    pub envelope: Envelope,
}

/// Whether a held message can be leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum HeldState {
    /// Can be leased.
    #[n(0)]
    Ready,
    /// Can be leased from this time on.
    #[n(1)]
    Delayed(#[n(0)] Timestamp),
    /// Leased until this time.
    #[n(2)]
    Leased(#[n(0)] Timestamp),
}

/// The conservation sum of an inbox: accepted = pending + acknowledged + expired + dead-lettered + recalled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct InboxCounts {
    /// Ever put in.
    #[n(0)]
    pub accepted: u64,
    /// Waiting or leased.
    #[n(1)]
    pub pending: u64,
    /// Ended as done.
    #[n(2)]
    pub acknowledged: u64,
    /// Ended by their expiry time.
    #[n(3)]
    pub expired: u64,
    /// Ended by too many deliveries.
    #[n(4)]
    pub dead_lettered: u64,
    /// Ended by their sender, who called them back.
    #[n(5)]
    #[cbor(default)]
    #[serde(default)]
    pub recalled: u64,
}

impl InboxCounts {
    /// Whether every message accepted is accounted for.
    pub const fn is_conserved(&self) -> bool {
        let ended = self.acknowledged + self.expired + self.dead_lettered + self.recalled;
        self.accepted == self.pending + ended
    }
}
