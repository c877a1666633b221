//! A socket, and what came through it and is not used yet.

use anyhow::{Result, ensure};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const READ_BYTES: usize = 256 * 1024;
/// With less room than this for what comes, more is made.
const ROOM_BYTES_MIN: usize = READ_BYTES / 4;

/// A connected socket that sends at once.
pub(crate) struct Socket {
    stream: TcpStream,
    /// What came stands from `used` to `end`; the rest is room, which is cleared once and not for each read.
    came: Vec<u8>,
    used: usize,
    end: usize,
}

impl Socket {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self::of(stream))
    }

    /// A socket on a stream of which nothing was read.
    pub(crate) const fn of(stream: TcpStream) -> Self {
        Self { stream, came: Vec::new(), used: 0, end: 0 }
    }

    /// Goes on with another stream, of which nothing was read, and keeps its room.
    pub(crate) fn turn_to(&mut self, stream: TcpStream) {
        *self = Self { stream, came: std::mem::take(&mut self.came), used: 0, end: 0 };
    }

    /// The same stream for somebody else, who writes to it or ends it.
    pub(crate) fn stream(&self) -> Result<TcpStream> {
        Ok(self.stream.try_clone()?)
    }

    /// The stream alone, without room for what is read.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// The port on this side.
    pub(crate) fn port(&self) -> Result<u16> {
        Ok(self.stream.local_addr()?.port())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// What came and is not used yet.
    pub(crate) fn unused(&self) -> &[u8] {
        self.came.get(self.used..self.end).unwrap_or_default()
    }

    /// So many bytes of it are used.
    pub(crate) fn used(&mut self, bytes: usize) {
        self.used = (self.used + bytes).min(self.end);
    }

    /// Waits until more has come.
    pub(crate) fn fill(&mut self) -> Result<()> {
        self.came.copy_within(self.used..self.end, 0);
        self.end -= self.used;
        self.used = 0;
        if self.came.len() - self.end < ROOM_BYTES_MIN {
            self.came.resize(self.came.len() + READ_BYTES, 0);
        }
        let read = self.stream.read(self.came.get_mut(self.end..).unwrap_or_default())?;
        self.end += read;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Socket;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn what_is_not_used_is_kept_and_a_closed_connection_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = Socket::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"one").unwrap();
        socket.fill().unwrap();
        socket.used(1);
        assert_eq!(socket.unused(), b"ne");
        peer.write_all(b"two").unwrap();
        socket.fill().unwrap();
        assert_eq!(socket.unused(), b"netwo");
        socket.used(9);
        assert_eq!(socket.unused(), b"");
        drop(peer);
        assert!(socket.fill().is_err());
    }
}
