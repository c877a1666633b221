//! The handshake: the node proves itself first, then the agent, each over everything said before.
//!
//! ClientHello → ServerHello (signed by the node) → ClientAuth (signed by the agent). A party in the
//! middle gains nothing: both signatures cover the channel they are made on, and the agent's names the
//! node and the pinned domain.

use crate::{AgentId, Certificate, CertificateError, Digest, DomainId, KeyPair, Signature, Timestamp};
use minicbor::{Decode, Encode};

/// The bytes both sides of a native connection begin with; the last is the framing's version.
pub const MAGIC: [u8; 8] = *b"OpnMesh\x01";
/// The protocol version this crate speaks.
pub const VERSION: u16 = 1;
/// Largest handshake message.
pub const HELLO_BYTES_MAX: usize = 4096;
/// The label of the TLS exporter (RFC 8446, section 7.5; RFC 9266) that a handshake over TLS is bound to; its context is empty.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-openmesh-handshake-v1";
/// Bytes taken from the TLS exporter.
pub const EXPORTER_BYTES: usize = 32;
/// What a protocol's negotiation in TLS (ALPN, RFC 7301) calls this one.
pub const ALPN: &[u8] = b"openmesh/1";

const SERVER_CONTEXT: &str = "openmesh server hello v1";
const CLIENT_CONTEXT: &str = "openmesh client auth v1";

/// The channel that a handshake is made on, as both of its ends know it and nobody between them does.
#[derive(Clone, PartialEq, Eq)]
pub enum Binding {
    /// Plaintext that never leaves the machine.
    Loopback,
    /// TLS: the exporter's bytes, which differ for each connection and on both sides of a relay.
    Tls([u8; EXPORTER_BYTES]),
}

/// What was said up to the agent's proof, and on which channel.
#[derive(Clone, Copy)]
pub struct Transcript<'a> {
    /// The encoded [`ClientHello`] as sent.
    pub client_hello: &'a [u8],
    /// The node's answer.
    pub answered: &'a SignedServerHello,
    /// The channel.
    pub binding: &'a Binding,
}

/// What the agent says first.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ClientHello {
    /// Versions the agent speaks.
    #[n(0)]
    pub versions: Vec<u16>,
    /// Who it claims to be.
    #[n(1)]
    pub agent: AgentId,
    /// The key it will prove.
    #[n(2)]
    pub keyid: AgentId,
    /// Never used before.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
}

/// What the node answers; everything but its signature.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ServerHello {
    /// The version the node chose.
    #[n(0)]
    pub version: u16,
    /// The node's certificate; its key signs the hello.
    #[n(1)]
    pub certificate: Certificate,
    /// Never used before.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// How many sends of the agent may be unanswered at a time.
    #[n(3)]
    pub in_flight_max: u32,
    /// Largest frame either side sends.
    #[n(4)]
    pub frame_bytes_max: u32,
}

/// A server hello as it stands on the wire: its bytes and the node's signature over the transcript so far.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedServerHello {
    /// The encoded [`ServerHello`].
    #[cbor(n(0), with = "minicbor::bytes")]
    pub hello: Vec<u8>,
    /// By the node's key.
    #[n(1)]
    pub signature: Signature,
}

/// The agent's proof of its key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ClientAuth {
    /// By the agent's key.
    #[n(0)]
    pub signature: Signature,
}

/// Why a handshake ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The other side does not speak this protocol, or a newer one only.
    #[error("the other side speaks no version of the protocol that this side speaks")]
    Version,
    /// A message of the handshake cannot be read.
    #[error("a handshake message cannot be read: {0}")]
    Malformed(String),
    /// The node is not one of the pinned domain.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The node's signature over the transcript does not hold.
    #[error("the node's signature does not fit what was said")]
    NodeSignature,
    /// The agent's signature over the transcript does not hold.
    #[error("the agent's signature does not fit what was said")]
    AgentSignature,
    /// The key offered is not the agent's.
    #[error("the key offered is not the agent's")]
    ForeignKey,
}

impl ClientHello {
    /// A hello for an agent with a nonce that the caller drew at random.
    pub fn new(agent: AgentId, nonce: [u8; 32]) -> Self {
        Self { versions: vec![VERSION], agent, keyid: agent, nonce }
    }
}

impl Binding {
    /// What follows the ServerHello in the node's transcript.
    const fn of_node(&self) -> &[u8] {
        match self {
            Self::Loopback => b"",
            Self::Tls(exporter) => exporter,
        }
    }

