//! The listener's own accept loop: deadlines, header limits and caps are ours, requests are the router's.

use super::door::{Door, HttpConfig};
use super::operation::router;
use super::resources;
use crate::accept::{Acceptor, Opening, Peer, Stream};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use openmesh_adapter::MeshHandle;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tower::ServiceExt;

/// Bytes of a request's line and headers.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Headers of a request.
const HEADERS_MAX: usize = 100;
/// How long the headers of a request may take, and how long a connection may stay without one.
const HEADER_DEADLINE: Duration = Duration::from_secs(30);

/// Serves HTTP connections until told to stop.
pub async fn serve(
    acceptor: Acceptor,
    config: HttpConfig,
    mesh: MeshHandle,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let door = Arc::new(Door::new(config, acceptor.address()?, mesh));
    let router = router(resources::operations(), &door);
    let sweeping = tokio::spawn(Arc::clone(&door).sweep());
    acceptor.run(stop, move |stream, peer, opening| connection(stream, peer, opening, router.clone())).await;
    sweeping.abort();
    Ok(())
}

async fn connection(stream: Stream, peer: Peer, opening: Opening, router: Router) {
    let service = service_fn(move |request| answer(request, peer.clone(), opening.clone(), router.clone()));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_header_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection ended");
    }
}

async fn answer(
    mut request: Request<Incoming>,
    peer: Peer,
    opening: Opening,
    router: Router,
) -> Result<Response<Body>, Infallible> {
    if let Err(crowded) = opening.done(None) {
        let mut response = super::problem::respond(&crowded.to_problem().into());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return Ok(response);
    }
    request.extensions_mut().insert(peer);
    router.oneshot(request).await
}
