//! Expressions of guards: whatever is allowed is evaluated, and gives the same twice.
//! An input is an expression with its length before it, then the payload that it reads.

use crate::cast::{NOW, agent, authority, rfp, schema};
use crate::feed::{Feed, Script};
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_message::json::Document;
use openmesh_message::{ConversationId, Digest, Performative, PinnedName};
use openmesh_schema::{Act, ActTarget, Catalog, IllegalKind, Protocol};
use serde_json::{Value, json};

/// An expression, then a request for proposals.
pub fn target(input: &[u8]) -> Met {
    let mut feed = Feed::new(input);
    let Ok(text) = std::str::from_utf8(feed.part()) else {
        return Met::Refused;
    };
    let checked = Catalog::builtin().check_protocol(definition(text).to_string().as_bytes(), authority());
    let protocol = match checked {
        Ok((protocol, _)) => protocol,
        Err(error) => {
            assert_brief(&error);
            return Met::Refused;
        }
    };
    let pin = schema("market/rfp@^1");
    let valid = |payload: &Document| {
        Catalog::builtin().schema(&pin.digest).is_some_and(|schema| schema.validate(payload).is_ok())
    };
    let payload = Document::read(feed.rest()).ok().filter(valid).unwrap_or_else(|| Document::of(&rfp()));
    evaluate(&protocol, &pin, &payload);
    Met::Taken
}

fn evaluate(protocol: &Protocol, pin: &PinnedName, payload: &Document) {
    let ask = |performative, index: u8, payload| Act {
        sender: agent(index),
        performative,
        schema: (index == 0).then_some(pin),
        payload,
        payload_bytes: &[],
        digest: Digest::ZERO,
        parents: &[],
        to: ActTarget::Conversation,
        invites: &[],
        custodial: false,
    };
    let opening = ask(&Performative::Cfp, 0, Some(payload));
    let opened = protocol.open(&ConversationId::from_bytes([7; 16]), &opening, NOW).unwrap();
    let state = opened.after;
    let guarded = ask(&Performative::Inform, 1, None);
    let decided = protocol.step(&state, &guarded, NOW);
    assert_eq!(protocol.step(&state, &guarded, NOW), decided);
    if let Err(illegal) = decided {
        assert_eq!(illegal.kind, IllegalKind::GuardFailed, "{illegal}");
        assert_brief(&illegal);
    }
}

/// A small protocol with that guard.
fn definition(guard: &str) -> Value {
    json!({
        "protocol": "acme/guarded@v1.0.0",
        "roles": {
            "buyer": {"count": 1, "binds": "initiator", "sees": "all"},
            "seller": {"count": "1..*", "binds": "first-move", "sees": "all"},
        },
        "machines": {
            "round": {
                "initial": "start",
                "finals": {"done": "success", "late": "timeout"},
                "states": {
                    "start": {"moves": [{"performative": "cfp", "schema": "market/rfp@^1", "from": "buyer", "next": "open"}]},
                    "open": {
                        "timer": {"after": "PT10M", "next": "late"},
                        "moves": [{"performative": "inform", "from": "seller", "next": "done", "guard": guard}],
                    },
                },
            },
        },
    })
}

/// Every operator and every kind of thing that is read.
pub fn seeds() -> Vec<Seed> {
    let of = |text: &str| Script::default().part(text).rest(rfp().to_string()).done();
    vec![
        Seed::new("state", of("round.state == 'open'")),
        Seed::new("path", of("rfp.value.amount <= 1000 && rfp.value.currency == 'GBP'")),
        Seed::new("in", of("round.state in ['open', 'start'] || !(rfp.items[0].id == \"1\")")),
        Seed::new("count", of("count('round', 'open') == 1")),
        Seed::new("arithmetic", of("-rfp.value.amount * 2 + 1.5 / 3 - 1 > 0 ? true : rfp.id != 'x'")),
        Seed::new("missing", of("rfp.description == 'x'")),
        Seed::new("nested", of("((((((1 == 1))))))")),
        Seed::new("macro", of("rfp.items.all(item, item.id == '1')")),
    ]
}
