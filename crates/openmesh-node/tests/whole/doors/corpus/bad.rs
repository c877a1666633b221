//! What is refused before any conversation is looked at.

use super::{Case, Corpus};
use crate::bad_input::{bad_messages, durable};
use crate::doors::maker::Maker;
use openmesh_sdk::{Performative, now};

const JSON: [(&str, &str, &str); 9] = [
    ("a byte order mark", "\u{feff}{}", "json.malformed"),
    ("a comma too many", "[1,]", "json.malformed"),
    ("no number", "NaN", "json.malformed"),
    ("two values", "{}{}", "json.malformed"),
    ("nothing", "", "json.malformed"),
    ("a key twice behind an escape", r#"{"a":1,"\u0061":2}"#, "json.duplicate_key"),
    ("a key twice, deep", r#"[{"x":{"a":1,"a":1}}]"#, "json.duplicate_key"),
    ("too large a number", "1e400", "json.number_out_of_range"),
    ("too small a number", "-9007199254740993", "json.number_out_of_range"),
];

const MALFORMED: [(&str, &str); 21] = [
    ("time", "yesterday"),
    ("time", "2026-13-01T00:00:00Z"),
    ("replyby", "soon"),
    ("expirytime", "never"),
    ("replyto", "mesh://b/agent/x"),
    ("performative", "Shout!"),
    ("parents", "abc"),
    ("parents", "a,,b"),
    ("dataschema", "https://example.org/schema"),
    ("invite", "buyer"),
    ("more", "maybe"),
    ("acklevel", "forever"),
    ("priority", "yesterday"),
    ("specversion", "0.3"),
    ("source", "did:web:example.org"),
    ("critical", "subject"),
    ("conversationid", "not-a-uuid"),
    ("notbefore", "later"),
    ("expirytime", "2026-02-30T00:00:00Z"),
    ("parents", "a,a"),
    ("protocol", "market/negotiation"),
];

const NOT_BUILT: [(&str, &str); 7] = [
    ("route", "direct"),
    ("budget", "3"),
    ("hopsmax", "2"),
    ("delegation", "x"),
    ("taint", "secret"),
    ("dataref", "https://example.org/x"),
    ("critical", "acmecolour"),
];

impl Corpus {
    pub(super) fn bad(&self, maker: &mut Maker) -> Vec<Case> {
        let mut cases = Vec::new();
        for (code, envelope) in bad_messages(maker, &self.other) {
            let envelope = if code == "topic.ephemeral" { durable(maker, &envelope) } else { envelope };
            cases.push(Case::refused(format!("each kind: {code}"), envelope, code));
        }
        for (name, payload, code) in JSON {
            cases.push(Case::refused(format!("bad JSON: {name}"), maker.json(payload), code));
        }
        for (name, value) in MALFORMED {
            let envelope = maker.with(name, value);
            cases.push(Case::refused(format!("malformed: {name}={value}"), envelope, "attribute.malformed"));
        }
        for (name, value) in NOT_BUILT {
            let envelope = maker.with(name, value);
            cases.push(Case::refused(
                format!("not built: {name}={value}"),
                envelope,
                "attribute.unsupported",
            ));
        }
        cases.extend(self.schemas(maker));
        cases.extend(self.destinations_refused(maker));
        cases
    }

    fn schemas(&self, maker: &mut Maker) -> Vec<Case> {
        let payloads =
            ["{}", "[]", r#"{"item":"tea"}"#, r#"{"item":"","count":1}"#, r#"{"item":"x","count":1.5}"#];
        let mut case = |payload: &str| {
            let envelope =
                maker.draft().schema(&self.order).json(payload.to_owned()).sign(&self.key).unwrap();
            Case::refused(format!("against its schema: {payload}"), envelope, "schema.invalid")
        };
        let mut cases: Vec<_> = payloads.iter().map(|payload| case(payload)).collect();
        let other_type = maker.draft().schema(&self.order).json("{}").sign(&self.key).unwrap();
        let other_type = maker.changed(&other_type, "type", "shop/order.v2");
        cases.push(Case::refused("a type that is not the schema's", other_type, "attribute.malformed"));
        cases
    }

    fn destinations_refused(&self, maker: &mut Maker) -> Vec<Case> {
        let mut made = |text: &str| {
            let draft = maker.draft_to(&self.address(text), &Performative::Inform, now());
            draft.payload("text/plain", "x").sign(&self.key).unwrap()
        };
        let first = made("inbox:receiver");
        let mut cases = vec![
            Case::refused("an agent that is away", made("agent:receiver"), "agent.away"),
            Case::refused("an agent nobody knows", made("agent:nobody"), "address.unknown_agent"),
            Case::refused("an inbox nobody has", made("inbox:nobody"), "address.unknown_agent"),
        ];
        let conversation = openmesh_sdk::new_conversation_id().unwrap();
        let stray = made(&format!("mesh://{}/conversation/{conversation}", self.domain));
        cases.push(Case::refused("a conversation without an act", stray, "argument.malformed"));
        cases.push(Case::accepted("an id used once", first.clone()));
        let conflict = maker.changed(&first, "subject", "another message");
        cases.push(Case::refused("an id used for another message", conflict, "id.conflict"));
        let half = maker.with("conversationid", &conversation.to_string());
        cases.push(Case::refused("nobody's address", maker.with("to", "mesh://nowhere"), "address.relative"));
        cases.push(Case::refused("a conversation without a protocol", half, "attribute.missing"));
        cases.push(Case::refused(
            "too long an id",
            maker.changed(&first, "id", &"i".repeat(65)),
            "attribute.malformed",
        ));
        cases
    }
}
