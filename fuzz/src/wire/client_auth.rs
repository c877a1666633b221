//! The agent's proof of its key. Only the proof for this very conversation of hellos is believed.

use crate::cast::{BINDING, NOW, agent, agent_key, answered, client_hello, home};
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_message::handshake::{
    ClientAuth, HandshakeError, SignedServerHello, Transcript, accept_auth, authenticate, decode,
};
use std::sync::LazyLock;

/// An encoded client auth.
pub fn target(input: &[u8]) -> Met {
    static SAID: LazyLock<Vec<u8>> = LazyLock::new(client_hello);
    static ANSWERED: LazyLock<SignedServerHello> = LazyLock::new(answered);
    static GENUINE: LazyLock<ClientAuth> = LazyLock::new(genuine);
    match accept_auth(&Transcript { client_hello: &SAID, answered: &ANSWERED, binding: &BINDING }, input) {
        Ok(who) => {
            assert_eq!(who, agent(0));
            assert_eq!(decode::<ClientAuth>(input), Ok(GENUINE.clone()), "a proof that the agent never gave");
            Met::Taken
        }
        Err(HandshakeError::AgentSignature) => Met::Taken,
        Err(error) => {
            assert_brief(&error);
            Met::Refused
        }
    }
}

fn genuine() -> ClientAuth {
    auth_of(0)
}

/// The proof of agent `index` over the hello of agent 0.
fn auth_of(index: u8) -> ClientAuth {
    let said = Transcript { client_hello: &client_hello(), answered: &answered(), binding: &BINDING };
    authenticate(&agent_key(index), &home(), &said, NOW).unwrap().1
}

/// The genuine proof, and one by another key.
pub fn seeds() -> Vec<Seed> {
    vec![
        Seed::new("genuine", minicbor::to_vec(genuine()).unwrap()),
        Seed::new("other-key", minicbor::to_vec(auth_of(1)).unwrap()),
    ]
}
