//! Acts of any kind in conversations of the shipped protocols.

use super::run::{drive, says, waits};
use crate::feed::{Feed, Script};
use crate::targets::{Met, Seed};
use openmesh_schema::{Catalog, Protocol};
use std::sync::Arc;

/// Addressees of [`says`].
const CONVERSATION: u8 = 0;
const TOPIC: u8 = 1;

/// Which protocol, then steps.
pub fn target(input: &[u8]) -> Met {
    let mut feed = Feed::new(input);
    let protocols: Vec<Arc<Protocol>> = Catalog::builtin().protocols().map(Arc::clone).collect();
    let protocol = &protocols[feed.choice(protocols.len())];
    drive(protocol, &mut feed)
}

/// To agent `index`.
const fn to(index: u8) -> u8 {
    index + 4
}

/// A negotiation to its end, one that times out, and a conversation of each other protocol.
pub fn seeds() -> Vec<Seed> {
    let catalog = Catalog::builtin();
    let begin = |name: &str| {
        let mut protocols = catalog.protocols().enumerate();
        let (index, protocol) =
            protocols.find(|(_, protocol)| protocol.pinned().versioned.name.name == name).unwrap();
        (Script::default().byte(index as u8), Arc::clone(protocol))
    };
    let (script, market) = begin("negotiation");
    let called = says(script, &market, (0, "cfp", "rfp"), TOPIC);
    let offered = says(called.clone(), &market, (1, "propose", "proposal"), to(0));
    let countered = says(offered.clone(), &market, (0, "counter-propose", "proposal"), to(1));
    let agreed = says(offered.clone(), &market, (0, "accept-proposal", ""), to(1));
    let signed = says(agreed.clone(), &market, (0, "inform", "contract"), to(1));
    let signed = says(signed, &market, (1, "inform", "contract"), to(0));
    let mut seeds = vec![
        Seed::new("signed", signed.done()),
        Seed::new("countered", says(countered, &market, (1, "accept-proposal", ""), to(0)).done()),
        Seed::new("lapsed", waits(waits(agreed, 3), 5).done()),
        Seed::new("expired", waits(waits(called, 4), 5).done()),
    ];
    for (name, first, answer) in [
        ("request", "request", "agree"),
        ("query", "query-ref", "inform"),
        ("subscribe", "subscribe", "agree"),
    ] {
        let (script, protocol) = begin(name);
        let asked = says(script, &protocol, (0, first, ""), to(1));
        let answered = says(asked, &protocol, (1, answer, ""), to(0));
        seeds.push(Seed::new(name, says(answered, &protocol, (1, "inform", ""), CONVERSATION).done()));
    }
    seeds
}
