//! Acts in conversations of any protocol that passes the checks: whatever it says, every step ends.
//! An input is a definition with its length before it, then steps.

use super::conversation;
use super::protocol::SHIPPED;
use super::run::drive;
use crate::cast::authority;
use crate::feed::{Feed, Script};
use crate::targets::{Met, Seed};
use openmesh_message::Authority;
use openmesh_schema::Catalog;

/// A definition, then steps.
pub fn target(input: &[u8]) -> Met {
    let mut feed = Feed::new(input);
    match Catalog::builtin().check_protocol(feed.part(), authority()) {
        Ok((protocol, _)) => drive(&protocol, &mut feed),
        Err(_) => Met::Refused,
    }
}

/// The conversations of the shipped protocols, each with the text of its protocol.
pub fn seeds() -> Vec<Seed> {
    let catalog = Catalog::builtin();
    let pins: Vec<_> = catalog.protocols().map(|protocol| protocol.pinned().clone()).collect();
    let text_of = |index: u8| {
        let shipped = SHIPPED.iter().find(|(_, text)| {
            let (protocol, _) = catalog.check_protocol(text.as_bytes(), Authority::OpenMesh).unwrap();
            *protocol.pinned() == pins[usize::from(index)]
        });
        shipped.unwrap().1
    };
    let with_text = |seed: Seed| {
        let text = text_of(seed.bytes[0]).replace("protocol: ", "protocol: openmesh/");
        Seed::new(seed.name, Script::default().part(text).rest(&seed.bytes[1..]).done())
    };
    conversation::seeds().into_iter().map(with_text).collect()
}
