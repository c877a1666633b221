//! Facts for requests: a member named nothing who asks over its own connection.

use openmesh_message::{AgentId, Authority, TopicPath, VersionedName};
use openmesh_policy::{Action, Authenticity, Origin, Policy, Standing, StaticContext};

/// Public keys of RFC 8032's test vectors 1 to 3.
const KEYS: [&str; 3] = [
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
];

/// The agent of number 1, 2 or 3.
pub(crate) fn agent(number: usize) -> AgentId {
    let key = KEYS[number - 1];
    let byte = |at: usize| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).unwrap();
    AgentId::from_public_key(std::array::from_fn(byte)).unwrap()
}

pub(crate) fn topic(path: &str) -> TopicPath {
    path.parse().unwrap()
}

pub(crate) fn definition(name: &str) -> VersionedName {
    VersionedName::parse(name, Authority::OpenMesh).unwrap()
}

pub(crate) fn loaded(text: &str) -> Policy {
    Policy::parse(text, Authority::OpenMesh).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A registered agent's signed request about nothing in particular.
pub(crate) fn request(action: Action) -> StaticContext<'static> {
    StaticContext {
        action,
        agent: agent(1),
        agent_name: None,
        standing: Standing::Registered,
        origin: Origin::Agent,
        authenticity: Authenticity::Signed,
        destination: None,
        performative: None,
        schema: None,
        protocol: None,
    }
}
