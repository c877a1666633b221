//! A schema, a protocol and a conversation for messages that go the whole way.

use super::Line;
use crate::generate::prepared::Checked;
use anyhow::{Context, Error, Result, bail};
use openmesh_message::PinnedName;
use openmesh_message::frame::{Command, Reply};

const SCHEMA: &str = "bench/report@v1.0.0";
const SCHEMA_TEXT: &str = r#"{
  "type": "object",
  "required": ["note", "reading", "station", "unit"],
  "properties": {
    "note": {"type": "string", "maxLength": 100000},
    "reading": {"type": "number", "minimum": -100, "maximum": 100},
    "station": {"type": "string", "pattern": "^[a-z]+-[0-9]+$"},
    "unit": {"enum": ["C", "K"]}
  },
  "additionalProperties": false
}"#;
/// One writer, who reports until it says that it is over.
const PROTOCOL_TEXT: &str = "
protocol: bench/reports@v1.0.0
roles:
  writer: {count: 1, binds: initiator}
machines:
  round:
    initial: idle
    finals: {ended: success}
    states:
      idle:
        moves:
          - {performative: inform, schema: bench/report@v1.0.0, from: writer, next: writing}
      writing:
        moves:
          - {performative: inform, schema: bench/report@v1.0.0, from: writer, next: writing}
          - {performative: cancel, from: writer, next: ended}
";

/// Publishes schema and protocol, and names a conversation that nobody had.
pub(super) fn publish(line: &mut Line) -> Result<Checked> {
    let schema = Command::PublishSchema { name: SCHEMA.to_owned(), definition: SCHEMA_TEXT.to_owned() };
    let schema = published(line, schema)?;
    let protocol = published(line, Command::PublishProtocol { definition: PROTOCOL_TEXT.to_owned() })?;
    let mut drawn = [0; 8];
    getrandom::fill(&mut drawn)?;
    let drawn = u64::from_le_bytes(drawn) >> 16;
    let conversation = format!("0190c9a0-0000-7000-8000-{drawn:012x}").parse().map_err(Error::msg)?;
    Ok(Checked { schema, protocol, conversation })
}

fn published(line: &mut Line, command: Command) -> Result<PinnedName> {
    match line.command(command)? {
        Reply::Definition { name, .. } => Ok(name.parse()?),
        other => bail!("a definition was answered with {other:?}"),
    }
}

/// A report of so many bytes, as RFC 8785 writes it.
pub(super) fn payload(bytes: usize) -> Result<Vec<u8>> {
    let report =
        |note: &str| format!(r#"{{"note":"{note}","reading":21.5,"station":"harbour-7","unit":"C"}}"#);
    let room = bytes.checked_sub(report("").len()).context("a report does not fit so few bytes")?;
    Ok(report(&"x".repeat(room)).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::{SCHEMA_TEXT, payload};

    #[test]
    fn a_report_has_the_size_that_is_asked_for_and_what_its_schema_wants() {
        let report = payload(512).unwrap();
        assert_eq!(report.len(), 512);
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        let schema: serde_json::Value = serde_json::from_str(SCHEMA_TEXT).unwrap();
        let wanted = schema["required"].as_array().unwrap();
        assert!(wanted.iter().all(|name| report.get(name.as_str().unwrap()).is_some()));
        assert!(payload(10).is_err());
    }
}
