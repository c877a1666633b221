//! Requests and what comes of them: of two replies at once the second is refused, and so is one after the deadline.

use super::LOOK_EVERY;
use crate::faults::load::{Load, RESPONDER};
use openmesh_message::Timestamp;
use openmesh_sdk::{Envelope, Item, Mesh, Performative, Sent, Subscription, now};
use openmesh_simulator::history::{Event, Outcome};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Every other request is over so soon; its reply comes as much later.
const SHORT_MS: i64 = 40;
/// No reply takes so long, however slow the machine is.
const LONG_MS: i64 = 600_000;

/// Asks one thing after another; a reply that comes late is seen while the next is waited for.
pub(super) async fn ask(mesh: &Mesh, load: &Load) {
    let Ok(mut incoming) = mesh.incoming() else { return };
    for count in 0_u64.. {
        if !load.goes_on_after_rest().await {
            return;
        }
        // What is late by a clock that jumps nobody can say.
        let is_long = count % 2 == 0 || load.explained.starts_with("time");
        let deadline = now().plus_ms(if is_long { LONG_MS } else { SHORT_MS });
        let draft = mesh.draft(&format!("agent:{RESPONDER}"), &Performative::Request).unwrap();
        let request = mesh.sign(draft.json("{}").reply_by(deadline)).unwrap();
        let (requester, id) = (mesh.id().to_string(), attribute(&request, "id"));
        load.witness.note(&Event::Asked { requester, id, deadline_ms: deadline.millis() });
        match mesh.send(request).await {
            Ok(Sent::Passed) => {}
            // The responder is not there yet.
            Ok(Sent::Rejected(_)) => sleep(LOOK_EVERY).await,
            _ => return,
        }
        if !take_replies(mesh, load, &mut incoming, is_long).await {
            return;
        }
    }
}

/// Takes what comes in a while, until a reply where one is to come; whether the connection still stands.
async fn take_replies(mesh: &Mesh, load: &Load, incoming: &mut Subscription, is_awaited: bool) -> bool {
    let wait = if is_awaited { LOOK_EVERY } else { Duration::from_millis(1) };
    loop {
        let Ok(item) = timeout(wait, incoming.next()).await else { return true };
        let Some(item) = item else { return false };
        let Item::Message { envelope, .. } = item else { continue };
        load.witness.note(&Event::Answered {
            requester: mesh.id().to_string(),
            request: attribute(&envelope, "inreplyto"),
            responder: attribute(&envelope, "source"),
            is_final: true,
            at_ms: now().millis(),
        });
        if is_awaited {
            return true;
        }
    }
}

/// Replies twice at once, or once when it is too late.
pub(super) async fn respond(mesh: &Mesh, load: &Load) {
    let Ok(mut incoming) = mesh.incoming() else { return };
    while load.goes_on() {
        let Ok(item) = timeout(LOOK_EVERY, incoming.next()).await else { continue };
        let Some(item) = item else { return };
        let Item::Message { envelope: request, .. } = item else { continue };
        let deadline: Timestamp = request.attributes.get("replyby").unwrap().parse().unwrap();
        let left_ms = deadline.since_ms(now());
        let replies = if left_ms > SHORT_MS { 2 } else { 1 };
        if replies == 1 {
            let late = (left_ms + SHORT_MS).max(0).unsigned_abs();
            sleep(Duration::from_millis(late)).await;
        }
        for _ in 0..replies {
            if !reply(mesh, load, &request).await {
                return;
            }
        }
    }
}

/// Gives one final reply; whether the node said what came of it.
async fn reply(mesh: &Mesh, load: &Load, request: &Envelope) -> bool {
    let sent = mesh.reply(request, &Performative::Inform, "done").await;
    let outcome = match sent {
        Ok(Sent::Passed | Sent::Accepted(_)) => Outcome::Done,
        Ok(Sent::Rejected(_)) => Outcome::Refused,
        Ok(Sent::Unknown) | Err(_) => Outcome::Unknown,
    };
    let (responder, request) = (mesh.id().to_string(), attribute(request, "id"));
    load.witness.note(&Event::Replied { responder, request, is_final: true, outcome });
    outcome != Outcome::Unknown
}

fn attribute(envelope: &Envelope, name: &str) -> String {
    envelope.attributes.get(name).unwrap_or_default().to_owned()
}
