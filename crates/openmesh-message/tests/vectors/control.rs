//! Steering attributes: sets that are read, and sets that are refused, with the problem's code.

use crate::fixture::{self, home, key, topic};
use openmesh_message::{Attributes, ControlAttributes, ControlError, Digest};
use serde_json::{Map, Value, json};

const CONVERSATION: &str = "0190c9a0-0000-7000-8000-000000000001";

pub(crate) fn attributes() -> Value {
    let cases = [plain(), waits(), lists(), names(), not_built()].concat();
    json!({
        "what": "changes to a plain message's attributes (null removes one), and the code they are refused with (null: taken)",
        "plain": base().into_iter().collect::<Map<_, _>>(),
        "cases": cases.into_iter().map(|(what, changes)| case(what, &changes)).collect::<Vec<_>>(),
    })
}

type Case = (&'static str, Vec<(&'static str, Option<String>)>);

fn base() -> Vec<(String, Value)> {
    let entries = [
        ("specversion", "1.0".to_owned()),
        ("id", "1".to_owned()),
        ("source", key(4).id().to_string()),
        ("type", "note".to_owned()),
        ("time", "2026-01-31T12:00:00Z".to_owned()),
        ("to", topic("news").to_string()),
        ("performative", "inform".to_owned()),
    ];
    entries.map(|(name, value)| (name.to_owned(), value.into())).to_vec()
}

fn set(what: &'static str, name: &'static str, value: impl Into<String>) -> Case {
    (what, vec![(name, Some(value.into()))])
}

fn plain() -> Vec<Case> {
    let missing = ["specversion", "id", "source", "type", "time", "to", "performative"];
    let mut cases: Vec<Case> =
        missing.iter().map(|name| ("a required attribute is missing", vec![(*name, None)])).collect();
    cases.extend([
        ("as it stands", Vec::new()),
        set("another specversion", "specversion", "0.3"),
        set("an id of 64 bytes", "id", "x".repeat(64)),
        set("an id of 65 bytes", "id", "x".repeat(65)),
        set("a source that is no did:key", "source", "did:web:example.org"),
        set("a time that is none", "time", "noon"),
        set("a relative address", "to", "topic/news"),
        set("an address of a kind not served", "to", format!("mesh://{}/board/plans", home())),
        set("an address that cannot be read", "to", format!("mesh://{}/topic/", home())),
        set("a relative reply address", "replyto", "agent:buyer"),
        set("an act that is none", "performative", "shout"),
        set("a namespaced act", "performative", "acme.bid-bond"),
        set("a priority", "priority", "urgent"),
        set("a priority that is none", "priority", "high"),
        set("a level to keep", "acklevel", "durable"),
        set("a level that no node offers", "acklevel", "replicated"),
        set("more parts follow", "more", "true"),
        set("`more` that is neither true nor false", "more", "yes"),
        set("an attribute nobody knows, not critical", "acmecolour", "blue"),
    ]);
    cases
}

fn waits() -> Vec<Case> {
    let time = Some("2026-12-01T00:00:00Z".to_owned());
    let to = |path: &str| ("to", Some(format!("mesh://{}/{path}", home())));
    let not_before = ("notbefore", time.clone());
    let protocol = format!("mesh-protocol:openmesh/fipa/request@v1.0.0?sha256={}", Digest::ZERO);
    let act = [("protocol", Some(protocol)), ("conversationid", Some(CONVERSATION.to_owned()))];
    vec![
        ("mail to an agent that waits", vec![to("agent/buyer"), not_before.clone()]),
        ("mail to an inbox that waits", vec![to("inbox/buyer"), not_before.clone()]),
        ("a message to a topic that waits", vec![to("topic/news"), not_before.clone()]),
        ("an act that waits", [&[to("agent/buyer"), not_before.clone()][..], &act].concat()),
        (
            "mail that would expire before it is had",
            vec![to("agent/buyer"), not_before, ("expirytime", time)],
        ),
        set("a time to wait for that is none", "notbefore", "soon"),
    ]
}

fn lists() -> Vec<Case> {
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let many = |count: u32| {
        let digests: Vec<_> =
            (0..count).map(|number| Digest::of(&number.to_be_bytes()).to_string()).collect();
        digests.join(",")
    };
    let (agent, other) = (key(4).id(), key(5).id());
    vec![
        set("two parents", "parents", format!("{one},{two}")),
        set("a parent twice", "parents", format!("{one},{one}")),
        set("parents with a space", "parents", format!("{one}, {two}")),
        set("parents with nothing between commas", "parents", format!("{one},,{two}")),
        set("32 parents", "parents", many(32)),
        set("33 parents", "parents", many(33)),
        set("two invitations", "invite", format!("auditor={agent},auditor={other}")),
        set("an invitation without its role", "invite", agent.to_string()),
        ("a stream to an agent", stream_to(fixture::agent("buyer").to_string())),
        ("a stream to a topic", stream_to(topic("news").to_string())),
        set("critical names attributes that are there", "critical", "to,time"),
        set("critical names one that is not there", "critical", "replyby"),
        set("critical names one that nobody knows", "critical", "acmecolour"),
        set("critical names one that is not built", "critical", "budget"),
    ]
}

fn stream_to(to: String) -> Vec<(&'static str, Option<String>)> {
    vec![("stream", Some("text/plain".to_owned())), ("to", Some(to))]
}

fn names() -> Vec<Case> {
    let schema = format!("mesh-schema:openmesh/market/rfp@v1.0.0?sha256={}", Digest::ZERO);
    let protocol = format!("mesh-protocol:openmesh/fipa/request@v1.0.0?sha256={}", Digest::ZERO);
    let both = |kind: &str| vec![("dataschema", Some(schema.clone())), ("type", Some(kind.to_owned()))];
    let act = [("protocol", Some(protocol.clone())), ("conversationid", Some(CONVERSATION.to_owned()))];
    vec![
        ("a schema and its type", both("market/rfp.v1")),
        ("a schema and another type", both("market/rfp.v2")),
        set("a schema without its digest", "dataschema", "mesh-schema:openmesh/market/rfp@v1.0.0"),
        set("a schema not qualified", "dataschema", schema.replace("openmesh/", "")),
        ("an act", act.to_vec()),
        set("a protocol without its conversation", "protocol", protocol),
        set("a conversation without its protocol", "conversationid", CONVERSATION),
        set("a conversation that is no UUID", "conversationid", "1"),
    ]
}

fn not_built() -> Vec<Case> {
    let names = ["route", "budget", "hopsmax", "delegation", "taint", "dataref", "sealed"];
    names.iter().map(|name| set("an attribute that is not built", name, "1")).collect()
}

fn case(what: &str, changes: &[(&'static str, Option<String>)]) -> Value {
    let mut attributes = Attributes::default();
    let kept = base().into_iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    for (name, value) in kept {
        attributes.set(&name, value.as_str().unwrap()).unwrap();
    }
    for (name, value) in changes {
        if let Some(value) = value {
            attributes.set(name, value).unwrap();
        }
    }
    let code = ControlAttributes::parse(&attributes).err().map(|error| match error {
        ControlError::Missing(_) => "attribute.missing",
        ControlError::Malformed { .. } => "attribute.malformed",
        ControlError::Relative { .. } => "address.relative",
        ControlError::Unsupported(_) => "attribute.unsupported",
    });
    let changes: Map<_, _> = changes.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({"what": what, "changes": changes, "code": code})
}
