//! What the node itself says on a socket, as CloudEvents: how sends ended, and what was missed.

use crate::http::door::new_id;
use crate::http::problem::Failure;
use crate::http::resources::messages::outcome_json;
use openmesh_adapter::now;
use openmesh_message::DomainId;
use openmesh_message::frame::SendOutcome;
use serde_json::{Value, json};

/// How a send ended.
const OUTCOME: &str = "mesh/outcome.v1";
/// Messages that were missed.
const GAP: &str = "mesh/gap.v1";
/// A record of the log.
const RECORD: &str = "mesh/record.v1";

/// Tells how the message of this id ended.
pub(super) fn outcome(domain: DomainId, id: Option<&str>, outcome: Result<SendOutcome, Failure>) -> Value {
    let mut event = event(domain, OUTCOME, &outcome_json(id, outcome));
    if let (Some(id), Some(event)) = (id.filter(|id| !id.is_empty()), event.as_object_mut()) {
        event.insert("inreplyto".to_owned(), json!(id));
    }
    event
}

/// Tells what a subscription missed.
pub(crate) fn gap(domain: DomainId, pattern: Option<&str>, first: u64, last: u64) -> Value {
    event(domain, GAP, &json!({"pattern": pattern, "first": first, "last": last}))
}

/// Tells of a record of the log.
pub(super) fn record(domain: DomainId, record: &Value) -> Value {
    event(domain, RECORD, record)
}

fn event(domain: DomainId, kind: &str, data: &Value) -> Value {
    json!({
        "specversion": "1.0",
        // Without randomness the time and type still tell events apart.
        "id": new_id().unwrap_or_else(|_| format!("{kind}-{}", now().millis())),
        "source": format!("mesh://{domain}"),
        "type": kind,
        "time": now().to_string(),
        "datacontenttype": "application/json",
        "data": data,
    })
}
