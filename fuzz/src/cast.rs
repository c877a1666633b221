//! Who appears in targets and seeds: keys, a domain, a certificate, a clock that stands still.

use openmesh_message::handshake::{self, Binding, ClientHello, ServerHello, SignedServerHello};
use openmesh_message::{
    Address, AgentId, AgentRef, Authority, Certificate, DomainId, Draft, Envelope, Inception, KeyPair,
    NameRange, Performative, PinnedName, Target, Timestamp,
};
use openmesh_schema::Catalog;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// 2026-01-31T12:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_769_860_800_000);
const HOUR_MS: i64 = 60 * 60 * 1000;
/// Agents that take part.
pub(crate) const AGENTS: u8 = 4;
/// The channel of handshakes.
pub(crate) const BINDING: Binding = Binding::Tls([8; 32]);
const ROOT: u8 = 101;
const NEXT_ROOT: u8 = 102;
const NODE: u8 = 103;

/// The key whose seed is 32 times this byte.
pub(crate) fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32]).unwrap()
}

/// The node's key.
pub(crate) fn node() -> KeyPair {
    key(NODE)
}

/// The id of agent `index`, of [`AGENTS`] agents; others come round again.
pub(crate) fn agent(index: u8) -> AgentId {
    static IDS: LazyLock<Vec<AgentId>> =
        LazyLock::new(|| (0..AGENTS).map(|index| key(index + 1).id()).collect());
    IDS[usize::from(index % AGENTS)]
}

/// The key of agent `index`.
pub(crate) fn agent_key(index: u8) -> KeyPair {
    key(index % AGENTS + 1)
}

/// The name of agent `index`.
pub(crate) fn agent_name(index: u8) -> &'static str {
    ["buyer", "seller", "rival", "auditor"][usize::from(index % AGENTS)]
}

fn inception() -> Inception {
    Inception::new(&key(ROOT), &key(NEXT_ROOT))
}

/// The domain.
pub(crate) fn home() -> DomainId {
    static HOME: LazyLock<DomainId> = LazyLock::new(|| inception().domain_id());
    *HOME
}

/// The authority of unqualified names.
pub(crate) fn authority() -> Authority {
    Authority::Domain(home())
}

/// The domain's certificate for the node.
pub(crate) fn certificate() -> Certificate {
    Certificate::issue(&key(ROOT), inception(), node().id(), NOW.plus_ms(-HOUR_MS), NOW.plus_ms(HOUR_MS))
}

/// The hello of agent 0.
pub(crate) fn client_hello() -> Vec<u8> {
    minicbor::to_vec(ClientHello::new(agent(0), [5; 32])).unwrap()
}

/// The node's answer to [`client_hello`].
pub(crate) fn answered() -> SignedServerHello {
    let hello = ServerHello {
        version: handshake::VERSION,
        certificate: certificate(),
        nonce: [6; 32],
        in_flight_max: 256,
        frame_bytes_max: 1 << 20,
    };
    handshake::answer(&node(), &client_hello(), &hello, &BINDING)
}

/// The address of a topic.
pub(crate) fn topic(path: &str) -> Address {
    Address::new(home(), Target::Topic(path.parse().unwrap()))
}

/// The address of an agent by its name.
pub(crate) fn named(name: &str) -> Address {
    Address::new(home(), Target::Agent(AgentRef::Name(name.parse().unwrap())))
}

/// A small signed message of agent 0.
pub(crate) fn message(id: &str) -> Envelope {
    let draft = Draft::new(id, NOW, &topic("market/news"), &Performative::Inform);
    draft.kind("note").json(r#"{"text":"hello"}"#).sign(&agent_key(0)).unwrap()
}

/// The newest built-in schema in a range.
pub(crate) fn schema(range: &str) -> PinnedName {
    Catalog::builtin().resolve(&NameRange::parse(range, Authority::OpenMesh).unwrap()).unwrap()
}

/// A valid request for proposals.
pub(crate) fn rfp() -> Value {
    json!({
        "id": "ocds-1/1", "title": "Cycle lane", "items": [{"id": "1"}],
        "value": {"amount": 1000, "currency": "GBP"},
        "tenderPeriod": {"endDate": NOW.plus_ms(HOUR_MS).to_string()},
    })
}

/// A valid proposal for [`rfp`].
pub(crate) fn proposal(amount: u8) -> Value {
    json!({"rfp": "ocds-1/1", "value": {"amount": u64::from(amount) * 10, "currency": "GBP"}})
}

/// A valid contract for [`rfp`].
pub(crate) fn contract(amount: u8) -> Value {
    json!({
        "rfp": "ocds-1/1", "proposal": openmesh_message::Digest::of(b"offer").to_string(),
        "parties": [{"id": agent(0).to_string(), "role": "buyer"}, {"id": agent(1).to_string(), "role": "seller"}],
        "clauses": ["Deliver."], "value": {"amount": u64::from(amount) * 10, "currency": "GBP"},
    })
}
