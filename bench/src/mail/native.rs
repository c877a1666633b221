//! An inbox of a node: leases and acknowledgements in native frames.

use super::{BATCH_MESSAGES, BATCHES_AT_ONCE, Mailbox};
use crate::generate::Wire;
use crate::generate::native::{Line, Publisher, inbox, reader_key};
use crate::settings::PUBLISH_PAYLOAD_BYTES;
use anyhow::{Context, Result, bail, ensure};
use minicbor::Decoder;
use openmesh_message::DomainId;
use openmesh_message::frame::{Command, Reply};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a lease lasts, and how long one waits for mail.
const VISIBILITY_MS: u64 = 10 * 60 * 1000;
const WAIT_MS: u64 = 30 * 1000;
/// Frames and replies by their numbers on the wire (`spec/native.md`).
const REPLY: u8 = 1;
const DONE: u32 = 0;
const LEASED: u32 = 1;

pub(super) struct Mail {
    line: Line,
    sender: Option<Publisher>,
    next_tag: u64,
    token: u64,
}

/// One reply, as far as it is looked at.
enum Said {
    Done,
    Leased { token: u64, messages: usize },
}

impl Mail {
    /// Connects the inbox's agent, and with messages to put also a sender.
    pub(super) fn open(address: SocketAddr, domain: &DomainId, prepared: usize) -> Result<Self> {
        let mut line = Line::connect_as(address, domain, reader_key()?)?;
        line.register()?;
        let sender = if prepared > 0 {
            let line = Line::connect(address, domain)?;
            Some(Publisher::new(line, &inbox(*domain)?, prepared, PUBLISH_PAYLOAD_BYTES)?)
        } else {
            None
        };
        Ok(Self { line, sender, next_tag: 1, token: 0 })
    }

    fn lease(&mut self, messages: usize) -> Result<()> {
        let messages_max = u32::try_from(messages)?;
        let lease =
            Command::Lease { messages_max, visibility_ms: VISIBILITY_MS, wait_ms: WAIT_MS, least: None };
        self.give(lease).map(drop)
    }

    fn give(&mut self, command: Command) -> Result<u64> {
        self.next_tag += 1;
        self.line.give(self.next_tag, command)?;
        Ok(self.next_tag)
    }

    /// Waits for the reply to a lease.
    fn leased(&mut self) -> Result<()> {
        let mut token = None;
        while token.is_none() {
            self.line.read(|body| {
                if let (_, Said::Leased { token: leased, messages: 1 }) = read(body)? {
                    token = Some(leased);
                }
                Ok(())
            })?;
        }
        self.token = token.context("no mail came")?;
        Ok(())
    }

    fn acknowledge(&mut self) -> Result<()> {
        let ack = Command::Ack { token: self.token, numbers: Vec::new() };
        let reply = self.line.command(ack)?;
        ensure!(reply == Reply::Done, "an acknowledgement was answered with {reply:?}");
        Ok(())
    }
}

impl Mailbox for Mail {
    fn wait(&mut self) -> Result<()> {
        self.lease(1)
    }

    fn put(&mut self, tag: usize) -> Result<()> {
        self.sender.as_mut().context("nobody puts messages")?.send(tag..tag + 1)?;
        self.leased()
    }

    fn finish(&mut self) -> Result<()> {
        self.sender.as_mut().context("nobody puts messages")?.acknowledged(&mut Vec::new())?;
        self.acknowledge()
    }

    fn first(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.lease(1)?;
        self.leased()?;
        let took = begun.elapsed();
        self.acknowledge()?;
        Ok(took)
    }

    fn drain(&mut self, messages: usize) -> Result<()> {
        for _ in 0..BATCHES_AT_ONCE {
            self.lease(BATCH_MESSAGES)?;
        }
        let (mut leased, mut done) = (0, 0);
        let mut acknowledging = BTreeMap::new();
        while done < messages {
            let mut batches = Vec::new();
            self.line.read(|body| {
                match read(body)? {
                    (_, Said::Leased { token, messages }) => batches.push((token, messages)),
                    (tag, Said::Done) => done += acknowledging.remove(&tag).context("an unknown reply")?,
                }
                Ok(())
            })?;
            for (token, count) in batches {
                leased += count;
                let tag = self.give(Command::Ack { token, numbers: Vec::new() })?;
                acknowledging.insert(tag, count);
                if leased < messages {
                    self.lease(BATCH_MESSAGES)?;
                }
            }
        }
        Ok(())
    }
}

/// The tag of a reply and what it says; messages are skipped, not decoded.
fn read(body: &[u8]) -> Result<(u64, Said)> {
    let mut decoder = Decoder::new(body);
    decoder.array()?;
    if decoder.u8()? != REPLY {
        bail!("the node said what was not expected: {:?}", body.get(..64));
    }
    let tag = decoder.u64()?;
    decoder.array()?;
    ensure!(decoder.u8()? == 0, "the node refused: {}", String::from_utf8_lossy(body));
    decoder.array()?;
    match decoder.u32()? {
        DONE => Ok((tag, Said::Done)),
        LEASED => {
            decoder.array()?;
            let messages = decoder.array()?.context("a list without its length")?;
            let mut token = 0;
            if messages > 0 {
                decoder.array()?;
                token = decoder.u64()?;
            }
            Ok((tag, Said::Leased { token, messages: usize::try_from(messages)? }))
        }
        other => bail!("the node answered with a reply of kind {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Said, read};
    use openmesh_message::frame::{FrameEncoder, Leased, Reply, ServerFrame};
    use openmesh_message::{Attributes, Envelope, Transit};

    fn body(reply: Reply) -> Vec<u8> {
        let mut bytes = Vec::new();
        FrameEncoder::default().encode_server(&ServerFrame::Reply(7, Ok(reply)), &mut bytes).unwrap();
        bytes[4..].to_vec()
    }

    #[test]
    fn replies_of_an_inbox_are_read() {
        let envelope = Envelope {
            attributes: Attributes::default(),
            payload: b"x".to_vec().into(),
            proof: None,
            transit: Transit::default(),
        };
        let leased = Leased { token: 9, number: 1, attempt: 1, envelope };
        let said = read(&body(Reply::Leased(vec![leased.clone(), leased]))).unwrap();
        assert!(matches!(said, (7, Said::Leased { token: 9, messages: 2 })));
        let said = read(&body(Reply::Leased(vec![]))).unwrap();
        assert!(matches!(said, (7, Said::Leased { messages: 0, .. })));
        assert!(matches!(read(&body(Reply::Done)).unwrap(), (7, Said::Done)));
        assert!(read(&body(Reply::Rows(vec![]))).is_err());
    }
}
