//! What the node signs it completes: attributes that every message has, addresses as people write them, JSON in its
//! canonical form.
//!
//! A message that brings its own proof, or comes from an agent that signs for itself, is taken as it stands.

use super::Door;
use crate::http::caller::Caller;
use crate::http::problem::Failure;
use openmesh_adapter::now;
use openmesh_core::{Rejection, View};
use openmesh_message::cloudevents::{canonical_json, is_json};
use openmesh_message::{Address, Attributes, Digest, Envelope, NameRange, json};

const UNTYPED: &str = "mesh/untyped.v1";
const PERFORMATIVE: &str = "inform";

impl Door {
    /// Completes and signs a message of a caller for whom the node signs.
    pub(crate) fn complete(&self, caller: &Caller, mut envelope: Envelope) -> Result<Envelope, Failure> {
        if envelope.proof.is_some() || !caller.is_custodial() {
            return Ok(envelope);
        }
        let view = self.mesh.view();
        let agent = view.directory.agent(&caller.agent);
        let (keyid, kept) =
            agent.and_then(|agent| agent.custodial_key()).ok_or(Rejection::CustodyUnavailable)?;
        if is_json(envelope.attributes.get("datacontenttype"))
            && let Some(canonical) = canonical_json(&envelope.payload)
        {
            envelope.payload = canonical;
        }
        envelope.attributes = filled(expanded(&envelope.attributes, &view)?, &envelope, caller)?;
        let signed = self.custodian.sign(&mut envelope, keyid, &kept.nonce);
        signed.map_err(|_| Rejection::CustodyUnavailable)?;
        Ok(envelope)
    }
}

/// Addresses made absolute and names of definitions pinned; what cannot be read stays, for admission to refuse.
fn expanded(attributes: &Attributes, view: &View) -> Result<Attributes, Rejection> {
    let mut expanded = Attributes::default();
    for (name, value) in attributes.iter() {
        let known = match name {
            "to" | "replyto" => Address::expand(value, view.domain).ok().map(|address| address.to_string()),
            "dataschema" if !value.contains(':') => {
                let range = NameRange::parse(value, view.home()).ok();
                let pinned = range.and_then(|range| view.catalog.resolve(&range));
                pinned.map(|pinned| pinned.to_schema_uri())
            }
            "protocol" if !value.contains(':') => {
                let range = NameRange::parse(value, view.home()).ok();
                let pinned = range.and_then(|range| view.catalog.resolve_protocol(&range));
                pinned.map(|pinned| pinned.to_protocol_uri())
            }
            _ => None,
        };
        expanded.set(name, known.as_deref().unwrap_or(value))?;
    }
    Ok(expanded)
}

fn filled(mut attributes: Attributes, envelope: &Envelope, caller: &Caller) -> Result<Attributes, Failure> {
    let kind = kind(&attributes);
    let payload = &envelope.payload;
    let is_json = !payload.is_empty() && json::parse_strict(payload).is_ok();
    let missing = [
        ("specversion", Some("1.0".to_owned())),
        ("id", Some(new_id()?)),
        ("source", Some(caller.agent.to_string())),
        ("time", Some(now().to_string())),
        ("type", Some(kind)),
        ("performative", Some(PERFORMATIVE.to_owned())),
        ("datacontenttype", is_json.then(|| "application/json".to_owned())),
    ];
    for (name, value) in missing {
        if let Some(value) = value.filter(|_| attributes.get(name).is_none()) {
            attributes.set(name, &value).map_err(Rejection::from)?;
        }
    }
    Ok(attributes)
}

fn kind(attributes: &Attributes) -> String {
    let schema = attributes.get("dataschema").map(openmesh_message::PinnedName::parse_schema_uri);
    match schema {
        Some(Ok(pinned)) => pinned.versioned.type_name(),
        _ => UNTYPED.to_owned(),
    }
}

/// An id that no other message has.
pub(crate) fn new_id() -> Result<String, Failure> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|_| Rejection::Busy)?;
    Ok(Digest::of(&bits).to_string())
}
