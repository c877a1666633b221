//! What the node answers. Only what the node of the pinned domain said to this very hello is believed.

use crate::cast::{BINDING, NOW, agent, agent_key, answered, client_hello, home, key, node};
use crate::form::{assert_brief, reads};
use crate::targets::{Met, Seed};
use openmesh_message::handshake::{
    self, ServerHello, SignedServerHello, Transcript, accept_auth, authenticate,
};
use std::sync::LazyLock;

/// An encoded signed server hello.
pub fn target(input: &[u8]) -> Met {
    static SAID: LazyLock<Vec<u8>> = LazyLock::new(client_hello);
    static GENUINE: LazyLock<SignedServerHello> = LazyLock::new(answered);
    let answer: SignedServerHello = match handshake::decode(input) {
        Ok(answer) => answer,
        Err(error) => {
            assert_brief(&error);
            return Met::Refused;
        }
    };
    let _ = reads::<ServerHello>(&answer.hello);
    let said = Transcript { client_hello: &SAID, answered: &answer, binding: &BINDING };
    match authenticate(&agent_key(0), &home(), &said, NOW) {
        Ok((_, auth)) => {
            assert_eq!(answer, *GENUINE, "an answer that the node never gave is believed");
            let auth = minicbor::to_vec(auth).unwrap();
            assert_eq!(accept_auth(&said, &auth), Ok(agent(0)));
        }
        Err(error) => assert_brief(&error),
    }
    Met::Taken
}

/// The answer of the node, of another node, and to another hello.
pub fn seeds() -> Vec<Seed> {
    let genuine = answered();
    let hello: ServerHello = handshake::decode(&genuine.hello).unwrap();
    let of = |signed: &SignedServerHello| minicbor::to_vec(signed).unwrap();
    vec![
        Seed::new("genuine", of(&genuine)),
        Seed::new("other-node", of(&handshake::answer(&key(77), &client_hello(), &hello, &BINDING))),
        Seed::new("other-hello", of(&handshake::answer(&node(), b"another hello", &hello, &BINDING))),
    ]
}
