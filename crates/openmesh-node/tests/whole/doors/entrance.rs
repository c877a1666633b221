//! The doors of a node, each offering one message and telling what came of it.

use super::http::{Request, Response};
use super::socket::{EventSocket, NativeSocket};
use crate::node::Node;
use crate::raw_agent::RawAgent;
use openmesh_message::cloudevents::{BATCH_JSON, STRUCTURED_JSON, to_batch, to_headers, to_json};
use openmesh_message::frame::SendOutcome;
use openmesh_message::{Envelope, KeyPair};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Native,
    NativeOverWebSocket,
    EventsOverWebSocket,
    HttpStructured,
    HttpBinary,
    HttpBatch,
}

/// What came of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Accepted, and the receipt names this digest.
    Accepted(String),
    /// Handed over without a receipt.
    Passed,
    /// Refused with this code.
    Rejected(String),
    /// Anything else.
    Other(String),
}

/// An open door.
pub(super) enum Entrance {
    Native(Box<RawAgent>),
    NativeSocket(Box<NativeSocket>),
    EventSocket(Box<EventSocket>),
    Http { door: Door, address: SocketAddr, token: String },
}

impl Door {
    pub(super) const ALL: [Self; 6] = [
        Self::Native,
        Self::NativeOverWebSocket,
        Self::EventsOverWebSocket,
        Self::HttpStructured,
        Self::HttpBinary,
        Self::HttpBatch,
    ];
}

impl Entrance {
    pub(super) async fn open(door: Door, node: &Node, key: &Arc<KeyPair>, token: &str) -> Self {
        let http = node.http();
        match door {
            Door::Native => Self::Native(Box::new(RawAgent::connect_as(node, Arc::clone(key)).await)),
            Door::NativeOverWebSocket => {
                Self::NativeSocket(Box::new(NativeSocket::open(http, node.endpoint.domain, key).await))
            }
            Door::EventsOverWebSocket => Self::EventSocket(Box::new(EventSocket::open(http, token).await)),
            Door::HttpStructured | Door::HttpBinary | Door::HttpBatch => {
                Self::Http { door, address: http, token: token.to_owned() }
            }
        }
    }

    pub(super) async fn offer(&mut self, envelope: &Envelope) -> Verdict {
        match self {
            Self::Native(agent) => match agent.send(envelope.clone()).await {
                Ok(outcome) => of_outcome(outcome),
                Err(problem) => Verdict::Other(problem.code),
            },
            Self::NativeSocket(socket) => of_outcome(socket.send(envelope.clone()).await),
            Self::EventSocket(socket) => of_json(&socket.send(to_json(envelope)).await),
            Self::Http { door, address, token } => {
                let request = Request::new("POST", "/v1/messages").token(token);
                of_response(*door, &in_mode(*door, request, envelope).send(*address).await)
            }
        }
    }
}

fn in_mode(door: Door, request: Request, envelope: &Envelope) -> Request {
    match door {
        Door::HttpBinary => {
            let headers = to_headers(envelope);
            let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
            request.body(envelope.payload.to_vec())
        }
        Door::HttpBatch => request.header("content-type", BATCH_JSON).body(to_batch([envelope])),
        _ => request.header("content-type", STRUCTURED_JSON).body(to_json(envelope)),
    }
}

fn of_outcome(outcome: SendOutcome) -> Verdict {
    match outcome {
        SendOutcome::Accepted(receipt) => Verdict::Accepted(receipt.receipt.digest.to_string()),
        SendOutcome::Passed => Verdict::Passed,
        SendOutcome::Rejected(problem) => Verdict::Rejected(problem.code),
        SendOutcome::Unknown => Verdict::Other("unknown".to_owned()),
    }
}

fn of_response(door: Door, response: &Response) -> Verdict {
    let json = response.json();
    match (response.status, door) {
        (200, Door::HttpBatch) => of_json(&json["outcomes"][0]),
        (201 | 202, _) => of_json(&json),
        (400.., _) => Verdict::Rejected(response.code()),
        _ => Verdict::Other(format!("{} {json}", response.status)),
    }
}

fn of_json(outcome: &Value) -> Verdict {
    let text = |pointer: &str| {
        let found = outcome.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    match text("/outcome").as_str() {
        "accepted" => Verdict::Accepted(text("/receipt/digest")),
        "passed" => Verdict::Passed,
        "rejected" => Verdict::Rejected(text("/problem/code")),
        _ => Verdict::Other(outcome.to_string()),
    }
}
