//! The AsyncAPI 3 document of the socket (see `resources/socket.rs`).

use serde_json::{Value, json};

/// The document.
pub(crate) fn document() -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "OpenMesh socket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Messages of the mesh over a WebSocket; spec/websocket.md says exactly what holds.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "servers": {"node": {
            "host": "127.0.0.1:7448", "protocol": "ws",
            "security": [{"$ref": "#/components/securitySchemes/token"}],
        }},
        "channels": {"socket": {
            "address": "/v1/socket",
            "title": "CloudEvents in text messages, subprotocol `cloudevents.json`",
            "messages": {
                "message": {"$ref": "#/components/messages/message"},
                "outcome": {"$ref": "#/components/messages/outcome"},
                "gap": {"$ref": "#/components/messages/gap"},
                "record": {"$ref": "#/components/messages/record"},
            },
            "bindings": {"ws": {"method": "GET", "query": query(), "bindingVersion": "0.1.0"}},
        }},
        "operations": {
            "send": operation("receive", "Takes a message of the caller's", &["message"]),
            "deliver": operation("send", "Hands over messages, outcomes, gaps and records", &["message", "outcome", "gap", "record"]),
        },
        "components": {
            "messages": messages(),
            "securitySchemes": {"token": {
                "type": "http", "scheme": "bearer", "description": "An agent's token, in the upgrade request.",
            }},
        },
    })
}

fn query() -> Value {
    json!({"type": "object", "properties": {
        "subscribe": {"type": "string", "description": "topic patterns joined by commas"},
        "receive": {"type": "boolean", "description": "whether messages to the agent's own address are handed over"},
        "tail": {"type": "boolean", "description": "whether the log is followed; the filters of /v1/tail may follow"},
        "after": {"type": "integer", "description": "with `tail`: go on after this record"},
    }})
}

fn operation(action: &str, summary: &str, messages: &[&str]) -> Value {
    let messages: Vec<_> =
        messages.iter().map(|name| json!({"$ref": format!("#/channels/socket/messages/{name}")})).collect();
    json!({
        "action": action, "summary": summary, "channel": {"$ref": "#/channels/socket"}, "messages": messages,
    })
}

fn messages() -> Value {
    let event = |kind: Option<&str>, required: &[&str], data: Value| {
        let kind =
            kind.map_or_else(|| json!({"type": "string"}), |kind| json!({"type": "string", "const": kind}));
        json!({
            "type": "object",
            "required": required,
            "properties": {
                "specversion": {"type": "string"}, "id": {"type": "string"}, "source": {"type": "string"},
                "type": kind, "time": {"type": "string", "format": "date-time"}, "inreplyto": {"type": "string"},
                "to": {"type": "string"}, "performative": {"type": "string"}, "proof": {"type": "string"},
                "data": data,
            },
        })
    };
    let context = ["specversion", "id", "source", "type", "data"];
    let outcome = json!({"type": "object", "required": ["status", "outcome", "id"], "properties": {
        "status": {"type": "integer"},
        "outcome": {"type": "string", "enum": ["accepted", "passed", "rejected", "unknown"]},
        "id": {"type": ["string", "null"]}, "receipt": {"type": "object"}, "problem": {"type": "object"},
    }});
    let gap = json!({"type": "object", "required": ["first", "last"], "properties": {
        "pattern": {"type": ["string", "null"]}, "first": {"type": "integer"}, "last": {"type": "integer"},
    }});
    let record = json!({"type": "object", "required": ["seq", "kind"], "properties": {
        "seq": {"type": "integer"}, "kind": {"type": "string"},
    }});
    let message = |title: &str, payload: Value| json!({"title": title, "contentType": "application/cloudevents+json", "payload": payload});
    json!({
        "message": message("A message", event(None, &["to"], json!({}))),
        "outcome": message("How a message ended", event(Some("mesh/outcome.v1"), &context, outcome)),
        "gap": message("Messages that were missed", event(Some("mesh/gap.v1"), &context, gap)),
        "record": message("A record of the log", event(Some("mesh/record.v1"), &context, record)),
    })
}
