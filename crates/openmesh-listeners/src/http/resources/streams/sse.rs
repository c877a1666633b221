//! One stream of server-sent events: what is written, heartbeats, and its end when the token is worth nothing any more.

use crate::http::caller::Caller;
use crate::http::door::Door;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use futures_util::stream::unfold;
use serde_json::Value;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The media type of a stream.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// How often a quiet stream says that it is there, and its token is looked at again.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What is to be told next.
pub(super) struct Told {
    pub(super) event: Option<&'static str>,
    pub(super) id: Option<u64>,
    pub(super) data: Value,
}

/// Where a stream's events are from.
pub(super) trait Source: Send + 'static {
    /// The next events; none yet is an empty list, and `None` the end. May be dropped while it waits.
    fn next(&mut self) -> impl Future<Output = Option<Vec<Told>>> + Send;
}

/// A response that goes on until the source ends, the caller goes away, or its token is worth nothing any more.
pub(super) fn respond(door: Arc<Door>, caller: Caller, source: impl Source) -> Response<Body> {
    let opening = Bytes::from_static(b": open\n\n");
    let state = (door, caller, source, Some(opening));
    let stream = unfold(state, |(door, caller, mut source, opening)| async move {
        if let Some(opening) = opening {
            return Some((Ok::<_, Infallible>(opening), (door, caller, source, None)));
        }
        let chunk = match timeout(HEARTBEAT, source.next()).await {
            Ok(None) => return None,
            Ok(Some(told)) if !told.is_empty() => told.iter().map(write).collect::<String>(),
            Ok(Some(_)) | Err(_) => ": heartbeat\n\n".to_owned(),
        };
        if !caller.is_still_good(&door) {
            return None;
        }
        Some((Ok(Bytes::from(chunk)), (door, caller, source, None)))
    });
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// JSON has no line breaks of its own, so the data is one line.
fn write(told: &Told) -> String {
    let event = told.event.map(|event| format!("event: {event}\n")).unwrap_or_default();
    let id = told.id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("{event}{id}data: {}\n\n", told.data)
}
