//! From operations to a router: the path finds the operations, the method the one; then who calls, then what was given.

use super::call::{Given, check_body, check_parameters};
use super::{Answer, Call, Operation};
use crate::http::caller::identify;
use crate::http::door::Door;
use crate::http::problem::{Failure, respond};
use crate::http::{guard, idempotency};
use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Query, RawPathParams, Request, State};
use axum::http::{HeaderValue, Method, Response, header, request::Parts};
use axum::routing::any;
use futures_util::StreamExt;
use metrics::counter;
use openmesh_adapter::metrics::{HTTP_REQUESTS, TOKENS_REFUSED};
use openmesh_core::Rejection;
use openmesh_message::Problem;
use openmesh_message::limits::FRAME_BYTES_MAX;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What JSON and base64 may add to what a frame holds.
const ENCODING_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;
/// Largest body of a request: a frame, and what JSON adds to it.
pub(crate) const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX + ENCODING_BYTES_MAX;
/// Largest body that is read past that limit and thrown away, so that its sender comes to read why.
const DISCARDED_BYTES_MAX: u64 = 8 * BODY_BYTES_MAX as u64;
/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

type Methods = Arc<Vec<Operation>>;

/// A router of these operations.
pub(crate) fn router(operations: Vec<Operation>, door: &Arc<Door>) -> Router {
    let mut by_path: BTreeMap<&'static str, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        by_path.entry(operation.path).or_default().push(operation);
    }
    let mut router = Router::new();
    for (path, operations) in by_path {
        let state = (Arc::new(operations), Arc::clone(door));
        router = router.route(&axum_path(path), any(dispatch).with_state(state));
    }
    router.fallback(any(unknown_path).with_state(Arc::clone(door)))
}

/// Names of definitions have slashes, which may stand in the path as they are.
fn axum_path(path: &str) -> String {
    path.replace("{definition}", "{*definition}")
}

async fn unknown_path(State(door): State<Arc<Door>>, request: Request) -> Response<Body> {
    let refused = guard::check(request.headers(), &door).err();
    let unknown =
        || Problem::new("path.unknown", "there is nothing here; GET /openapi.json says what there is");
    finish(Err(refused.unwrap_or_else(|| Failure::new(unknown()))))
}

async fn dispatch(
    State((operations, door)): State<(Methods, Arc<Door>)>,
    path: RawPathParams,
    request: Request,
) -> Response<Body> {
    let begun = Instant::now();
    let path: Vec<_> = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let operation = operations.iter().find(|operation| operation.method == *method);
    let answer = match (guard::check(request.headers(), &door), operation) {
        (Err(refused), _) => Err(refused),
        (Ok(()), Some(operation)) => call(operation, door, path, request).await,
        (Ok(()), None) => Err(not_allowed(&operations)),
    };
    let response = finish(answer);
    let id = operation.map_or("none", |operation| operation.id);
    let status = response.status().as_u16();
    tracing::debug!(operation = id, status, took = ?begun.elapsed(), "a request was answered");
    counter!(HTTP_REQUESTS, "operation" => id, "status" => status.to_string()).increment(1);
    response
}

async fn call(
    operation: &Operation,
    door: Arc<Door>,
    path: Vec<(String, String)>,
    request: Request,
) -> Answer {
    let caller = identify(&door, request.headers(), operation.access).inspect_err(|refused| {
        counter!(TOKENS_REFUSED, "error.type" => refused.problem.code.clone()).increment(1);
    })?;
    let (mut parts, body) = request.into_parts();
    let query = query_of(&parts)?;
    let given = check_parameters(operation, &Given { path: &path, query: &query, headers: &parts.headers })?;
    let body = read_body(body).await?;
    let value = check_body(operation, &parts.headers, &body)?;
    let headers = std::mem::take(&mut parts.headers);
    parts.headers.clone_from(&headers);
    let key = given.get("Idempotency-Key").and_then(|key| key.as_str()).map(str::to_owned);
    let call = Call { door, caller, headers, body, parts: Some(parts), value, given };
    match key.filter(|_| operation.takes_key) {
        Some(key) => idempotency::once(operation, key, call).await,
        None => (operation.run)(call).await,
    }
}

fn query_of(parts: &Parts) -> Result<Vec<(String, String)>, Failure> {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    query.map(|Query(pairs)| pairs).map_err(|_| Failure::argument("query", "the query cannot be read"))
}

async fn read_body(body: Body) -> Result<Bytes, Failure> {
    let said = body.size_hint().lower();
    if said > BODY_BYTES_MAX as u64 {
        if said <= DISCARDED_BYTES_MAX {
            let _ = timeout(BODY_DEADLINE, discard(body)).await;
        }
        return Err(Rejection::TooLarge.into());
    }
    match timeout(BODY_DEADLINE, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Rejection::TooLarge.into()),
        Err(_) => {
            let late =
                Problem::new("request.timeout", format!("the body took longer than {BODY_DEADLINE:?}"));
            Err(Failure::new(late).with(header::CONNECTION, "close"))
        }
    }
}

async fn discard(body: Body) {
    let mut parts = body.into_data_stream();
    while let Some(Ok(_)) = parts.next().await {}
}

fn not_allowed(operations: &[Operation]) -> Failure {
    let methods: Vec<_> = operations.iter().map(|operation| operation.method.as_str()).collect();
    let allowed = methods.join(", ");
    let mut failure = Failure::new(Problem::new("method.not_allowed", format!("this path takes {allowed}")));
    if let Ok(value) = HeaderValue::from_str(&allowed) {
        failure.headers.push((header::ALLOW, value));
    }
    failure
}

/// What every response carries: nothing of it is for a cache or a browser's guess, unless it says so itself.
fn finish(answer: Answer) -> Response<Body> {
    let mut response = answer.unwrap_or_else(|failure| respond(&failure));
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
