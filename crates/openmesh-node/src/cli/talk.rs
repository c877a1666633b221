//! Talking: publish, subscribe, request, reply, send, stream; and what they share: payloads, and messages as lines.

mod payload;
pub(crate) mod publish;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod send;
mod shown;
pub(crate) mod stream;
pub(crate) mod subscribe;

pub(crate) use payload::{Payload, read_bytes};
pub(crate) use shown::{message_line, message_row, payload_text};

use super::exit_code::Exit;
use super::failure::Failure;
use super::output::Format;
use anyhow::Result;
use openmesh_sdk::{Sent, SignedReceipt};
use serde_json::{Value, json};

/// A topic or pattern as an address: people may leave out `topic:`.
fn topic_address(text: &str) -> String {
    if text.contains(':') { text.to_owned() } else { format!("topic:{text}") }
}

/// An addressee: people may leave out `agent:`.
fn agent_address(text: &str) -> String {
    if text.contains(':') { text.to_owned() } else { format!("agent:{text}") }
}

/// Prints how a send ended; `extra` is added to the row.
fn report_sent(format: Format, sent: Sent, id: &str, extra: &Value) -> Result<()> {
    let (line, mut row) = match sent {
        Sent::Accepted(signed) => (receipt_line(&signed), receipt_row(&signed)),
        Sent::Passed => ("sent; an ephemeral topic keeps nothing".to_owned(), json!({"outcome": "passed"})),
        Sent::Rejected(problem) => return Err(problem.into()),
        Sent::Unknown => return Err(unknown()),
    };
    if let (Value::Object(row), Value::Object(extra)) = (&mut row, extra) {
        row.insert("id".to_owned(), json!(id));
        row.extend(extra.clone());
    }
    format.outcome(&line, &row)
}

fn unknown() -> anyhow::Error {
    let next = "look with `openmesh log query --id ID`, and send again only if it is not there";
    Failure::new(Exit::Unknown, "whether the message was taken in is not known").next(next).into()
}

fn receipt_line(signed: &SignedReceipt) -> String {
    let receipt = &signed.receipt;
    let position = receipt.position.map(|position| format!(" at {position}")).unwrap_or_default();
    let again = if receipt.duplicate { " (had been accepted before)" } else { "" };
    format!("accepted{position}{again}: {}", receipt.digest)
}

fn receipt_row(signed: &SignedReceipt) -> Value {
    let receipt = &signed.receipt;
    json!({
        "outcome": "accepted",
        "digest": receipt.digest,
        "level": receipt.level,
        "position": receipt.position.map(|position| position.to_string()),
        "seq": receipt.position.map(|position| position.seq),
        "logs": receipt.logs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "duplicate": receipt.duplicate,
        "policy_version": receipt.policy_version,
        "at": receipt.at.to_string(),
        "node": signed.proof.node,
    })
}
