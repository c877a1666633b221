//! Native frames on a bare socket.

mod checked;
mod line;

use super::Options;
use super::prepared::{Alike, Prepared, Signing};
use super::window::Wire;
use anyhow::{Context, Result, bail};
pub(crate) use line::Line;
use minicbor::Decoder;
use openmesh_message::frame::{Command, ServerFrame, Start};
use openmesh_message::{Address, AgentRef, DomainId, KeyPair, Target};
use std::ops::Range;

/// The kind of frame in which a node says what it accepted, and where in it the receipts stand.
const RECEIPTS: u8 = 5;
const RECEIPTS_AT: u64 = 5;
const TOPIC: &str = "bench/published";
const READER_SEED: [u8; 32] = [7; 32];

/// Publishes prepared messages to a pinned topic.
pub(crate) struct Publisher {
    line: Line,
    prepared: Prepared,
    bytes: Vec<u8>,
}

impl Publisher {
    /// Registers the agent of the line, and prepares its messages.
    pub(crate) fn new(mut line: Line, to: &Address, count: usize, payload_bytes: usize) -> Result<Self> {
        line.register()?;
        let payload = vec![b'x'; payload_bytes];
        let prepared = Prepared::make(line.key(), &Alike::untyped(to, &payload), count)?;
        Ok(Self { line, prepared, bytes: Vec::new() })
    }

    /// The same with messages that have a schema and are steps of a protocol, in batches or each signed for itself.
    pub(crate) fn checked(mut line: Line, to: &Address, count: usize, options: &Options) -> Result<Self> {
        line.register()?;
        let checked = checked::publish(&mut line)?;
        let payload = checked::payload(options.payload_bytes)?;
        let signing = if options.sign_each { Signing::Each } else { Signing::Batches };
        let alike = Alike { to, payload: &payload, checked: Some(&checked), signing };
        let prepared = Prepared::make(line.key(), &alike, count)?;
        Ok(Self { line, prepared, bytes: Vec::new() })
    }
}

/// The pinned topic that is published to.
pub(crate) fn topic(domain: DomainId) -> Result<Address> {
    Ok(Address::new(domain, Target::Topic(TOPIC.parse()?)))
}

/// The key of the agent whose inbox is filled and drained, by different processes.
pub(crate) fn reader_key() -> Result<KeyPair> {
    Ok(KeyPair::from_seed(&READER_SEED)?)
}

/// The inbox that is filled and drained.
pub(crate) fn inbox(domain: DomainId) -> Result<Address> {
    Ok(Address::new(domain, Target::Inbox(AgentRef::Id(reader_key()?.id()))))
}

impl Wire for Publisher {
    fn send(&mut self, tags: Range<usize>) -> Result<()> {
        self.bytes.clear();
        self.prepared.frames(tags, &mut self.bytes)?;
        self.line.write(&self.bytes)
    }

    fn acknowledged(&mut self, tags: &mut Vec<usize>) -> Result<()> {
        while tags.is_empty() {
            self.line.read(|body| accepted(body, tags))?;
        }
        Ok(())
    }
}

/// Has a node accept a message, and deliver it to the agent that sent it.
pub(crate) fn probe(mut line: Line, domain: DomainId) -> Result<()> {
    line.register()?;
    let to = topic(domain)?;
    let subscribe = Command::Subscribe { subscription: 1, pattern: to.to_string(), start: Start::Next };
    line.command(subscribe)?;
    let mut bytes = Vec::new();
    Prepared::make(line.key(), &Alike::untyped(&to, b"probe"), 1)?.frames(0..1, &mut bytes)?;
    line.write(&bytes)?;
    let (mut accepted, mut delivered) = (false, false);
    while !(accepted && delivered) {
        match line.frame()? {
            ServerFrame::Receipts(_) => accepted = true,
            ServerFrame::Deliver(_) => delivered = true,
            other => bail!("the node said what was not expected: {other:?}"),
        }
    }
    Ok(())
}

/// The tags of accepted sends. Receipts are skipped, not decoded: the load generator of a peer checks no more.
fn accepted(body: &[u8], tags: &mut Vec<usize>) -> Result<()> {
    let mut decoder = Decoder::new(body);
    decoder.array()?;
    if decoder.u8()? != RECEIPTS {
        bail!("the node said what was not expected: {:?}", line::decode(body));
    }
    decoder.array()?;
    for _ in 0..RECEIPTS_AT {
        decoder.skip()?;
    }
    let count = decoder.array()?.context("a list without its length")?;
    for _ in 0..count {
        decoder.array()?;
        tags.push(usize::try_from(decoder.u64()?)?);
        decoder.skip()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::accepted;
    use openmesh_message::frame::{FrameEncoder, SendOutcome, ServerFrame};
    use openmesh_message::{Digest, KeyPair, Level, Receipt, ReceiptRun, Timestamp};

    #[test]
    fn tags_of_accepted_sends_are_read_and_anything_else_ends_the_load() {
        let receipt = |n: u8| Receipt {
            digest: Digest::of(&[n]),
            level: Level::Durable,
            position: None,
            logs: vec![],
            duplicate: false,
            policy_version: Digest::ZERO,
            at: Timestamp::from_millis(0),
        };
        let node = KeyPair::from_seed(&[3; 32]).unwrap();
        let receipts = (7..12).zip((0..5).map(receipt)).collect();
        let run = ReceiptRun::sign_all(&node, vec![receipts]).remove(0);
        let body = |frame: ServerFrame| {
            let mut bytes = Vec::new();
            FrameEncoder::default().encode_server(&frame, &mut bytes).unwrap();
            bytes[4..].to_vec()
        };
        let mut tags = Vec::new();
        accepted(&body(ServerFrame::Receipts(run)), &mut tags).unwrap();
        assert_eq!(tags, [7, 8, 9, 10, 11]);
        let unknown = ServerFrame::Outcomes(vec![(12, SendOutcome::Unknown)]);
        assert!(accepted(&body(unknown), &mut tags).is_err());
    }
}
