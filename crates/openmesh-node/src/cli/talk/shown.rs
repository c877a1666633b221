//! Messages as people and programs read them: one line, or one JSON object.

use crate::cli::context::Names;
use crate::cli::output::cut;
use openmesh_core::record::message_json;
use openmesh_sdk::Envelope;
use serde_json::{Value, json};

/// Characters of a payload that a line shows.
const PAYLOAD_CHARS_MAX: usize = 200;

/// A message on one line: when, from whom, where to, what.
pub(crate) fn message_line(envelope: &Envelope, names: &Names) -> String {
    let attribute = |name: &str| envelope.attributes.get(name).unwrap_or_default();
    let time = attribute("time");
    let clock = time.get(11..19).unwrap_or(time);
    let to = short_address(attribute("to"));
    let payload = cut(&payload_text(envelope), PAYLOAD_CHARS_MAX);
    let line = format!(
        "{clock}  {}  {}  {to}  {payload}",
        names.show(attribute("source")),
        attribute("performative")
    );
    line.trim_end().to_owned()
}

/// A message as a JSON object, with what the transport adds.
pub(crate) fn message_row(envelope: &Envelope, extra: &Value) -> Value {
    let mut row = message_json(envelope);
    if let Value::Object(row) = &mut row {
        let transit = &envelope.transit;
        row.insert("position".to_owned(), json!(transit.position.map(|position| position.to_string())));
        row.insert("seq".to_owned(), json!(transit.position.map(|position| position.seq)));
        if let Value::Object(extra) = extra {
            row.extend(extra.clone());
        }
    }
    row
}

/// A payload as text.
pub(crate) fn payload_text(envelope: &Envelope) -> String {
    String::from_utf8_lossy(&envelope.payload).into_owned()
}

/// `mesh://<domain>/topic/a/b` as people write it: `topic:a/b`.
fn short_address(address: &str) -> String {
    let path = address.strip_prefix("mesh://").and_then(|rest| rest.split_once('/'));
    match path.and_then(|(_, path)| path.split_once('/')) {
        Some((kind, rest)) => format!("{kind}:{rest}"),
        None => address.to_owned(),
    }
}
