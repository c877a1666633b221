//! `GET /v1/socket`: the mesh over a WebSocket, as native frames or as CloudEvents.

mod bytes;
mod events;
mod told;

use crate::accept::Peer;
use crate::http::caller::Credential;
use crate::http::operation::{Access, Answer, Call, Operation};
use crate::http::problem::Failure;
use crate::http::resources::log::with_filter;
use crate::http::shape::{NUMBER_MAX, Shape, text};
use crate::native;
use axum::extract::FromRequestParts;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::Method;
use openmesh_core::{Bound, Rejection};
use openmesh_message::limits::FRAME_BYTES_MAX;
use openmesh_message::{Problem, Scope, TopicPattern};
use std::sync::Arc;

/// Native frames in binary messages.
const NATIVE: &str = "openmesh.native.v1";
/// Events in text messages (CloudEvents WebSockets binding 1.0.2).
const CLOUDEVENTS: &str = "cloudevents.json";
/// Largest message: a frame, or an event with what JSON adds to it.
const MESSAGE_BYTES_MAX: usize = FRAME_BYTES_MAX + FRAME_BYTES_MAX / 2;
/// Patterns that one socket subscribes to.
const SUBSCRIPTIONS_MAX: usize = 64;

pub(super) fn operations() -> Vec<Operation> {
    let operation = Operation::new(Method::GET, "/v1/socket", "openSocket", |call| Box::pin(run(call)))
        .about("socket", "Opens a WebSocket", "See /asyncapi.json.")
        .access(Access::Anyone)
        .in_query("subscribe", text(8_192), "Topic patterns, joined by commas.")
        .in_query("receive", Shape::Boolean, "Whether messages to the agent's own address are handed over.")
        .in_query("tail", Shape::Boolean, "Whether the log is followed, as the parameters below filter it.")
        .in_query("after", Shape::Integer(0, NUMBER_MAX), "With `tail`: go on after this record.")
        .on_socket();
    vec![with_filter(operation)]
}

async fn run(mut call: Call) -> Answer {
    let parts = call.parts.take();
    let mut parts = parts.ok_or_else(|| Failure::argument("Upgrade", "this is a WebSocket"))?;
    let peer = parts.extensions.get::<Peer>().cloned();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    let upgrade = upgrade.map_err(|error| Failure::argument("Upgrade", error.body_text()))?;
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .protocols([NATIVE, CLOUDEVENTS]);
    let chosen = upgrade.selected_protocol().and_then(|name| name.to_str().ok()).map(str::to_owned);
    match (chosen.as_deref(), peer) {
        (Some(NATIVE), Some(peer)) => {
            let (identity, mesh) = (Arc::clone(&call.door.native), call.door.mesh.clone());
            Ok(upgrade.on_upgrade(move |socket: WebSocket| async move {
                native::speak(bytes::Bytes::over(socket), &peer.binding, &identity, mesh).await;
            }))
        }
        (Some(CLOUDEVENTS), _) => {
            let asked = check(&call)?;
            let session = events::Session::open(call, asked).await?;
            Ok(upgrade.on_upgrade(move |socket| session.serve(socket)))
        }
        _ => {
            let why = format!("name one of the subprotocols {NATIVE} and {CLOUDEVENTS}");
            Err(Failure::argument("Sec-WebSocket-Protocol", why))
        }
    }
}

/// Whoever speaks CloudEvents says by a token who it is; natively the handshake does.
fn check(call: &Call) -> Result<events::Asked, Failure> {
    let Credential::Token { scopes, .. } = &call.caller.credential else {
        let problem = Problem::new("token.missing", "CloudEvents over a WebSocket need an agent's token");
        return Err(problem.into());
    };
    let patterns = call.text("subscribe").into_iter().flat_map(|list| list.split(','));
    let patterns: Result<Vec<TopicPattern>, _> = patterns.map(str::parse).collect();
    let patterns = patterns.map_err(|error| Failure::argument("subscribe", error.to_string()))?;
    let receives = call.text("receive").is_none() && scopes.has(Scope::Read) || call.is("receive");
    let tails = call.is("tail");
    if (receives || tails || !patterns.is_empty()) && !scopes.has(Scope::Read) {
        return Err(Rejection::OutOfScope(Scope::Read).into());
    }
    if patterns.len() > SUBSCRIPTIONS_MAX {
        return Err(Rejection::TooManySubscriptions(Bound::Socket(SUBSCRIPTIONS_MAX)).into());
    }
    Ok(events::Asked { patterns, receives, tails })
}