    /// What ends the agent's transcript.
    const fn of_agent(&self) -> &[u8] {
        match self {
            Self::Loopback => b"loopback",
            Self::Tls(exporter) => exporter,
        }
    }
}

/// The node's side: signs its hello over what the agent said and the channel.
pub fn answer(
    node: &KeyPair,
    client_hello: &[u8],
    hello: &ServerHello,
    binding: &Binding,
) -> SignedServerHello {
    // Writing to memory cannot fail.
    let hello = minicbor::to_vec(hello).unwrap_or_default();
    let transcript = server_transcript(client_hello, &hello, binding);
    SignedServerHello { signature: node.sign(SERVER_CONTEXT, transcript.as_bytes()), hello }
}

/// The agent's side: checks the node against the pinned domain and the channel, and proves its own key.
pub fn authenticate(
    agent: &KeyPair,
    pinned: &DomainId,
    said: &Transcript<'_>,
    now: Timestamp,
) -> Result<(ServerHello, ClientAuth), HandshakeError> {
    let hello: ServerHello = decode(&said.answered.hello)?;
    if hello.version != VERSION {
        return Err(HandshakeError::Version);
    }
    hello.certificate.verify(pinned, now)?;
    let transcript = server_transcript(said.client_hello, &said.answered.hello, said.binding);
    let signature = &said.answered.signature;
    if !signature.verifies(&hello.certificate.node, SERVER_CONTEXT, transcript.as_bytes()) {
        return Err(HandshakeError::NodeSignature);
    }
    let signature = agent.sign(CLIENT_CONTEXT, client_transcript(said).as_bytes());
    Ok((hello, ClientAuth { signature }))
}

/// The node's side: checks the first hello before answering it.
pub fn accept_hello(bytes: &[u8]) -> Result<ClientHello, HandshakeError> {
    let hello: ClientHello = decode(bytes)?;
    if !hello.versions.contains(&VERSION) {
        return Err(HandshakeError::Version);
    }
    if hello.keyid != hello.agent {
        return Err(HandshakeError::ForeignKey);
    }
    Ok(hello)
}

/// The node's side: checks the agent's proof.
pub fn accept_auth(said: &Transcript<'_>, auth: &[u8]) -> Result<AgentId, HandshakeError> {
    let hello = accept_hello(said.client_hello)?;
    let auth: ClientAuth = decode(auth)?;
    let transcript = client_transcript(said);
    if !auth.signature.verifies(&hello.agent, CLIENT_CONTEXT, transcript.as_bytes()) {
        return Err(HandshakeError::AgentSignature);
    }
    Ok(hello.agent)
}

/// Decodes one handshake message, refusing bytes after it.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, HandshakeError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let malformed = |error: minicbor::decode::Error| HandshakeError::Malformed(error.to_string());
    let message = decoder.decode().map_err(malformed)?;
    if decoder.position() != bytes.len() {
        return Err(HandshakeError::Malformed("bytes follow the message".to_owned()));
    }
    Ok(message)
}

/// The ServerHello is one CBOR item and nothing may follow it, so what does is told from it.
fn server_transcript(client_hello: &[u8], server_hello: &[u8], binding: &Binding) -> Digest {
    let length = (client_hello.len() as u64).to_be_bytes();
    let parts: [&[u8]; 5] = [&MAGIC, &length, client_hello, server_hello, binding.of_node()];
    Digest::of_parts(SERVER_CONTEXT, &parts)
}

fn client_transcript(said: &Transcript<'_>) -> Digest {
    let so_far = server_transcript(said.client_hello, &said.answered.hello, said.binding);
    let signature = said.answered.signature.as_bytes();
    let parts: [&[u8]; 3] = [so_far.as_bytes(), signature, said.binding.of_agent()];
    Digest::of_parts(CLIENT_CONTEXT, &parts)
}

#[cfg(test)]
mod tests {
    use super::{
        Binding, ClientAuth, ClientHello, HandshakeError, ServerHello, SignedServerHello, Transcript,
        accept_auth, accept_hello, answer, authenticate,
    };
    use crate::{Certificate, DomainId, Inception, KeyPair, Timestamp};

    const NOW: Timestamp = Timestamp::from_millis(1_000);
    const LOOPBACK: Binding = Binding::Loopback;
    const TLS: Binding = Binding::Tls([7; 32]);
    const OTHER_TLS: Binding = Binding::Tls([8; 32]);

