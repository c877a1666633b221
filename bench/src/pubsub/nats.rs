//! Core NATS on bare sockets: PUB without a reply, MSG.

use super::batch::Batch;
use super::framed::{Aside, Framed, await_bytes};
use super::{Blocks, Publisher, Subscriber};
use crate::socket::Socket;
use anyhow::{Result, ensure};
use std::net::SocketAddr;

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"bench\"}\r\nPING\r\n";
const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"PONG\r\n";
const SUBJECT: &str = "live.published";
const END: &[u8] = b"\r\n";

/// INFO, PING, PONG and complaints.
#[derive(Default)]
struct Talk {
    is_pinged: bool,
}

pub(super) fn publisher(address: SocketAddr, payload_bytes: usize, messages: usize) -> Result<Publisher> {
    let head = format!("PUB {SUBJECT} {payload_bytes}\r\n").into_bytes();
    let message = [&head, &vec![b'x'; payload_bytes], END].concat();
    let batch = Batch::new(&[], &message, head.len(), messages);
    Ok(Publisher {
        socket: connect(address, b"")?,
        scan: Box::new(scan(payload_bytes)),
        blocks: Blocks::Renewed(batch),
    })
}

pub(super) fn subscriber(address: SocketAddr, payload_bytes: usize) -> Result<Subscriber> {
    let subscribe = format!("SUB {SUBJECT} 1\r\n");
    Ok(Subscriber { socket: connect(address, subscribe.as_bytes())?, scan: Box::new(scan(payload_bytes)) })
}

fn scan(payload_bytes: usize) -> Framed<Talk> {
    let head = format!("MSG {SUBJECT} 1 {payload_bytes}\r\n").into_bytes();
    Framed::new(head, payload_bytes, END.len(), Talk::default())
}

/// Connects, says what is to be said at first, and waits until the server has read it.
fn connect(address: SocketAddr, first: &[u8]) -> Result<Socket> {
    let mut socket = Socket::connect(address)?;
    socket.write(CONNECT)?;
    await_bytes(&mut socket, PONG)?;
    socket.write(first)?;
    socket.write(PING)?;
    await_bytes(&mut socket, PONG)?;
    Ok(socket)
}

impl Aside for Talk {
    fn aside(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        let line = bytes.get(..end).unwrap_or_default().trim_ascii_end();
        let known = [b"INFO ".as_slice(), b"PING", b"PONG", b"+OK"];
        let text = || String::from_utf8_lossy(line);
        ensure!(known.iter().any(|word| line.starts_with(word)), "the server says {}", text());
        self.is_pinged |= line == b"PING";
        Ok(Some(end + 1))
    }

    fn answer(&mut self) -> Option<&'static [u8]> {
        std::mem::take(&mut self.is_pinged).then_some(PONG)
    }
}
