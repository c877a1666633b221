//! Messages and commands from the JSON of an input line.
//!
//! A message's keys are its attributes; besides: `as` (a label), `payload`, `text` (a raw payload), `conversation` (a
//! label), `protocol` and `schema` (short names), `parents` (labels), `invite` (`role=name`), `in` (ms, for `replyby`
//! and `expirytime`), `sign` (`no`, `wrong`, `kept`: as the node, or whose key), `again` (the label of a message to offer unchanged).

use crate::stage::{Stage, TOKEN};
use openmesh_message::frame::{Command, Retention, Start};
use openmesh_message::limits::{JSON_KEYS_MAX, PAYLOAD_BYTES_MAX};
use openmesh_message::{
    Attributes, ConversationId, Digest, Envelope, Grant, PinnedName, Proof, Target, Timestamp, Transit,
};
use openmesh_schema::Catalog;
use serde_json::Value;

/// A message and its label.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) label: String,
    pub(crate) envelope: Envelope,
}

/// The conversation of a label.
pub(crate) fn conversation(label: &str) -> ConversationId {
    let digest = Digest::of(label.as_bytes());
    ConversationId::from_bytes(digest.as_bytes().first_chunk().copied().unwrap())
}

pub(crate) fn message(stage: &mut Stage, name: &str, json: &Value) -> Sent {
    if let Some(label) = json.get("again").and_then(Value::as_str) {
        return stage.sent[label].clone();
    }
    let agent = stage.agents.get_mut(name).unwrap();
    agent.messages += 1;
    let own = format!("{name}-{}", agent.messages);
    let label = text(json, "as").unwrap_or_else(|| own.clone());
    let mut attributes = Attributes::default();
    let mut set = |key: &str, value: String| attributes.set(key, &value).unwrap();
    let given = |key: &str| json.get(key).is_some();
    let defaults = [
        ("specversion", "1.0".to_owned()),
        ("id", own),
        ("source", stage.agents[name].key.id().to_string()),
        ("time", stage.now.to_string()),
        ("performative", "inform".to_owned()),
    ];
    for (key, value) in
        defaults.into_iter().filter(|(key, _)| !given(key) && text(json, "without").as_deref() != Some(key))
    {
        set(key, value);
    }
    let schema = text(json, "schema").map(|short| pinned(&short));
    match &schema {
        Some(schema) => {
            set("type", schema.versioned.type_name());
            set("dataschema", schema.to_schema_uri());
        }
        None => set("type", "mesh/untyped.v1".to_owned()),
    }
    if let Some(short) = text(json, "protocol") {
        set("protocol", pinned(&short).to_protocol_uri());
        set("conversationid", conversation(&text(json, "conversation").unwrap()).to_string());
    }
    let payload = payload(stage, json);
    if given("payload") || given("text") {
        set("datacontenttype", "application/json".to_owned());
    }
    for (key, value) in json.as_object().unwrap() {
        if let Some(value) = attribute(stage, key, value) {
            set(key, value);
        }
    }
    let digest = attributes.digest(&payload);
    let proof = match text(json, "sign").as_deref() {
        Some("no") => None,
        Some("wrong") => Some(Proof::sign(&stage.agents[name].key, &Digest::ZERO)),
        Some("kept") => Some(Proof::sign(&stage.kept_key(name), &digest)),
        Some(other) => Some(Proof::sign(&stage.agents[other].key, &digest)),
        None => Some(Proof::sign(&stage.agents[name].key, &digest)),
    };
    let envelope = Envelope { attributes, payload: payload.into(), proof, transit: Transit::default() };
    Sent { label, envelope }
}

