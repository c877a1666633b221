//! Messages that look like a mesh's, each a function of its number: what a peer is filled with can be made again.

use anyhow::Result;
use openmesh_message::{
    Address, AgentId, AgentRef, ConversationId, Digest, DomainId, Draft, Envelope, KeyPair, Performative,
    PinnedName, Proof, Target, Timestamp,
};
use std::ops::Range;

/// Agents that send.
pub(crate) const AGENTS: u64 = 200;
/// Topics that are sent to.
pub(crate) const TOPICS: u64 = 1_000;
/// One message in so many begins a conversation.
pub(crate) const CONVERSATION_EVERY: u64 = 10_000;
/// Payload of each.
pub(crate) const PAYLOAD_BYTES: usize = 250;
/// Consecutive messages of one agent, under one signature.
const CHUNK: u64 = 16;
/// Spreads consecutive chunks over topics.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The messages of one domain.
pub(crate) struct Corpus {
    domain: DomainId,
    begins_ms: i64,
    step_us: i64,
    keys: Vec<KeyPair>,
    protocol: Option<PinnedName>,
}

impl Corpus {
    pub(crate) fn new(
        domain: DomainId,
        begins_ms: i64,
        step_us: i64,
        protocol: Option<PinnedName>,
    ) -> Result<Self> {
        let seed = |agent: u64| *Digest::of(format!("bench writer {agent}").as_bytes()).as_bytes();
        let keys = (0..AGENTS).map(|agent| KeyPair::from_seed(&seed(agent))).collect::<Result<_, _>>()?;
        Ok(Self { domain, begins_ms, step_us, keys, protocol })
    }

    /// Who sends.
    pub(crate) fn agents(&self) -> impl Iterator<Item = AgentId> {
        self.keys.iter().map(KeyPair::id)
    }

    /// When a message is sent.
    pub(crate) fn at(&self, index: u64) -> Timestamp {
        Timestamp::from_millis(self.begins_ms + index.cast_signed() * self.step_us / 1_000)
    }

    /// Who sends a message.
    pub(crate) fn sender(&self, index: u64) -> Option<&KeyPair> {
        self.keys.get((index / CHUNK % AGENTS) as usize)
    }

    /// The id of a message.
    pub(crate) fn id(index: u64) -> String {
        format!("message-{index}")
    }

    /// The topic a message goes to, unless it begins a conversation.
    pub(crate) fn topic(index: u64) -> u64 {
        (index.wrapping_mul(STRIDE) >> 20) % TOPICS
    }

    /// The conversation a message begins.
    pub(crate) fn conversation(&self, index: u64) -> Option<ConversationId> {
        let begins = index.is_multiple_of(CONVERSATION_EVERY);
        // A UUID of version 7 that holds the message's number where the random part would be.
        let text = || format!("0190c9a0-0000-7000-8000-{index:012x}").parse().ok();
        begins.then(text).flatten()
    }

    /// Where the chunk of a message ends.
    pub(super) fn chunk_end(&self, index: u64) -> u64 {
        (index / CHUNK + 1) * CHUNK
    }

    /// The messages of one chunk, signed.
    pub(super) fn chunk(&self, indexes: Range<u64>) -> Result<Vec<(AgentId, Envelope)>> {
        let Some(key) = self.sender(indexes.start) else {
            return Ok(Vec::new());
        };
        let unsigned = indexes.map(|index| self.draft(index, key)?.unsigned(&key.id()).map_err(Into::into));
        let mut envelopes = unsigned.collect::<Result<Vec<Envelope>>>()?;
        let digests: Vec<_> = envelopes.iter().map(Envelope::digest).collect();
        for (envelope, proof) in envelopes.iter_mut().zip(Proof::sign_batch(key, &digests)) {
            envelope.proof = Some(proof);
        }
        Ok(envelopes.into_iter().map(|envelope| (key.id(), envelope)).collect())
    }

    fn draft(&self, index: u64, key: &KeyPair) -> Result<Draft> {
        let (id, at) = (Self::id(index), self.at(index));
        let draft = match self.protocol.as_ref().zip(self.conversation(index)) {
            Some((protocol, conversation)) => {
                let other = self.sender(index + CHUNK).map_or_else(|| key.id(), KeyPair::id);
                let to = Address::new(self.domain, Target::Agent(AgentRef::Id(other)));
                Draft::new(id, at, &to, &Performative::Request).conversation(protocol, &conversation)
            }
            None => {
                let topic = topic_path(Self::topic(index)).parse()?;
                Draft::new(id, at, &Address::new(self.domain, Target::Topic(topic)), &Performative::Inform)
            }
        };
        Ok(draft.payload("application/octet-stream", payload(index)))
    }
}

/// The path of a topic.
pub(crate) fn topic_path(topic: u64) -> String {
    format!("bench/t{topic}")
}

/// The payload of a message: no two are the same.
pub(crate) fn payload(index: u64) -> Vec<u8> {
    let mut payload = format!("{index:016}").into_bytes();
    payload.resize(PAYLOAD_BYTES, b'x');
    payload
}

#[cfg(test)]
mod tests {
    use super::{AGENTS, CHUNK, Corpus, TOPICS};
    use openmesh_message::DomainId;
    use std::collections::BTreeSet;

    #[test]
    fn messages_spread_over_agents_and_topics_and_are_the_same_each_time() {
        let corpus = || Corpus::new(DomainId::from_bytes([1; 32]), 1_000_000, 500, None).unwrap();
        let corpus_one = corpus();
        let senders: BTreeSet<_> =
            (0..AGENTS * CHUNK).map(|index| corpus_one.sender(index).unwrap().id()).collect();
        assert_eq!(senders.len() as u64, AGENTS);
        let topics: BTreeSet<_> = (0..20 * TOPICS).map(Corpus::topic).collect();
        assert!(topics.len() as u64 > TOPICS * 9 / 10);
        assert_eq!(corpus_one.chunk(16..32).unwrap(), corpus().chunk(16..32).unwrap());
        assert_eq!(corpus_one.at(10).millis(), 1_000_005);
        assert!(corpus_one.conversation(10_000).is_some() && corpus_one.conversation(10_001).is_none());
    }
}
