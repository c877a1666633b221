//! Making messages: drafts with fresh ids, RFC 8785 payloads, signatures for one or for many.

use crate::{Mesh, SdkError};
use bytes::Bytes;
use openmesh_message::{
    Address, AgentId, AgentRef, ConversationId, Draft, Envelope, Performative, PinnedName, Proof, Target,
    Timestamp, json,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{SystemTime, UNIX_EPOCH};

/// The RFC 8785 form of a value, for [`Draft::json`].
pub fn canonical_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, SdkError> {
    Ok(serde_json_canonicalizer::to_vec(&value)?.into())
}

/// Reads a JSON payload under the limits of the mesh.
pub fn parse_json<T: DeserializeOwned>(envelope: &Envelope) -> Result<T, SdkError> {
    Ok(serde_json::from_value(json::parse_strict(&envelope.payload)?)?)
}

/// The time by this machine's clock.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// A fresh message id: a UUIDv7 (RFC 9562).
pub fn new_message_id() -> Result<String, SdkError> {
    Ok(new_uuid()?.hyphenated().to_string())
}

/// A fresh conversation id: a UUIDv7 (RFC 9562).
pub fn new_conversation_id() -> Result<ConversationId, SdkError> {
    Ok(ConversationId::from_bytes(new_uuid()?.into_bytes()))
}

impl Mesh {
    /// The absolute form of an address that people write: `topic:a/b`, `agent:buyer`, a DID.
    pub fn address(&self, text: &str) -> Result<Address, SdkError> {
        Ok(Address::expand(text, self.domain())?)
    }

    /// A message in the making, with a fresh id and the time set.
    pub fn draft(&self, to: &str, performative: &Performative) -> Result<Draft, SdkError> {
        new_draft(&self.address(to)?, performative)
    }

    /// An answer in the making: to `replyto` or else the sender, in the same conversation; sets no `parents`.
    pub fn reply_draft(&self, to: &Envelope, performative: &Performative) -> Result<Draft, SdkError> {
        let id = to.attributes.get("id").ok_or(SdkError::Unanswerable("id"))?;
        let draft = new_draft(&self.answer_address(to)?, performative)?.in_reply_to(id);
        let protocol = to.attributes.get("protocol");
        let Some((protocol, conversation)) = protocol.zip(to.attributes.get("conversationid")) else {
            return Ok(draft);
        };
        let protocol =
            PinnedName::parse_protocol_uri(protocol).map_err(|_| SdkError::Unanswerable("protocol"))?;
        let conversation = conversation.parse().map_err(|_| SdkError::Unanswerable("conversationid"))?;
        Ok(draft.conversation(&protocol, &conversation))
    }

    /// Completes and signs a message.
    pub fn sign(&self, draft: Draft) -> Result<Envelope, SdkError> {
        Ok(draft.sign(self.key())?)
    }

    /// Completes and signs messages in order, with one signature for each 256.
    pub fn sign_batch(&self, drafts: Vec<Draft>) -> Result<Vec<Envelope>, SdkError> {
        let source = self.id();
        let unsigned = drafts.into_iter().map(|draft| draft.unsigned(&source));
        let mut envelopes = unsigned.collect::<Result<Vec<_>, _>>()?;
        let digests: Vec<_> = envelopes.iter().map(Envelope::digest).collect();
        let proofs = Proof::sign_batch(self.key(), &digests);
        for (envelope, proof) in envelopes.iter_mut().zip(proofs) {
            envelope.proof = Some(proof);
        }
        Ok(envelopes)
    }

    /// Completes a message without a proof, which ephemeral topics alone take: the connection vouches for it.
    pub fn unsigned(&self, draft: Draft) -> Result<Envelope, SdkError> {
        Ok(draft.unsigned(&self.id())?)
    }

    fn answer_address(&self, to: &Envelope) -> Result<Address, SdkError> {
        if let Some(address) = to.attributes.get("replyto") {
            return address.parse().map_err(|_| SdkError::Unanswerable("replyto"));
        }
        let source = source_of(to).ok_or(SdkError::Unanswerable("source"))?;
        Ok(Address::new(self.domain(), Target::Agent(AgentRef::Id(source))))
    }
}

/// The sender a message names.
pub(crate) fn source_of(envelope: &Envelope) -> Option<AgentId> {
    envelope.attributes.get("source")?.parse().ok()
}

fn new_draft(to: &Address, performative: &Performative) -> Result<Draft, SdkError> {
    Ok(Draft::new(new_message_id()?, now(), to, performative))
}

fn new_uuid() -> Result<uuid::Uuid, SdkError> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    let millis = u64::try_from(now().millis()).unwrap_or(0);
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::{canonical_json, new_conversation_id, new_message_id, now};
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_uuids_of_version_7_and_differ() {
        let ids: BTreeSet<_> = (0..1_000).map(|_| new_message_id().unwrap()).collect();
        assert_eq!(ids.len(), 1_000);
        for id in ids {
            let id = uuid::Uuid::parse_str(&id).unwrap();
            assert_eq!(id.get_version_num(), 7);
        }
        let text = new_conversation_id().unwrap().to_string();
        let millis = i64::from_str_radix(&text.replace('-', "")[..12], 16).unwrap();
        assert!(now().millis() - millis < 60_000);
    }

    #[test]
    fn payloads_are_canonical() {
        let value = serde_json::json!({"b": 1.0, "a": [true, null, "é"]});
        let bytes = canonical_json(&value).unwrap();
        assert_eq!(bytes, r#"{"a":[true,null,"é"],"b":1}"#.as_bytes());
        assert!(canonical_json(&f64::NAN).is_err());
    }
}