fn text(json: &Value, key: &str) -> Option<String> {
    json.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn pinned(short: &str) -> PinnedName {
    let catalog = Catalog::builtin();
    let schemas = catalog.schemas().map(|schema| schema.pinned());
    let protocols = catalog.protocols().map(|protocol| protocol.pinned());
    let (name, unknown) = short.strip_suffix('?').map_or((short, false), |name| (name, true));
    let mut found =
        schemas.chain(protocols).find(|pinned| pinned.versioned.name.short() == name).unwrap().clone();
    if unknown {
        found.digest = Digest::ZERO;
    }
    found
}

fn attribute(stage: &Stage, key: &str, value: &Value) -> Option<String> {
    let later = |ms: &Value| Timestamp::to_string(&stage.now.plus_ms(ms.as_i64().unwrap()));
    let value = match key {
        "as" | "payload" | "text" | "conversation" | "protocol" | "schema" | "sign" | "without" => {
            return None;
        }
        "to" | "replyto" => return Some(address(stage, value.as_str().unwrap())),
        "time" | "replyby" | "expirytime" | "notbefore" => later(value),
        "parents" => {
            let labels = value.as_str().unwrap().split(',');
            let digests = labels.map(|label| match stage.sent.get(label) {
                Some(sent) => sent.envelope.digest().to_string(),
                None => Digest::of(label.as_bytes()).to_string(),
            });
            digests.collect::<Vec<_>>().join(",")
        }
        "invite" => {
            let (role, name) = value.as_str().unwrap().split_once('=').unwrap();
            format!("{role}={}", stage.agents[name].key.id())
        }
        "source" => stage.agents[value.as_str().unwrap()].key.id().to_string(),
        _ => value.as_str().unwrap().to_owned(),
    };
    Some(value)
}

/// `conversation:<label>`, and what people type; `relative:…` and `foreign:…` stay what they say.
fn address(stage: &Stage, typed: &str) -> String {
    if let Some(rest) = typed.strip_prefix("relative:") {
        return rest.to_owned();
    }
    let (typed, domain) = match typed.strip_prefix("foreign:") {
        Some(rest) => (rest, openmesh_message::DomainId::from_bytes([2; 32])),
        None => (typed, stage.domain()),
    };
    let target = match typed.strip_prefix("conversation:") {
        Some(label) => Target::Conversation(conversation(label)),
        None => Target::parse(typed, ':').unwrap(),
    };
    openmesh_message::Address::new(domain, target).to_string()
}

/// `text` is `deep`, `keys`, `bytes`, `large` or the payload itself; in `payload`, `@name` is an agent's id.
fn payload(stage: &Stage, json: &Value) -> Vec<u8> {
    match text(json, "text").as_deref() {
        Some("deep") => return [vec![b'['; 70], vec![b']'; 70]].concat(),
        Some("keys") => {
            let keys: Vec<_> = (0..=JSON_KEYS_MAX).map(|key| format!("\"{key}\":0")).collect();
            return format!("{{{}}}", keys.join(",")).into_bytes();
        }
        Some("bytes") => return vec![b'"', 0xff, b'"'],
        Some("large") => return vec![b'x'; PAYLOAD_BYTES_MAX + 1],
        Some(raw) => return raw.as_bytes().to_vec(),
        None => {}
    }
    let Some(payload) = json.get("payload") else { return Vec::new() };
    let mut written = payload.to_string();
    for (name, agent) in &stage.agents {
        written = written.replace(&format!("@{name}\""), &format!("{}\"", agent.key.id()));
    }
    for (label, sent) in &stage.sent {
        written = written.replace(&format!("\"#{label}\""), &format!("\"{}\"", sent.envelope.digest()));
    }
    written.into_bytes()
}

/// `{"lease": 5, "visible": 1000, "wait": 0}` and the like.
pub(crate) fn command(stage: &Stage, json: &Value) -> Command {
    let number = |key: &str| json.get(key).and_then(Value::as_u64).unwrap_or(0);
    let word = |key: &str| text(json, key).unwrap_or_default();
    let numbers = || {
        let list = json.get("numbers").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_u64).collect()
    };
    let verb = VERBS.iter().find(|verb| json.get(**verb).is_some()).unwrap();
    if let Some(command) = token_command(stage, json, verb) {
        return command;
    }
    match *verb {
        "subscribe" => {
            let since = json.get("since").and_then(Value::as_i64);
            let since = since.map(|ms| Start::Since(stage.now.plus_ms(ms)));
            let at = json.get("start").and_then(Value::as_u64).map(Start::At);
            let start = since.or(at).unwrap_or_default();
            Command::Subscribe { subscription: number("number"), pattern: word("subscribe"), start }
        }
        "unsubscribe" => Command::Unsubscribe { subscription: number("unsubscribe") },
        "register" => Command::Register { name: word("register"), token: text(json, "token") },
        "lease" => Command::Lease {
            messages_max: number("lease") as u32,
            visibility_ms: number("visible"),
            wait_ms: number("wait"),
            least: text(json, "least").map(|least| least.parse().unwrap()),
        },
        "extend" => Command::Extend { token: number("extend"), visibility_ms: number("visible") },
        "ack" => Command::Ack { token: number("ack"), numbers: numbers() },
        "nack" => Command::Nack { token: number("nack"), numbers: numbers(), delay_ms: number("delay") },
        "schema" => {
            Command::PublishSchema { name: word("schema"), definition: json["definition"].to_string() }
        }
        "protocol" => Command::PublishProtocol { definition: json["protocol"].to_string() },
        "get" => Command::GetSchema { name: word("get") },
        "list" if word("list") == "agents" => Command::ListAgents,
        "list" if word("list") == "conversations" => Command::ListConversations,
        "list" => Command::ListDefinitions,
        "count" => Command::CountInbox,
        "show" => Command::ShowConversation { conversation: conversation(&word("show")).to_string() },
        "query" => Command::QueryLog {
            filter: Box::default(),
            after_seq: number("query"),
            records_max: 5,
            wait_ms: 0,
            newest_first: false,
        },
        "receipt" => {
            let sent = &stage.sent[&word("receipt")].envelope;
            let id = sent.attributes.get("id").unwrap().to_owned();
            Command::GetReceipt { message: sent.digest(), id }
        }
        other => of_what_is_kept(stage, json, other),
    }
}

