//! Every operation, by resource.

mod agents;
mod conversations;
mod definitions;
mod inbox;
mod log;
mod messages;
mod node;
mod socket;
mod streams;
mod tokens;
mod topics;

use super::operation::Operation;
use openmesh_message::frame::Reply;
use serde_json::Value;

/// All operations, in the order of the document.
pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = Vec::new();
    operations.extend(messages::operations());
    operations.extend(inbox::operations());
    operations.extend(topics::operations());
    operations.extend(agents::operations());
    operations.extend(tokens::operations());
    operations.extend(definitions::operations());
    operations.extend(conversations::operations());
    operations.extend(log::operations());
    operations.extend(streams::operations());
    operations.extend(node::operations());
    operations.extend(socket::operations());
    operations
}

/// Rows of a listing, which the core writes as JSON texts.
fn rows(reply: Reply) -> Vec<Value> {
    match reply {
        Reply::Rows(rows) => rows.iter().filter_map(|row| serde_json::from_str(row).ok()).collect(),
        _ => Vec::new(),
    }
}

/// The one row of a look-up.
fn row(reply: Reply) -> Value {
    rows(reply).into_iter().next().unwrap_or(Value::Null)
}
