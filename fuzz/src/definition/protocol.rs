//! Protocol definitions: what passes the checks is stored in one form, which passes them alike.

use crate::cast::authority;
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_message::Authority;
use openmesh_schema::{Catalog, Protocol};

/// Those that ship, with the names of their seeds.
pub(super) const SHIPPED: [(&str, &str); 5] = [
    ("negotiation", include_str!("../../../crates/openmesh-schema/definitions/market/negotiation.yaml")),
    ("request", include_str!("../../../crates/openmesh-schema/definitions/fipa/request.yaml")),
    ("query", include_str!("../../../crates/openmesh-schema/definitions/fipa/query.yaml")),
    ("contract-net", include_str!("../../../crates/openmesh-schema/definitions/fipa/contract-net.yaml")),
    ("subscribe", include_str!("../../../crates/openmesh-schema/definitions/fipa/subscribe.yaml")),
];

/// A definition in YAML or JSON.
pub fn target(input: &[u8]) -> Met {
    let catalog = Catalog::builtin();
    let (protocol, report) = match catalog.check_protocol(input, authority()) {
        Ok(checked) => checked,
        Err(error) => {
            assert_brief(&error);
            return Met::Refused;
        }
    };
    // As recovery publishes it again.
    let (again, same) = catalog.check_protocol(protocol.stored(), Authority::OpenMesh).unwrap();
    assert_eq!((again.pinned(), again.stored()), (protocol.pinned(), protocol.stored()));
    assert_eq!((again.definition(), same), (protocol.definition(), report));
    check_names(&protocol);
    Met::Taken
}

/// Everything that a checked definition names is in it.
fn check_names(protocol: &Protocol) {
    assert!(protocol.graph().starts_with("stateDiagram-v2"));
    let definition = protocol.definition();
    assert!(definition.initiator().is_some());
    for machine in definition.machines.values() {
        let is_state = |name: &str| machine.states.contains_key(name) || machine.finals.contains_key(name);
        assert!(is_state(&machine.initial));
        assert!(machine.states.keys().all(|state| machine.successors(state).into_iter().all(is_state)));
        assert!(machine.movers().into_iter().all(|role| definition.roles.contains_key(role)));
    }
}

/// Those that ship, one of them in its stored form, and a small one.
pub fn seeds() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = SHIPPED.iter().map(|(name, text)| Seed::new(*name, *text)).collect();
    let (stored, _) =
        Catalog::builtin().check_protocol(SHIPPED[0].1.as_bytes(), Authority::OpenMesh).unwrap();
    seeds.push(Seed::new("stored", stored.stored()));
    seeds.push(Seed::new("small", super::duration::definition("PT10M").to_string()));
    seeds
}
