//! MQTT 3.1.1 on bare sockets: PUBLISH of quality of service 0, which nobody acknowledges.

use super::batch::Batch;
use super::framed::{Aside, Framed, await_bytes};
use super::{Blocks, Publisher, Subscriber};
use crate::socket::Socket;
use anyhow::{Result, ensure};
use std::net::SocketAddr;

const TOPIC: &[u8] = b"live/published";
/// Protocol name, level 4, a clean session, no keep-alive.
const CONNECT_HEAD: &[u8] = b"\x00\x04MQTT\x04\x02\x00\x00";
/// Accepted.
const CONNACK: &[u8] = b"\x20\x02\x00\x00";
const PACKET_ID: [u8; 2] = [0, 1];
/// Granted with quality of service 0.
const SUBACK: &[u8] = b"\x90\x03\x00\x01\x00";
const CONNECT: u8 = 0x10;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;

/// Nothing but messages comes to a client that asks for nothing.
struct Nothing;

pub(super) fn publisher(address: SocketAddr, payload_bytes: usize, messages: usize) -> Result<Publisher> {
    let head = publish_head(payload_bytes);
    let message = [&head[..], &vec![b'x'; payload_bytes]].concat();
    let batch = Batch::new(&[], &message, head.len(), messages);
    let socket = connect(address, "bench-publisher")?;
    Ok(Publisher { socket, scan: Box::new(scan(payload_bytes)), blocks: Blocks::Renewed(batch) })
}

pub(super) fn subscriber(address: SocketAddr, payload_bytes: usize, place: usize) -> Result<Subscriber> {
    let mut socket = connect(address, &format!("bench-subscriber-{place}"))?;
    socket.write(&packet(SUBSCRIBE, &[&PACKET_ID, &text(TOPIC)[..], &[0]].concat()))?;
    await_bytes(&mut socket, SUBACK)?;
    Ok(Subscriber { socket, scan: Box::new(scan(payload_bytes)) })
}

fn connect(address: SocketAddr, client: &str) -> Result<Socket> {
    let mut socket = Socket::connect(address)?;
    socket.write(&packet(CONNECT, &[CONNECT_HEAD, &text(client.as_bytes())].concat()))?;
    await_bytes(&mut socket, CONNACK)?;
    Ok(socket)
}

fn scan(payload_bytes: usize) -> Framed<Nothing> {
    Framed::new(publish_head(payload_bytes), payload_bytes, 0, Nothing)
}

/// What stands before the payload of a message.
fn publish_head(payload_bytes: usize) -> Vec<u8> {
    let mut head = packet(PUBLISH, &[&text(TOPIC)[..], &vec![0; payload_bytes]].concat());
    head.truncate(head.len() - payload_bytes);
    head
}

/// A text behind its length.
fn text(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text].concat()
}

/// A packet: kind and flags, the length of the rest in groups of seven bits, the lowest first, and the rest.
fn packet(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut length = rest.len();
    loop {
        let more = if length > 0x7f { 0x80 } else { 0 };
        bytes.push((length & 0x7f) as u8 | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    bytes.extend(rest);
    bytes
}

impl Aside for Nothing {
    fn aside(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        ensure!(bytes.is_empty(), "a packet of kind {:#04x} came", bytes.first().copied().unwrap_or(0));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::{PUBLISH, packet, publish_head};

    #[test]
    fn the_length_of_a_packet_is_written_in_groups_of_seven_bits() {
        assert_eq!(packet(PUBLISH, b"ab"), [0x30, 2, b'a', b'b']);
        assert_eq!(packet(PUBLISH, &[0; 321])[..3], [0x30, 0xc1, 0x02]);
        assert_eq!(publish_head(1), b"\x30\x11\x00\x0elive/published");
    }
}
