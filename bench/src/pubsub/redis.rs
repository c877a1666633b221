//! Redis on bare sockets: PUBLISH without replies, SUBSCRIBE.

use super::batch::Batch;
use super::framed::{Aside, Framed, await_bytes};
use super::{Blocks, Publisher, Subscriber};
use crate::socket::Socket;
use anyhow::{Result, ensure};
use std::net::SocketAddr;

const CHANNEL: &str = "live.published";
const END: &[u8] = b"\r\n";
/// The server answers no command of this connection any more.
const QUIET: [&str; 3] = ["CLIENT", "REPLY", "OFF"];

/// Nothing but messages comes to a subscriber.
struct Nothing;

pub(super) fn publisher(address: SocketAddr, payload_bytes: usize, messages: usize) -> Result<Publisher> {
    let mut socket = Socket::connect(address)?;
    socket.write(&array(&["PING"]))?;
    await_bytes(&mut socket, b"+PONG\r\n")?;
    socket.write(&array(&QUIET))?;
    let payload = "x".repeat(payload_bytes);
    let message = array(&["PUBLISH", CHANNEL, &payload]);
    let payload_at = message.len() - END.len() - payload_bytes;
    let batch = Batch::new(&[], &message, payload_at, messages);
    Ok(Publisher { socket, scan: Box::new(scan(payload_bytes)), blocks: Blocks::Renewed(batch) })
}

pub(super) fn subscriber(address: SocketAddr, payload_bytes: usize) -> Result<Subscriber> {
    let mut socket = Socket::connect(address)?;
    socket.write(&array(&["SUBSCRIBE", CHANNEL]))?;
    await_bytes(&mut socket, b":1\r\n")?;
    Ok(Subscriber { socket, scan: Box::new(scan(payload_bytes)) })
}

fn scan(payload_bytes: usize) -> Framed<Nothing> {
    let mut head = array(&["message", CHANNEL, &"x".repeat(payload_bytes)]);
    head.truncate(head.len() - END.len() - payload_bytes);
    Framed::new(head, payload_bytes, END.len(), Nothing)
}

/// A command, or what a subscriber is told: a list of texts, each behind its length.
fn array(words: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    text.into_bytes()
}

impl Aside for Nothing {
    fn aside(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let line = bytes.split(|&byte| byte == b'\r').next().unwrap_or_default();
        ensure!(bytes.is_empty(), "the server says {}", String::from_utf8_lossy(line));
        Ok(None)
    }
}
