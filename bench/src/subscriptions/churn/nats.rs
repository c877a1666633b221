//! Subscriptions of core NATS.

use super::Holding;
use crate::socket::Socket;
use crate::subscriptions::names::Names;
use anyhow::Result;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"bench\"}\r\n";
const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"PONG\r\n";

pub(super) struct Nats {
    address: SocketAddr,
}

impl Nats {
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl Holding for Nats {
    fn hold(&self, place: usize, names: &Names) -> Result<TcpStream> {
        let mut socket = Socket::connect(self.address)?;
        let mut bytes = CONNECT.to_vec();
        for (number, name) in (1..).zip(names.of(place)) {
            write!(bytes, "SUB {} {number}\r\n", subject(&name))?;
        }
        bytes.extend(PING);
        socket.write(&bytes)?;
        await_pong(&mut socket)?;
        Ok(socket.into_stream())
    }

    fn change(&self, number: u64, name: &str, bytes: &mut Vec<u8>) -> Result<()> {
        Ok(write!(bytes, "UNSUB {number}\r\nSUB {} {number}\r\n", subject(name))?)
    }

    fn ask(&self, mut stream: &TcpStream) -> Result<()> {
        Ok(stream.write_all(PING)?)
    }

    fn confirm(&self, socket: &mut Socket, _: u64) -> Result<()> {
        await_pong(socket)
    }
}

fn await_pong(socket: &mut Socket) -> Result<()> {
    crate::pubsub::await_bytes(socket, PONG)
}

fn subject(name: &str) -> String {
    name.replace('/', ".").replace("**", ">")
}

#[cfg(test)]
mod tests {
    use super::subject;

    #[test]
    fn levels_and_wildcards_are_written_as_nats_has_them() {
        assert_eq!(subject("zone-7/**"), "zone-7.>");
        assert_eq!(subject("fleet/*/alarm-1"), "fleet.*.alarm-1");
    }
}
