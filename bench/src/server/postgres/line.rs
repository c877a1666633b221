//! A connection to PostgreSQL: version 3 of its protocol, as far as it is needed here.

use crate::socket::Socket;
use anyhow::{Result, bail};
use std::net::SocketAddr;

const VERSION: u32 = 3 << 16;
/// The kind and length that each message begins with.
const HEAD_BYTES: usize = 5;

/// A connection that is let in.
pub(super) struct Line {
    socket: Socket,
}

impl Line {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let mut line = Self { socket: Socket::connect(address)? };
        let parameters = b"user\0postgres\0database\0postgres\0\0";
        let length = (parameters.len() + 8) as u32;
        line.write(&[&length.to_be_bytes()[..], &VERSION.to_be_bytes(), parameters].concat())?;
        line.until(b'Z')?;
        Ok(line)
    }

    /// Runs a statement that has no parameters.
    pub(super) fn run(&mut self, statement: &str) -> Result<()> {
        self.say(b'Q', &[statement.as_bytes(), b"\0"].concat())?;
        self.until(b'Z').map(drop)
    }

    /// Begins to copy rows in.
    pub(super) fn begin_copy(&mut self, statement: &str) -> Result<()> {
        self.say(b'Q', &[statement.as_bytes(), b"\0"].concat())?;
        self.until(b'G').map(drop)
    }

    /// Copies rows in.
    pub(super) fn copy(&mut self, rows: &[u8]) -> Result<()> {
        self.say(b'd', rows)
    }

    /// Ends copying.
    pub(super) fn end_copy(&mut self) -> Result<()> {
        self.say(b'c', b"")?;
        self.until(b'Z').map(drop)
    }

    /// Prepares a statement under a name.
    pub(super) fn prepare(&mut self, name: &str, statement: &str) -> Result<()> {
        let parse = [name.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0"].concat();
        self.say(b'P', &parse)?;
        self.say(b'S', b"")?;
        self.until(b'Z').map(drop)
    }

    /// Runs a prepared statement with one parameter, as text; how many rows came.
    pub(super) fn ask(&mut self, name: &str, parameter: &str) -> Result<usize> {
        let length = (parameter.len() as u32).to_be_bytes();
        // No portal name; no formats: text; one parameter; no formats of results: text.
        let bind = [b"\0", name.as_bytes(), b"\0\0\0\0\x01", &length, parameter.as_bytes(), b"\0\0"].concat();
        let mut bytes = message(b'B', &bind);
        bytes.extend(message(b'E', b"\0\0\0\0\0"));
        bytes.extend(message(b'S', b""));
        self.write(&bytes)?;
        self.until(b'Z')
    }

    fn say(&mut self, kind: u8, content: &[u8]) -> Result<()> {
        self.write(&message(kind, content))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.write(bytes)
    }

    /// Reads up to a message of this kind; how many rows came before it.
    fn until(&mut self, last: u8) -> Result<usize> {
        let mut rows = 0;
        loop {
            while let Some((kind, content)) = next(self.socket.unused()) {
                if kind == b'E' {
                    bail!("PostgreSQL says {}", String::from_utf8_lossy(content).replace('\0', " "));
                }
                rows += usize::from(kind == b'D');
                let bytes = HEAD_BYTES + content.len();
                self.socket.used(bytes);
                if kind == last {
                    return Ok(rows);
                }
            }
            self.socket.fill()?;
        }
    }
}

fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() + 4) as u32;
    [&[kind][..], &length.to_be_bytes(), content].concat()
}

/// The kind and content of the next message, if all of it is there.
fn next(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = (u32::from_be_bytes(*length) as usize).checked_sub(4)?;
    Some((*kind, rest.get(..length)?))
}

#[cfg(test)]
mod tests {
    use super::{message, next};

    #[test]
    fn messages_are_read_once_they_are_whole() {
        let bytes = [message(b'D', b"row"), message(b'Z', b"I")].concat();
        assert_eq!(next(&bytes), Some((b'D', &b"row"[..])));
        assert_eq!(next(&bytes[8..]), Some((b'Z', &b"I"[..])));
        assert_eq!(next(&bytes[..7]), None);
    }
}
