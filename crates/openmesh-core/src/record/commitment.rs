//! What a header commits to: of a message its digest, which covers attributes and payload, and what stands behind
//! them, so that no byte of it is hashed twice; of anything else the bytes.

use minicbor::Decoder;
use openmesh_message::{Attributes, Digest};

const BODY_CONTEXT: &str = "openmesh record body v1";
const MESSAGE_CONTEXT: &str = "openmesh record message v1";
/// The first version whose messages are committed to by their digest.
const BY_DIGEST: u16 = 4;
/// How an encoded body that is a message begins: its variant, and a struct of four.
const MESSAGE_BEGINS: [u8; 4] = [0x82, 0x01, 0x81, 0x84];

/// An encoded message's parts, as they stand in a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) attributes: &'a [u8],
    pub(crate) payload: &'a [u8],
    /// The proof and the transit part.
    pub(crate) rest: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Takes an encoded body apart and tells of each attribute; `None` unless it is a message in its one form.
    pub(crate) fn read(body: &'a [u8], mut note: impl FnMut(&'a str, &'a str)) -> Option<Self> {
        let message = body.strip_prefix(&MESSAGE_BEGINS)?;
        let mut decoder = Decoder::new(message);
        for _ in 0..decoder.map().ok()?? {
            note(decoder.str().ok()?, decoder.str().ok()?);
        }
        let (attributes, behind) = message.split_at_checked(decoder.position())?;
        let payload = decoder.bytes().ok()?;
        let rest = behind.get(encoded_bytes(payload.len())..)?;
        // A longer head than need be would be another body of the same digest.
        (message.len() - decoder.position() == rest.len()).then_some(Self { attributes, payload, rest })
    }

    /// The message's digest.
    pub(crate) fn digest(&self) -> Digest {
        Attributes::digest_of_encoded(self.attributes, self.payload)
    }
}

/// What stands behind the payload of an encoded message.
pub(super) fn rest_at(body: &[u8], attributes_bytes: usize, payload_bytes: usize) -> &[u8] {
    let at = MESSAGE_BEGINS.len() + attributes_bytes + encoded_bytes(payload_bytes);
    body.get(at..).unwrap_or_default()
}

/// Bytes of a byte string, its head included.
fn encoded_bytes(bytes: usize) -> usize {
    minicbor::len(bytes as u64) + bytes
}

/// The commitment of a header of this version to an encoded body.
pub fn commitment(salt: &[u8; 16], body: &[u8]) -> Digest {
    match Parts::read(body, |_, _| ()) {
        Some(parts) => to_message(salt, &parts.digest(), parts.rest),
        None => to_bytes(salt, body),
    }
}

/// The commitment of a header of some version to an encoded body.
pub fn of_version(version: u16, salt: &[u8; 16], body: &[u8]) -> Digest {
    if version < BY_DIGEST { to_bytes(salt, body) } else { commitment(salt, body) }
}

/// The commitment of a header of some version to an encoded message of that digest.
pub(super) fn of_message(version: u16, salt: &[u8; 16], body: &[u8], digest: &Digest, rest: &[u8]) -> Digest {
    if version < BY_DIGEST { to_bytes(salt, body) } else { to_message(salt, digest, rest) }
}

/// The commitment to a message of this digest; `rest` is its encoded proof and transit part.
pub(super) fn to_message(salt: &[u8; 16], digest: &Digest, rest: &[u8]) -> Digest {
    Digest::of_parts(MESSAGE_CONTEXT, &[salt, digest.as_bytes(), rest])
}

fn to_bytes(salt: &[u8; 16], body: &[u8]) -> Digest {
    Digest::of_parts(BODY_CONTEXT, &[salt, body])
}

#[cfg(test)]
mod tests {
    use super::{Parts, commitment, of_version};
    use crate::record::Body;
    use openmesh_message::{Address, AgentRef, DomainId, Draft, KeyPair, Performative, Target, Timestamp};
    use std::sync::Arc;

    fn body(payload: Vec<u8>) -> (Vec<u8>, openmesh_message::Digest) {
        let key = KeyPair::from_seed(&[1; 32]).unwrap();
        let to = Address::new(DomainId::from_bytes([9; 32]), Target::Inbox(AgentRef::Id(key.id())));
        let draft = Draft::new("1", Timestamp::from_millis(0), &to, &Performative::Inform);
        let message = draft.payload("text/plain", payload).sign(&key).unwrap();
        let digest = message.digest();
        (minicbor::to_vec(Body::Message(Arc::new(message))).unwrap(), digest)
    }

    #[test]
    fn every_byte_of_a_body_is_committed_to_in_every_version() {
        for payload in [Vec::new(), vec![7; 23], vec![7; 24], vec![7; 300]] {
            let (body, digest) = body(payload);
            assert_eq!(Parts::read(&body, |_, _| ()).unwrap().digest(), digest);
            for version in [3, 4] {
                let whole = of_version(version, &[1; 16], &body);
                assert_ne!(of_version(version, &[2; 16], &body), whole);
                for place in 0..body.len() {
                    let mut other = body.clone();
                    other[place] ^= 1;
                    assert_ne!(of_version(version, &[1; 16], &other), whole, "byte {place}");
                }
                assert_ne!(of_version(version, &[1; 16], &[&body[..], &[0]].concat()), whole);
            }
        }
    }

    #[test]
    fn what_stands_behind_the_payload_is_found_without_a_look() {
        for payload in [Vec::new(), vec![7; 23], vec![7; 24], vec![7; 300], vec![7; 70_000]] {
            let (bytes, payload_bytes) = (body(payload.clone()).0, payload.len());
            let parts = Parts::read(&bytes, |_, _| ()).unwrap();
            assert_eq!(super::rest_at(&bytes, parts.attributes.len(), payload_bytes), parts.rest);
        }
    }

    #[test]
    fn a_longer_head_of_a_payload_is_another_body() {
        let (body, _) = body(vec![7; 10]);
        let at = body.windows(11).position(|bytes| bytes[0] == 0x4a && bytes[1..] == [7; 10]).unwrap();
        let longer = [&body[..at], &[0x58, 10], &body[at + 1..]].concat();
        assert!(minicbor::decode::<Body>(&longer).is_ok(), "it says the same");
        assert_ne!(commitment(&[1; 16], &longer), commitment(&[1; 16], &body));
    }
}
