//! Completing a message that somebody wrote by hand: what every message has, and addresses as people write them.
//!
//! Done before signing, by whoever signs. What cannot be read stays as it is, for admission to refuse.

use super::UNTYPED;
use crate::{Address, AgentId, AttributeError, Attributes, DomainId, Envelope, PinnedName, Timestamp, json};

/// What a message gets where it leaves something out.
#[derive(Clone, Debug)]
pub struct Defaults<'a> {
    /// The domain that relative addresses are in.
    pub domain: DomainId,
    /// The sender.
    pub source: AgentId,
    /// An id that no other message of the sender has.
    pub id: &'a str,
    /// The time.
    pub time: Timestamp,
}

impl Defaults<'_> {
    /// Fills in what is missing and makes addresses absolute.
    pub fn complete(&self, envelope: &mut Envelope) -> Result<(), AttributeError> {
        let mut attributes = self.expanded(&envelope.attributes)?;
        let payload = &envelope.payload;
        let is_json = !payload.is_empty() && json::parse_strict(payload).is_ok();
        let missing = [
            ("specversion", Some("1.0".to_owned())),
            ("id", Some(self.id.to_owned())),
            ("source", Some(self.source.to_string())),
            ("time", Some(self.time.to_string())),
            ("type", Some(kind(&attributes))),
            ("performative", Some("inform".to_owned())),
            ("datacontenttype", is_json.then(|| "application/json".to_owned())),
        ];
        for (name, value) in missing {
            if let Some(value) = value.filter(|_| attributes.get(name).is_none()) {
                attributes.set(name, &value)?;
            }
        }
        envelope.attributes = attributes;
        Ok(())
    }

    fn expanded(&self, attributes: &Attributes) -> Result<Attributes, AttributeError> {
        let mut expanded = Attributes::default();
        for (name, value) in attributes.iter() {
            let absolute = match name {
                "to" | "replyto" => Address::expand(value, self.domain).ok(),
                _ => None,
            };
            expanded.set(name, &absolute.map_or_else(|| value.to_owned(), |address| address.to_string()))?;
        }
        Ok(expanded)
    }
}

/// The `type` that goes with the schema.
fn kind(attributes: &Attributes) -> String {
    match attributes.get("dataschema").map(PinnedName::parse_schema_uri) {
        Some(Ok(pinned)) => pinned.versioned.type_name(),
        _ => UNTYPED.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Defaults;
    use crate::{ControlAttributes, DomainId, KeyPair, Timestamp, cloudevents};

    fn defaults() -> Defaults<'static> {
        let source = KeyPair::from_seed(&[1; 32]).unwrap().id();
        let domain = DomainId::from_bytes([1; 32]);
        Defaults { domain, source, id: "given", time: Timestamp::from_millis(0) }
    }

    #[test]
    fn what_is_missing_is_filled_in_and_what_is_there_stays() {
        let mut envelope = cloudevents::from_json(br#"{"to":"agent:bob","data":{"tea":"Assam"}}"#).unwrap();
        defaults().complete(&mut envelope).unwrap();
        let control = ControlAttributes::parse(&envelope.attributes).unwrap();
        assert_eq!((&*control.id, control.kind.as_str()), ("given", "mesh/untyped.v1"));
        assert_eq!(control.content_type.as_deref(), Some("application/json"));
        let before = envelope.clone();
        Defaults { id: "another", time: Timestamp::from_millis(9), ..defaults() }
            .complete(&mut envelope)
            .unwrap();
        assert_eq!(envelope, before);
    }

    #[test]
    fn a_schema_brings_its_type_and_what_is_no_address_stays() {
        let schema = format!("mesh-schema:openmesh/market/rfp@v1.0.0?sha256={}", crate::Digest::ZERO);
        let event = serde_json::json!({"to": "no address", "dataschema": schema}).to_string();
        let mut envelope = cloudevents::from_json(event.as_bytes()).unwrap();
        defaults().complete(&mut envelope).unwrap();
        assert_eq!(envelope.attributes.get("type"), Some("market/rfp.v1"));
        assert_eq!(envelope.attributes.get("to"), Some("no address"));
    }
}
