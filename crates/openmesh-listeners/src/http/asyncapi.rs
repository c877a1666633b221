//! The AsyncAPI 3 document of the socket.

use serde_json::{Value, json};

/// The document.
pub(crate) fn document() -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "OpenMesh socket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Messages over a WebSocket; see spec/websocket.md.",
            "license": {"name": "Apache-2.0"},
        },
    })
}
