//! Page tokens: where the next page begins, good for the question they were given for and no other.

use crate::http::problem::Failure;
use openmesh_message::frame::LogFilter;
use openmesh_message::{AgentId, Digest};

const CONTEXT: &str = "openmesh page token v1";
const TOKEN_PREFIX: &str = "p1-";

/// What a token is bound to.
pub(super) struct Asked<'a> {
    pub(super) agent: AgentId,
    pub(super) filter: &'a LogFilter,
    pub(super) newest_first: bool,
}

impl Asked<'_> {
    /// The token of the page after this record.
    pub(super) fn token(&self, after_seq: u64) -> String {
        format!("{TOKEN_PREFIX}{after_seq:x}-{}", self.bound(after_seq))
    }

    /// The record that a token's page begins after.
    pub(super) fn after_seq(&self, token: &str) -> Result<u64, Failure> {
        let read = || {
            let (seq, bound) = token.strip_prefix(TOKEN_PREFIX)?.split_once('-')?;
            let seq = u64::from_str_radix(seq, 16).ok()?;
            (bound == self.bound(seq).to_string()).then_some(seq)
        };
        read().ok_or_else(|| {
            Failure::argument("pageToken", "the token belongs to another question, or is none of this node's")
        })
    }

    fn bound(&self, after_seq: u64) -> Digest {
        let filter = minicbor::to_vec(self.filter).unwrap_or_default();
        let order = [u8::from(self.newest_first)];
        let parts: [&[u8]; 4] = [self.agent.public_key(), &filter, &order, &after_seq.to_be_bytes()];
        Digest::of_parts(CONTEXT, &parts)
    }
}
