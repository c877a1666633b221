//! Idempotency keys: the same request with the same key gets the response that the first one got.

use super::operation::{Answer, Call, Operation};
use super::problem::Failure;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Response, StatusCode};
use openmesh_message::{AgentId, Digest, Problem};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a response is remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Keys remembered at a time; the oldest are forgotten first.
const KEYS_MAX: usize = 10_000;
/// Bytes of responses remembered at a time.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Largest response that is remembered.
const RESPONSE_BYTES_MAX: usize = 4 * 1024 * 1024;

type Key = (AgentId, String);

/// The responses remembered.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    by_key: BTreeMap<Key, Entry>,
    by_age: BTreeMap<(Instant, u64), Key>,
    next: u64,
    bytes: usize,
}

struct Entry {
    request: Digest,
    age: (Instant, u64),
    stored: Option<Stored>,
}

#[derive(Clone)]
struct Stored {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// What is known of a key.
enum Known {
    Nothing,
    Response(Stored),
    Running,
    OtherRequest,
}

/// A key whose request is running; forgotten if it does not end.
struct Running {
    key: Key,
    door: Arc<super::door::Door>,
    ended: bool,
}

/// Runs a call once for its key.
pub(super) async fn once(operation: &Operation, key: String, call: Call) -> Answer {
    let key = (call.caller.agent, key);
    let request = digest(operation, &call);
    let known = call.door.remembered.lock().begin(&key, request);
    match known {
        Known::Response(stored) => return Ok(stored.to_response()),
        Known::Running => {
            let detail = "a request with this key is still running";
            return Err(Problem::new("idempotency.in_progress", detail).into());
        }
        Known::OtherRequest => {
            let detail = "this key was used for another request";
            return Err(Problem::new("idempotency.mismatch", detail).into());
        }
        Known::Nothing => {}
    }
    let mut running = Running { key, door: Arc::clone(&call.door), ended: false };
    let response = (operation.run)(call).await.unwrap_or_else(|failure| super::problem::respond(&failure));
    running.end(response).await
}

/// What makes a request the same: what is called, with what.
fn digest(operation: &Operation, call: &Call) -> Digest {
    let parts = call.parts.as_ref();
    let target = parts.map(|parts| parts.uri.to_string()).unwrap_or_default();
    let mut headers: Vec<_> = call
        .headers
        .iter()
        .filter(|(name, _)| name.as_str() == "content-type" || name.as_str().starts_with("ce-"))
        .map(|(name, value)| [name.as_str().as_bytes(), b":", value.as_bytes(), b"\n"].concat())
        .collect();
    headers.sort();
    let (id, headers) = (format!("{}\n{target}\n", operation.id), headers.concat());
    Digest::of_parts("openmesh http request v1", &[id.as_bytes(), &headers, &call.body])
}

impl Remembered {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Remembers the response, unless the same request may end otherwise when made again.
    async fn end(&mut self, response: Response<Body>) -> Answer {
        let (parts, body) = response.into_parts();
        let body =
            to_bytes(body, RESPONSE_BYTES_MAX).await.map_err(|_| Failure::argument("body", "too large"))?;
        let stored = Stored { status: parts.status, headers: parts.headers, body };
        let may_change = stored.status.is_server_error()
            || stored.status == StatusCode::TOO_MANY_REQUESTS
            || stored.status == StatusCode::REQUEST_TIMEOUT;
        if !may_change {
            self.ended = true;
            self.door.remembered.lock().keep(&self.key, stored.clone());
        }
        Ok(stored.to_response())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.door.remembered.lock().forget(&self.key);
        }
    }
}

impl Stored {
    fn to_response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

impl Memory {
    fn begin(&mut self, key: &Key, request: Digest) -> Known {
        self.forget_old();
        match self.by_key.get(key) {
            Some(entry) if entry.request != request => return Known::OtherRequest,
            Some(Entry { stored: Some(stored), .. }) => return Known::Response(stored.clone()),
            Some(_) => return Known::Running,
            None => {}
        }
        let age = (Instant::now(), self.next);
        self.next += 1;
        self.by_age.insert(age, key.clone());
        self.by_key.insert(key.clone(), Entry { request, age, stored: None });
        Known::Nothing
    }

    fn keep(&mut self, key: &Key, stored: Stored) {
        self.bytes += stored.body.len();
        if let Some(entry) = self.by_key.get_mut(key) {
            entry.stored = Some(stored);
        }
        self.forget_old();
    }

    fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.by_key.remove(key) {
            self.by_age.remove(&entry.age);
            let bytes = entry.stored.map_or(0, |stored| stored.body.len());
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    fn forget_old(&mut self) {
        while let Some(((since, _), key)) = self.by_age.first_key_value() {
            let over = self.by_key.len() >= KEYS_MAX || self.bytes > BYTES_MAX;
            if !over && since.elapsed() < REMEMBERED_FOR {
                return;
            }
            let key = key.clone();
            self.forget(&key);
        }
    }
}
