//! Records as JSON, for people and queries.

use super::{Accepted, Body, Checkpoint, Erasure, Outcome, Record, Step};
use openmesh_message::{Envelope, Grant};
use serde_json::{Map, Value, json};

/// A record as one JSON object: what `openmesh log query -o json` prints.
pub fn to_json(record: &Record) -> Value {
    let header = &record.header;
    let mut row = Map::new();
    row.insert("position".to_owned(), json!(header.position.to_string()));
    row.insert("seq".to_owned(), json!(header.position.seq));
    row.insert("epoch".to_owned(), json!(header.position.epoch));
    row.insert("at".to_owned(), json!(header.at.to_string()));
    row.insert("kind".to_owned(), json!(header.outcome.kind()));
    row.insert("logs".to_owned(), json!(header.logs.iter().map(ToString::to_string).collect::<Vec<_>>()));
    row.insert("sender".to_owned(), json!(header.sender));
    row.insert("policy_version".to_owned(), json!(header.policy_version));
    row.insert("outcome".to_owned(), outcome(&header.outcome));
    match &record.body {
        Body::Message(envelope) => {
            row.insert("message".to_owned(), message(envelope));
        }
        Body::Refused(refused) => {
            row.insert(
                "refused".to_owned(),
                json!({
                    "digest": refused.digest, "id": refused.id, "conversation": refused.conversation,
                    "performative": refused.performative, "detail": refused.detail,
                }),
            );
        }
        Body::Text(text) => {
            row.insert("text".to_owned(), json!(text));
        }
        Body::Erased => {
            row.insert("erased".to_owned(), json!(true));
        }
        Body::Empty | Body::Claim(_) => {}
    }
    Value::Object(row)
}

/// A message as one JSON object: its attributes, its payload, its digest and how it is proven.
pub fn message(envelope: &Envelope) -> Value {
    let attributes: Map<_, _> =
        envelope.attributes.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let payload = match serde_json::from_slice::<Value>(&envelope.payload) {
        Ok(value) => value,
        Err(_) => json!(String::from_utf8_lossy(&envelope.payload)),
    };
    json!({
        "digest": envelope.digest(),
        "attributes": attributes,
        "payload": payload,
        "proof": envelope.proof.as_ref().map(|proof| json!({"alg": proof.alg(), "keyid": proof.keyid()})),
    })
}

pub(super) fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Accepted(Accepted { authenticity, rule, step: taken, puts }) => json!({
            "authenticity": authenticity.to_string(), "rule": rule, "step": taken.as_ref().map(step),
            "inboxes": puts.iter().map(|put| json!({"agent": put.agent, "number": put.number, "notice": put.notice})).collect::<Vec<_>>(),
        }),
        Outcome::Refused { code, state } => json!({"code": code, "state": state}),
        Outcome::Fired { step: taken, puts } => json!({
            "step": step(taken),
            "inboxes": puts.iter().map(|put| json!({"agent": put.agent, "number": put.number, "notice": put.notice})).collect::<Vec<_>>(),
        }),
        Outcome::Leased { agent, token, until, numbers } => {
            json!({"agent": agent, "token": token, "until": until.to_string(), "numbers": numbers})
        }
        Outcome::Extended { agent, token, until } => {
            json!({"agent": agent, "token": token, "until": until.to_string()})
        }
        Outcome::Settled { agent, settlement } => json!({
            "agent": agent, "acknowledged": settlement.acknowledged, "expired": settlement.expired,
            "dead_lettered": settlement.dead_lettered,
            "returned": settlement.returned.iter().map(|(number, until)| json!([number, until.to_string()])).collect::<Vec<_>>(),
        }),
        Outcome::Registered { agent, name } => json!({"agent": agent, "name": name}),
        Outcome::KeylessRegistered { custody, name, grant: granted } => json!({
            "agent": custody.key, "name": name, "custodial_key": custody.key, "token": grant(granted),
        }),
        Outcome::TokenIssued { agent, grant: granted, custody } => json!({
            "agent": agent, "token": grant(granted),
            "custodial_key": custody.as_ref().map(|custody| custody.key),
        }),
        Outcome::TokenRevoked { agent, token } => json!({"agent": agent, "token": {"digest": token}}),
        Outcome::SchemaPublished { name } | Outcome::ProtocolPublished { name } => {
            json!({"name": name})
        }
        Outcome::TopicsConfigured { pattern, pinned } => {
            json!({"pattern": pattern, "pinned": pinned})
        }
        Outcome::TopicsSet { pattern, pinned, retention } => {
            json!({"pattern": pattern, "pinned": pinned, "retention": retention})
        }
        Outcome::Checkpoint(Checkpoint { through, chain, state, owner }) => json!({
            "through": through.to_string(), "chain": chain, "state": state, "owner": owner,
        }),
        Outcome::Erased(Erasure { positions, ended, reason }) => json!({
            "positions": positions.iter().map(ToString::to_string).collect::<Vec<_>>(), "reason": reason,
            "inboxes": ended.iter().map(|(agent, number)| json!({"agent": agent, "number": number})).collect::<Vec<_>>(),
        }),
        Outcome::ErasureDone { seqs } => json!({"seqs": seqs}),
        Outcome::Recalled { agent, number } => json!({"agent": agent, "number": number}),
        Outcome::PolicyChanged { version } => json!({"version": version}),
        Outcome::EpochBegun { owner, previous, previous_chain } => json!({
            "owner": owner, "previous": previous.map(|position| position.to_string()), "previous_chain": previous_chain,
        }),
    }
}

fn grant(grant: &Grant) -> Value {
    json!({
        "digest": grant.token, "scopes": grant.scopes, "expires": grant.expires.to_string(),
        "label": grant.label, "custodial": grant.custodial,
    })
}

pub(super) fn step(step: &Step) -> Value {
    let ended = step.transition.ended().map(|outcome| outcome.as_str());
    let moves: Vec<_> = step
        .transition
        .moves()
        .map(|(instance, from, to, cause)| {
            json!({"machine": *instance.machine, "agent": instance.agent, "from": **from, "to": **to, "cause": cause.as_str()})
        })
        .collect();
    json!({
        "conversation": step.conversation, "protocol": step.protocol, "summary": step.transition.summary(),
        "moves": moves, "ended": ended,
    })
}
