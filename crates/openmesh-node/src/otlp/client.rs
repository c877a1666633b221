//! Posts to a collector on this machine, over plain HTTP/1.1 on the node's own runtime.

use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long one export may take.
const EXPORT_DEADLINE: Duration = Duration::from_secs(10);
/// Largest answer of a collector.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The port of OTLP over HTTP.
const PORT: u16 = 4_318;

/// A client on a runtime; the exporter calls it from a thread of its own.
#[derive(Clone, Debug)]
pub(super) struct Client {
    runtime: Handle,
}

impl Client {
    pub(super) const fn new(runtime: Handle) -> Self {
        Self { runtime }
    }
}

impl HttpClient for Client {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let posted = self.runtime.spawn(async move { timeout(EXPORT_DEADLINE, post(request)).await });
        Box::pin(async move { posted.await?? })
    }
}

async fn post(mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let host = request.uri().authority().ok_or("an address without a host")?.clone();
    let stream = TcpStream::connect((host.host(), host.port_u16().unwrap_or(PORT))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    request.headers_mut().insert(HOST, HeaderValue::from_str(host.as_str())?);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).parse::<Uri>()?;
    *request.uri_mut() = path;
    let (parts, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

/// Whether an address is `http://` and of this machine: plaintext stays here.
pub(super) fn is_local(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    uri.scheme_str() == Some("http") && is_loopback
}
