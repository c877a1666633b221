//! WebSocket doors: native frames in binary messages, CloudEvents in text messages.

use futures_util::{SinkExt, StreamExt};
use openmesh_message::frame::{ClientFrame, FrameDecoder, FrameEncoder, SendOutcome, ServerFrame};
use openmesh_message::handshake::{self, Binding, ClientHello, MAGIC, Transcript};
use openmesh_message::{DomainId, Envelope, KeyPair};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Native frames over a WebSocket.
pub(crate) struct NativeSocket {
    stream: Stream,
    unread: Vec<u8>,
    encoder: FrameEncoder,
    decoder: FrameDecoder,
}

/// CloudEvents over a WebSocket.
pub(crate) struct EventSocket {
    stream: Stream,
}

async fn open(address: SocketAddr, query: &str, protocol: &str, token: Option<&str>) -> Stream {
    let mut request = format!("ws://{address}/v1/socket?{query}").into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
    if let Some(token) = token {
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let (stream, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], protocol);
    stream
}

impl NativeSocket {
    pub(crate) async fn open(address: SocketAddr, domain: DomainId, key: &Arc<KeyPair>) -> Self {
        let stream = open(address, "", "openmesh.native.v1", None).await;
        let (encoder, decoder) = (FrameEncoder::default(), FrameDecoder::default());
        let mut socket = Self { stream, unread: Vec::new(), encoder, decoder };
        let hello = minicbor::to_vec(ClientHello::new(key.id(), [7; 32])).unwrap();
        socket.write([&MAGIC[..], &framed(&hello)].concat()).await;
        let answered = handshake::decode(&socket.read().await).unwrap();
        let said = Transcript { client_hello: &hello, answered: &answered, binding: &Binding::Loopback };
        let (_, auth) = handshake::authenticate(key, &domain, &said, openmesh_sdk::now()).unwrap();
        socket.write(framed(&minicbor::to_vec(auth).unwrap())).await;
        assert_eq!(socket.read_frame().await, ServerFrame::Pong(0));
        socket
    }

    pub(crate) async fn send(&mut self, envelope: Envelope) -> SendOutcome {
        let mut bytes = Vec::new();
        self.encoder.encode_client(&ClientFrame::Send(vec![(1, envelope)]), &mut bytes).unwrap();
        self.write(bytes).await;
        loop {
            match self.read_frame().await {
                ServerFrame::Outcomes(outcomes) => return outcomes.into_iter().next().unwrap().1,
                ServerFrame::Receipts(run) => {
                    let (_, receipt) = run.open().unwrap().receipts.remove(0);
                    return SendOutcome::Accepted(receipt);
                }
                _ => {}
            }
        }
    }

    async fn write(&mut self, bytes: Vec<u8>) {
        self.stream.send(Message::binary(bytes)).await.unwrap();
    }

    async fn read_frame(&mut self) -> ServerFrame {
        let body = self.read().await;
        self.decoder.decode_server(&body).unwrap()
    }

    /// The next length-prefixed message, whatever the boundaries of the WebSocket's messages.
    async fn read(&mut self) -> Vec<u8> {
        loop {
            if let Some(header) = self.unread.first_chunk::<4>() {
                let end = 4 + u32::from_be_bytes(*header) as usize;
                if self.unread.len() >= end {
                    let rest = self.unread.split_off(end);
                    return std::mem::replace(&mut self.unread, rest).split_off(4);
                }
            }
            if let Message::Binary(bytes) = self.stream.next().await.unwrap().unwrap() {
                self.unread.extend_from_slice(&bytes);
            }
        }
    }
}

impl EventSocket {
    pub(crate) async fn open(address: SocketAddr, token: &str) -> Self {
        Self::open_with(address, token, "").await
    }

    pub(crate) async fn open_with(address: SocketAddr, token: &str, query: &str) -> Self {
        Self { stream: open(address, query, "cloudevents.json", Some(token)).await }
    }

    /// The data of the next event of a type, if one comes in time.
    pub(crate) async fn next_within(&mut self, kind: &str, wait: Duration) -> Option<serde_json::Value> {
        timeout(wait, self.next_of(kind)).await.ok()
    }

    /// Sends an event and returns the data of the outcome told for it.
    pub(crate) async fn send(&mut self, event: String) -> serde_json::Value {
        self.stream.send(Message::text(event)).await.unwrap();
        self.next_of("mesh/outcome.v1").await
    }

    async fn next_of(&mut self, kind: &str) -> serde_json::Value {
        loop {
            if let Message::Text(text) = self.stream.next().await.unwrap().unwrap() {
                let mut event: serde_json::Value = serde_json::from_str(&text).unwrap();
                if event["type"] == kind {
                    return event["data"].take();
                }
            }
        }
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}
