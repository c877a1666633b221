//! A socket that speaks CloudEvents in text: messages in, deliveries and outcomes out.

use super::told;
use crate::http::caller::Caller;
use crate::http::door::{Door, Line, Sent};
use crate::http::operation::Call;
use crate::http::problem::Failure;
use crate::http::resources::log::Follow;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::{FuturesUnordered, StreamExt};
use openmesh_core::Rejection;
use openmesh_message::cloudevents::{from_json, to_value};
use openmesh_message::frame::{Command, Delivery, SendOutcome, Start};
use openmesh_message::{DomainId, Scope, TopicPattern};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Sends of one socket that may be unanswered; until there are fewer nothing more is read.
const IN_FLIGHT_MAX: usize = 256;
/// Records of the log that wait to be read.
const RECORDS_MAX: usize = 64;
/// How often a quiet socket is pinged, and its token looked at again.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long the other side may take to read what it is sent.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);
/// A close code of an application's own (RFC 6455 §7.4.2): the token is worth nothing any more.
const CLOSE_TOKEN: u16 = 4_401;

/// What a caller asked to be handed.
pub(super) struct Asked {
    pub(super) patterns: Vec<TopicPattern>,
    pub(super) receives: bool,
    /// Whether the log is followed, with the filter of the call.
    pub(super) tails: bool,
}

/// One open socket.
pub(super) struct Session {
    door: Arc<Door>,
    caller: Caller,
    domain: DomainId,
    patterns: Vec<TopicPattern>,
    line: Arc<Line>,
    deliveries: Receiver<Delivery>,
    /// Records of the log; never any where it is not followed.
    records: Receiver<Value>,
}

type Outcome = (Option<String>, Result<SendOutcome, Failure>);
type Sending = FuturesUnordered<Pin<Box<dyn Future<Output = Outcome> + Send + Sync>>>;

impl Session {
    /// Opens a line for the socket and subscribes.
    pub(super) async fn open(call: Call, asked: Asked) -> Result<Self, Failure> {
        let domain = call.door.mesh.view().domain;
        let (line, deliveries) =
            Line::open_stream(call.caller.agent, asked.receives, &call.door.mesh).await?;
        for (pattern, subscription) in asked.patterns.iter().zip(1..) {
            let pattern = format!("topic:{pattern}");
            line.ask(Command::Subscribe { subscription, pattern, start: Start::Next }).await?;
        }
        let (told, records) = channel(RECORDS_MAX);
        if asked.tails {
            let follow = Follow::open(&call, call.number("after")).await?;
            tokio::spawn(pass_on(follow, told));
        }
        let Call { door, caller, .. } = call;
        Ok(Self { door, caller, domain, patterns: asked.patterns, line, deliveries, records })
    }

    /// Serves the socket until either side ends it.
    pub(super) async fn serve(mut self, mut socket: WebSocket) {
        let mut sending = Sending::new();
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let reads = sending.len() < IN_FLIGHT_MAX;
            let told = tokio::select! {
                delivery = self.deliveries.recv() => match delivery {
                    Some(delivery) => text(&self.delivered(&delivery)),
                    None => return,
                },
                Some(record) = self.records.recv() => text(&told::record(self.domain, &record)),
                Some((id, outcome)) = sending.next(), if !sending.is_empty() => {
                    text(&told::outcome(self.domain, id.as_deref(), outcome))
                }
                heard = socket.recv(), if reads => match heard {
                    Some(Ok(Message::Text(event))) => {
                        sending.push(self.take(event.as_bytes()).await);
                        continue;
                    }
                    Some(Ok(Message::Binary(_))) => close(1003, "events travel in text messages"),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                },
                _ = heartbeat.tick() => {
                    if self.caller.is_still_good(&self.door) {
                        Message::Ping(axum::body::Bytes::new())
                    } else {
                        close(CLOSE_TOKEN, "the token is not valid any more")
                    }
                }
            };
            let ends = matches!(told, Message::Close(_));
            let sent = timeout(WRITE_DEADLINE, socket.send(told)).await;
            if ends || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// Takes a message; how it ends is told later.
    async fn take(&self, event: &[u8]) -> Pin<Box<dyn Future<Output = Outcome> + Send + Sync>> {
        match self.send(event).await {
            Ok((id, sent)) => Box::pin(async move {
                let outcome = sent.outcomes().await.pop();
                (id, outcome.unwrap_or(Ok(SendOutcome::Unknown)))
            }),
            Err((id, failure)) => Box::pin(async move { (id, Ok(SendOutcome::Rejected(*failure.problem))) }),
        }
    }

    async fn send(&self, event: &[u8]) -> Result<(Option<String>, Sent), (Option<String>, Failure)> {
        let envelope = from_json(event).map_err(|error| (None, error.into()))?;
        let given = envelope.attributes.get("id").map(str::to_owned);
        if self.caller.scopes().is_none_or(|scopes| !scopes.has(Scope::Send)) {
            return Err((given, Rejection::OutOfScope(Scope::Send).into()));
        }
        let envelope =
            self.door.complete(&self.caller, envelope).map_err(|failure| (given.clone(), failure))?;
        let id = envelope.attributes.get("id").map(str::to_owned);
        let sent = self.line.start(vec![envelope]).await;
        sent.map(|sent| (id.clone(), sent)).map_err(|failure| (id, failure))
    }

    fn delivered(&self, delivery: &Delivery) -> Value {
        match delivery {
            Delivery::Message { envelope, .. } => to_value(envelope),
            Delivery::Gap { subscription, first, last } => {
                let index = usize::try_from(*subscription).ok().and_then(|number| number.checked_sub(1));
                let pattern = index.and_then(|index| self.patterns.get(index)).map(TopicPattern::as_str);
                told::gap(self.domain, pattern, *first, *last)
            }
        }
    }
}

/// Hands on records until either side is gone; a question that waits ends with the socket.
async fn pass_on(mut follow: Follow, told: Sender<Value>) {
    loop {
        let records = tokio::select! {
            () = told.closed() => return,
            records = follow.next() => records,
        };
        let Some(records) = records else { return };
        for record in records {
            if told.send(record).await.is_err() {
                return;
            }
        }
    }
}

fn text(event: &Value) -> Message {
    Message::text(event.to_string())
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}
