//! What an agent says first.

use crate::cast::{agent, client_hello};
use crate::form::{assert_brief, assert_kept};
use crate::targets::{Met, Seed};
use openmesh_message::handshake::{ClientHello, VERSION, accept_hello};

/// An encoded client hello.
pub fn target(input: &[u8]) -> Met {
    match accept_hello(input) {
        Ok(hello) => {
            assert!(hello.versions.contains(&VERSION));
            assert_kept(&hello);
            Met::Taken
        }
        Err(error) => {
            assert_brief(&error);
            Met::Refused
        }
    }
}

/// Hellos of this version, of several and of a newer one.
pub fn seeds() -> Vec<Seed> {
    let hello = |versions: &[u16]| {
        let hello = ClientHello { versions: versions.to_vec(), ..ClientHello::new(agent(0), [5; 32]) };
        minicbor::to_vec(hello).unwrap()
    };
    vec![
        Seed::new("plain", client_hello()),
        Seed::new("several", hello(&[VERSION, 2, 9])),
        Seed::new("newer", hello(&[9])),
    ]
}