/// Commands about mail that waits and topics that are kept.
fn of_what_is_kept(stage: &Stage, json: &Value, verb: &str) -> Command {
    let number = |key: &str| json.get(key).and_then(Value::as_u64).unwrap_or(0);
    let word = |key: &str| text(json, key).unwrap_or_default();
    match verb {
        "peek" => Command::Peek { after_number: number("peek"), messages_max: number("most") as u32 },
        "recall" => {
            let sent = &stage.sent[&word("recall")].envelope;
            let id = sent.attributes.get("id").unwrap().to_owned();
            let recipient = stage.agents[&word("of")].key.id();
            Command::Recall { recipient, number: number("number"), message: sent.digest(), id }
        }
        "set" => set_topic(json),
        "erase" => {
            let token = json.get("token").map(|_| TOKEN.to_owned());
            Command::Erase { message: word("erase"), reason: word("reason"), token }
        }
        "topics" => Command::ListTopics,
        "topic" => Command::GetTopic { topic: word("topic"), after: text(json, "after"), topics_max: 10 },
        other => panic!("no such command: {other}"),
    }
}

fn set_topic(json: &Value) -> Command {
    let limit = |key: &str| json.get(key).and_then(Value::as_u64);
    let (age_ms, bytes, messages) = (limit("age"), limit("bytes"), limit("messages"));
    Command::SetTopic {
        topic: text(json, "set").unwrap_or_default(),
        pinned: json.get("pinned").is_none_or(|pinned| pinned == true),
        retention: Retention { age_ms, bytes, messages },
        expected_version: limit("version"),
        token: Some(TOKEN.to_owned()),
    }
}

fn token_command(stage: &Stage, json: &Value, verb: &str) -> Option<Command> {
    let word = |key: &str| text(json, key).unwrap_or_default();
    let of =
        |key: &str| text(json, key).filter(|name| name != "own").map(|name| stage.agents[&name].key.id());
    let (grant, admin_token) = (grant(stage, json), text(json, "token"));
    Some(match verb {
        "keyless" => Command::RegisterKeyless { name: word("keyless"), grant, admin_token },
        "issue" => Command::IssueToken { agent: of("of"), grant, admin_token },
        "revoke" => Command::RevokeToken { token: Digest::of(word("revoke").as_bytes()), admin_token },
        "tokens" => Command::ListTokens { agent: of("tokens"), admin_token },
        "agent" => Command::GetAgent { agent: word("agent") },
        _ => return None,
    })
}

fn grant(stage: &Stage, json: &Value) -> Grant {
    let scopes = text(json, "scopes").unwrap_or_default();
    let expires = json.get("expires").and_then(Value::as_i64).unwrap_or(0);
    Grant {
        token: Digest::of(text(json, "issue").unwrap_or_default().as_bytes()),
        scopes: scopes.split(',').filter_map(|scope| scope.parse().ok()).collect(),
        expires: stage.beginning().plus_ms(expires),
        label: text(json, "label").unwrap_or_default(),
        custodial: json.get("custodial").and_then(Value::as_bool).unwrap_or(false),
    }
}

const VERBS: &[&str] = &[
    // Before `issue`, which a keyless agent's registration has, too.
    "keyless",
    "issue",
    "revoke",
    "tokens",
    "agent",
    "subscribe",
    "unsubscribe",
    "register",
    "lease",
    "extend",
    "ack",
    "nack",
    "schema",
    "protocol",
    "get",
    "list",
    "count",
    "show",
    "query",
    "receipt",
    "peek",
    "recall",
    "erase",
    "set",
    "topics",
    "topic",
];
