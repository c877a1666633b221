//! `GET /v1/topics/{topic}/messages`: a live subscription as a stream of server-sent events.

use super::sse::{EVENT_STREAM, Source, Told, respond};
use crate::http::door::Line;
use crate::http::operation::{Access, Answer, Call, Operation, TIME, TOPIC_PATTERN};
use crate::http::shape::{NUMBER_MAX, Shape, formed};
use axum::http::Method;
use openmesh_message::cloudevents::to_value;
use openmesh_message::frame::{Command, Delivery, Start};
use openmesh_message::limits::TOPIC_BYTES_MAX;
use openmesh_message::{Scope, Timestamp};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

const SUBSCRIPTION: u64 = 1;
/// Events written at once.
const AT_ONCE: usize = 64;
const ABOUT: &str = "Each event's data is a CloudEvent in structured mode. A message of a kept topic has its number in \
the log as `id`: with `Last-Event-ID` a stream goes on after it. What a slow reader missed is told as `event: gap`.";

pub(super) fn operation() -> Operation {
    Operation::new(Method::GET, "/v1/topics/{topic}/messages", "streamTopic", |call| Box::pin(run(call)))
        .about("topics", "Subscribes to topics", ABOUT)
        .access(Access::Scope(Scope::Read))
        .in_path("topic", formed(TOPIC_BYTES_MAX, TOPIC_PATTERN), "A topic or pattern; its slashes as `%2F`.")
        .example("market/*")
        .in_query("since", formed(40, TIME), "Begin with what kept topics have from then on.")
        .in_header("Last-Event-ID", Shape::Integer(0, NUMBER_MAX), "Go on after this event.")
        .answers_media(200, "The stream", EVENT_STREAM, Shape::Json)
        .problems(&[404])
}

async fn run(call: Call) -> Answer {
    let start = match (call.number("Last-Event-ID"), call.parse::<Timestamp>("since")?) {
        (Some(last), _) => Start::At(last.saturating_add(1)),
        (None, Some(since)) => Start::Since(since),
        (None, None) => Start::Next,
    };
    let pattern = format!("topic:{}", call.path("topic"));
    let (line, deliveries) = Line::open_stream(call.caller.agent, false, &call.door.mesh).await?;
    line.ask(Command::Subscribe { subscription: SUBSCRIPTION, pattern, start }).await?;
    let Call { door, caller, .. } = call;
    Ok(respond(door, caller, Subscribed { _line: line, deliveries }))
}

/// A subscription; its line is closed when the stream is dropped.
struct Subscribed {
    _line: Arc<Line>,
    deliveries: Receiver<Delivery>,
}

impl Source for Subscribed {
    async fn next(&mut self) -> Option<Vec<Told>> {
        let mut taken = Vec::new();
        // Nothing is lost when this is dropped while it waits.
        if self.deliveries.recv_many(&mut taken, AT_ONCE).await == 0 {
            return None;
        }
        Some(taken.iter().map(tell).collect())
    }
}

fn tell(delivery: &Delivery) -> Told {
    match delivery {
        Delivery::Message { envelope, .. } => {
            let id = envelope.transit.position.map(|position| position.seq);
            Told { event: None, id, data: to_value(envelope) }
        }
        Delivery::Gap { first, last, .. } => {
            Told { event: Some("gap"), id: None, data: json!({"first": first, "last": last}) }
        }
    }
}
