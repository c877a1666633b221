//! Addresses: an absolute one has one text, and what people type expands to one.

use crate::cast::{agent, home};
use crate::form::{assert_brief, assert_leads_back, is_the_text_of};
use crate::targets::{Met, Seed};
use openmesh_message::{Address, Target};

/// Any text.
pub fn target(input: &[u8]) -> Met {
    let Ok(text) = std::str::from_utf8(input) else {
        return Met::Refused;
    };
    let absolute = is_the_text_of::<Address>(text);
    let expanded = match Address::expand(text, home()) {
        Ok(address) => {
            assert_leads_back(&address);
            Some(address)
        }
        Err(error) => {
            assert_brief(&error);
            None
        }
    };
    if absolute.is_some() {
        assert_eq!(absolute, expanded);
    }
    if let Ok(target) = Target::parse(text, ':') {
        assert_eq!(format!("{}:{}", target.kind(), target.path()), text);
        assert_eq!(expanded, Some(Address::new(home(), target)));
    }
    if expanded.is_some() { Met::Taken } else { Met::Refused }
}

/// One of each kind, absolute and as typed.
pub fn seeds() -> Vec<Seed> {
    let (home, agent) = (home(), agent(0));
    vec![
        Seed::new("topic", format!("mesh://{home}/topic/market/rfp")),
        Seed::new("agent", format!("mesh://{home}/agent/buyer")),
        Seed::new("inbox", format!("mesh://{home}/inbox/{agent}")),
        Seed::new("conversation", format!("mesh://{home}/conversation/0190c9a0-0000-7000-8000-000000000001")),
        Seed::new("typed-topic", "topic:$mesh/health"),
        Seed::new("typed-agent", "agent:buyer-2.eu_1"),
        Seed::new("typed-did", agent.to_string()),
        Seed::new("board", format!("mesh://{home}/board/plans")),
    ]
}
