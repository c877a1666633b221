//! Keys, times and texts that the vectors share.

use openmesh_message::{
    Address, AgentRef, Digest, DomainId, Draft, Envelope, Inception, KeyPair, Performative, Target, Timestamp,
};
use serde_json::{Map, Value, json};

/// 2026-01-31T12:00:00Z.
pub(crate) const TIME: Timestamp = Timestamp::from_millis(1_769_860_800_000);
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The key whose seed is 32 times this byte.
pub(crate) fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32]).unwrap()
}

/// The inception of the domain whose root is `key(1)` and whose next root is `key(2)`.
pub(crate) fn inception() -> Inception {
    Inception::new(&key(1), &key(2))
}

/// The id of that domain.
pub(crate) fn home() -> DomainId {
    inception().domain_id()
}

/// An address in that domain.
pub(crate) fn topic(path: &str) -> Address {
    Address::new(home(), Target::Topic(path.parse().unwrap()))
}

/// An agent's address in that domain.
pub(crate) fn agent(name: &str) -> Address {
    Address::new(home(), Target::Agent(AgentRef::Name(name.parse().unwrap())))
}

/// A small signed message of `key(4)`.
pub(crate) fn message(id: &str) -> Envelope {
    let draft = Draft::new(id, TIME, &topic("market/news"), &Performative::Inform);
    draft.kind("note").json(r#"{"text":"hello"}"#).sign(&key(4)).unwrap()
}

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digits = bytes.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(HEX[usize::from(digit)])).collect()
}

/// The CBOR of a value, as hex.
pub(crate) fn cbor_hex<T: minicbor::Encode<()>>(value: &T) -> String {
    hex(minicbor::to_vec(value).unwrap())
}

/// A digest as hex and as text.
pub(crate) fn digest(digest: &Digest) -> Value {
    json!({"hex": hex(digest.as_bytes()), "text": digest.to_string()})
}

/// An envelope as other languages compare it.
pub(crate) fn envelope(envelope: &Envelope) -> Value {
    let attributes: Map<_, _> =
        envelope.attributes.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({
        "attributes": attributes,
        "payload": hex(&envelope.payload),
        "proof": envelope.proof.as_ref().map(cbor_hex),
        "transit": cbor_hex(&envelope.transit),
    })
}

/// A flipped bit in the byte at `index`.
pub(crate) fn flipped(bytes: &[u8], index: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[index] ^= 1;
    changed
}
