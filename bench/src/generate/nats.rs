//! The NATS client protocol on a bare socket.

mod line;

use super::window::Wire;
use anyhow::{Context, Result, ensure};
pub(crate) use line::Line;
use std::net::SocketAddr;
use std::ops::Range;

/// Where acknowledgements come to, each with the message's tag behind it.
const INBOX: &str = "_INBOX.bench.";
/// A subject of the stream.
pub(crate) const SUBJECT: &str = "bench.published";
/// The stream: files, one replica, everything else as it is when not said.
const STREAM: &str = r#"{"name":"BENCH","subjects":["bench.>"],"storage":"file","num_replicas":1,"retention":"limits","discard":"old"}"#;

/// Publishes to a stream, and takes its acknowledgements.
pub(crate) struct Publisher {
    line: Line,
    payload: Vec<u8>,
    bytes: Vec<u8>,
}

impl Publisher {
    pub(crate) fn connect(address: SocketAddr, payload_bytes: usize) -> Result<Self> {
        let mut line = Line::connect(address)?;
        line.ask("$JS.API.STREAM.CREATE.BENCH", STREAM)?;
        line.write(format!("SUB {INBOX}* 2\r\n").as_bytes())?;
        let payload = [vec![b'x'; payload_bytes], b"\r\n".to_vec()].concat();
        Ok(Self { line, payload, bytes: Vec::new() })
    }
}

impl Publisher {
    /// Publishes one message, and waits for its acknowledgement.
    pub(crate) fn publish_one(&mut self) -> Result<()> {
        self.send(0..1)?;
        self.acknowledged(&mut Vec::new())
    }
}

impl Wire for Publisher {
    fn send(&mut self, tags: Range<usize>) -> Result<()> {
        use std::io::Write;
        self.bytes.clear();
        let size = self.payload.len() - 2;
        for tag in tags {
            write!(self.bytes, "PUB {SUBJECT} {INBOX}{tag} {size}\r\n")?;
            self.bytes.extend(&self.payload);
        }
        self.line.write(&self.bytes)
    }

    fn acknowledged(&mut self, tags: &mut Vec<usize>) -> Result<()> {
        while tags.is_empty() {
            self.line.read(|message| {
                let tag = message.subject.strip_prefix(INBOX).context("a message for nobody")?;
                let refused = message.payload.windows(7).any(|part| part == b"\"error\"");
                ensure!(!refused, "message {tag}: {}", String::from_utf8_lossy(message.payload));
                tags.push(tag.parse()?);
                Ok(())
            })?;
        }
        Ok(())
    }
}