    fn key(seed: u8) -> KeyPair {
        KeyPair::from_seed(&[seed; 32]).unwrap()
    }

    fn domain(seed: u8) -> (KeyPair, ServerHello, DomainId) {
        let (root, node) = (key(seed), key(seed + 1));
        let inception = Inception::new(&root, &key(seed + 2));
        let id = inception.domain_id();
        let end = NOW.plus_ms(1_000);
        let certificate = Certificate::issue(&root, inception, node.id(), NOW, end);
        let hello =
            ServerHello { version: 1, certificate, nonce: [seed; 32], in_flight_max: 1, frame_bytes_max: 1 };
        (node, hello, id)
    }

    fn client_hello() -> Vec<u8> {
        minicbor::to_vec(ClientHello::new(key(1).id(), [5; 32])).unwrap()
    }

    fn prove(
        pinned: &DomainId,
        answered: &SignedServerHello,
        binding: &Binding,
    ) -> Result<(ServerHello, ClientAuth), HandshakeError> {
        let said = Transcript { client_hello: &client_hello(), answered, binding };
        authenticate(&key(1), pinned, &said, NOW)
    }

    fn accepts(answered: &SignedServerHello, binding: &Binding, auth: &ClientAuth) -> bool {
        let said = Transcript { client_hello: &client_hello(), answered, binding };
        accept_auth(&said, &minicbor::to_vec(auth).unwrap()) == Ok(key(1).id())
    }

    #[test]
    fn both_sides_prove_themselves() {
        let (node, hello, id) = domain(10);
        accept_hello(&client_hello()).unwrap();
        for binding in [LOOPBACK, TLS] {
            let answered = answer(&node, &client_hello(), &hello, &binding);
            let (seen, auth) = prove(&id, &answered, &binding).unwrap();
            assert_eq!(seen, hello);
            assert!(accepts(&answered, &binding, &auth));
        }
    }

    #[test]
    fn neither_side_accepts_a_proof_made_on_another_channel() {
        let (node, hello, id) = domain(10);
        for made_on in [LOOPBACK, TLS, OTHER_TLS] {
            let answered = answer(&node, &client_hello(), &hello, &made_on);
            let (_, auth) = prove(&id, &answered, &made_on).unwrap();
            for heard_on in [LOOPBACK, TLS, OTHER_TLS] {
                let is_same = made_on == heard_on;
                assert_eq!(prove(&id, &answered, &heard_on).is_ok(), is_same, "the node's");
                assert_eq!(accepts(&answered, &heard_on, &auth), is_same, "the agent's");
            }
        }
    }

    #[test]
    fn any_changed_byte_of_any_message_ends_the_handshake() {
        let (node, hello, id) = domain(10);
        let client_hello = client_hello();
        let answered = answer(&node, &client_hello, &hello, &TLS);
        let (_, auth) = prove(&id, &answered, &TLS).unwrap();
        let auth = minicbor::to_vec(auth).unwrap();
        let wire = minicbor::to_vec(&answered).unwrap();
        for index in 0..client_hello.len() {
            let mut changed = client_hello.clone();
            changed[index] ^= 1;
            let Ok(_) = accept_hello(&changed) else {
                continue;
            };
            assert!(prove(&id, &answer(&node, &changed, &hello, &TLS), &TLS).is_err(), "{index}");
        }
        for index in 0..wire.len() {
            let mut changed = wire.clone();
            changed[index] ^= 1;
            let Ok(answered) = super::decode(&changed) else {
                continue;
            };
            assert!(prove(&id, &answered, &TLS).is_err(), "{index}");
        }
        let said = Transcript { client_hello: &client_hello, answered: &answered, binding: &TLS };
        for index in 0..auth.len() {
            let mut changed = auth.clone();
            changed[index] ^= 1;
            assert!(accept_auth(&said, &changed).is_err(), "{index}");
        }
    }

    #[test]
    fn a_node_of_another_domain_passing_on_a_hello_gains_nothing() {
        let (honest, honest_hello, _) = domain(10);
        let (hostile, hostile_hello, pinned) = domain(20);
        let passed_on = answer(&honest, &client_hello(), &honest_hello, &LOOPBACK);
        assert!(prove(&pinned, &passed_on, &LOOPBACK).is_err());
        let own = answer(&hostile, &client_hello(), &hostile_hello, &LOOPBACK);
        let (_, auth) = prove(&pinned, &own, &LOOPBACK).unwrap();
        assert!(!accepts(&passed_on, &LOOPBACK, &auth));
    }
}
