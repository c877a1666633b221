//! What the demo tells its agents and what they tell it, one JSON text a line: cues in, news out.

use super::price::Price;
use super::rfp::Rfp;
use openmesh_message::{AgentId, DomainId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What an agent is told; the first is always [`Cue::Enter`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Cue {
    /// Connect, register and listen, then say [`News::Ready`].
    Enter(Entry),
    /// To the buyer: send out these requests.
    Begin(Vec<Rfp>),
    /// Every negotiation has ended: empty the inbox, say [`News::Done`] and leave.
    Finish,
}

/// What an agent must know to enter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Where the node listens.
    pub(crate) address: SocketAddr,
    /// The domain to pin.
    pub(crate) domain: DomainId,
    /// The admin token, to register with.
    pub(crate) token: String,
    /// Where the agent keeps its key.
    pub(crate) key: PathBuf,
    /// The seed of the run.
    pub(crate) seed: u64,
    /// Whether the agent is to misbehave.
    pub(crate) misbehave: bool,
}

/// What an agent says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum News {
    /// It is registered and listens.
    Ready(AgentId),
    /// The buyer is about to send out a request.
    Called {
        /// Counts requests, from 1.
        number: usize,
        /// The conversation it begins.
        conversation: String,
        /// What is asked for.
        title: String,
        /// The most that may be paid.
        budget: Price,
        /// Its currency.
        currency: String,
    },
    /// The buyer chose an offer.
    Awarded {
        /// The conversation.
        conversation: String,
        /// The seller's name.
        seller: String,
        /// The price agreed on.
        price: Price,
        /// Its currency.
        currency: String,
    },
    /// The node refused a message.
    Refused {
        /// What was tried, in words.
        deed: String,
        /// The code.
        code: String,
        /// The reason.
        detail: String,
        /// What would be allowed.
        allowed_next: Vec<String>,
    },
    /// The auditor saw a conversation end.
    Ended {
        /// The conversation.
        conversation: String,
        /// How.
        outcome: String,
    },
    /// All is done.
    Done(Tally),
}

/// What an agent counted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Messages sent that the node took in.
    pub(crate) accepted: u64,
    /// Messages sent that it refused, by code.
    pub(crate) refused: BTreeMap<String, u64>,
    /// From send to receipt, in microseconds, one for each message taken in.
    pub(crate) latencies_us: Vec<u64>,
    /// Acts of others read out of the inbox.
    pub(crate) acts_read: u64,
}
