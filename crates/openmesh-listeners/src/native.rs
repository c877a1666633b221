//! The native protocol: length-prefixed frames after a handshake in which the node proves itself first,
//! over any stream of bytes.

mod connection;
mod greeting;
mod offers;
mod writer;

use crate::accept::{Acceptor, Opening, Peer, Stream};
use openmesh_adapter::MeshHandle;
use openmesh_message::handshake::Binding;
use openmesh_message::{Certificate, KeyPair};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// Who the node is.
pub struct NodeIdentity {
    /// The node's key.
    pub key: Arc<KeyPair>,
    /// Its certificate by the domain.
    pub certificate: Certificate,
}

/// Serves native connections until told to stop.
pub async fn serve(
    acceptor: Acceptor,
    identity: Arc<NodeIdentity>,
    mesh: MeshHandle,
    stop: watch::Receiver<bool>,
) {
    let serve = move |stream, peer: Peer, opening: Opening| {
        let (identity, mesh) = (Arc::clone(&identity), mesh.clone());
        async move {
            let may_stay = |agent| opening.done(Some(agent));
            let mut stream = stream;
            let greeted = greeting::greet(&mut stream, &peer.binding, &identity).await;
            match stream {
                Stream::Plain(stream) => {
                    let (reading, writing) = stream.into_split();
                    let halves = connection::Halves { reading, writing };
                    connection::serve_greeted(greeted, halves, mesh, may_stay).await;
                }
                Stream::Tls(stream) => {
                    let (reading, writing) = tokio::io::split(stream);
                    let halves = connection::Halves { reading, writing };
                    connection::serve_greeted(greeted, halves, mesh, may_stay).await;
                }
            }
        }
    };
    acceptor.run(stop, serve).await;
}

/// Speaks the native protocol over a stream that something else carries, until either side ends it.
pub async fn speak<S>(mut stream: S, binding: &Binding, identity: &NodeIdentity, mesh: MeshHandle)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let greeted = greeting::greet(&mut stream, binding, identity).await;
    let (reading, writing) = tokio::io::split(stream);
    let halves = connection::Halves { reading, writing };
    connection::serve_greeted(greeted, halves, mesh, |_| Ok(())).await;
}
