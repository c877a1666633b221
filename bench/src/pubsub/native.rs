//! Native frames on bare sockets: messages without proofs, vouched for by their connection, to a topic that is not pinned.

mod made;
mod scan;

use super::batch::{Batch, ID_BYTES, TAG_MIN, TIME_BYTES, Varying};
use super::{Blocks, Publisher, Subscriber};
use crate::generate::native::Line;
use crate::generate::now;
use anyhow::{Context, Result, bail, ensure};
pub(super) use made::{Made, Making};
use openmesh_message::frame::{ClientFrame, Command, FrameEncoder, SendOutcome, ServerFrame, Start};
use openmesh_message::{Address, AgentId, DomainId, Draft, Envelope, Performative, Target};
pub(crate) use scan::Frames;
use std::net::SocketAddr;

/// Not among the topics that the bench pins.
const TOPIC: &str = "live/published";
const ID: &str = "idididididid";
const SUBSCRIPTION: u64 = 1;
/// What a frame of one message begins with: four bytes of length, an array of two, kind 0, a list of one.
const FRAME_HEAD_BYTES: usize = 7;
/// In a message: an array of five, then the tag's first byte.
const TAG_AT: usize = 2;

pub(super) fn publisher(
    address: SocketAddr,
    domain: &DomainId,
    payload_bytes: usize,
    messages: usize,
) -> Result<Publisher> {
    let mut line = Line::connect(address, domain)?;
    line.register()?;
    let mut encoder = FrameEncoder::default();
    let envelope = envelope(*domain, &line.key().id(), payload_bytes)?;
    let mut encode = || {
        let mut bytes = Vec::new();
        let frame = ClientFrame::Send(vec![(u64::from(TAG_MIN), envelope.clone())]);
        encoder.encode_client(&frame, &mut bytes).map(|()| bytes)
    };
    // The first message says once what the others refer to.
    line.write(&encode()?)?;
    match line.frame()? {
        ServerFrame::Outcomes(outcomes) if matches!(outcomes.as_slice(), [(_, SendOutcome::Passed)]) => {}
        ServerFrame::Passed(_, 1) => {}
        other => bail!("the node said what was not expected: {other:?}"),
    }
    let frame = encode()?;
    let batch = block(
        frame.get(FRAME_HEAD_BYTES..).context("a frame holds more than its head")?,
        &envelope,
        messages,
    )?;
    Ok(Publisher {
        socket: line.into_socket(),
        scan: Box::new(Frames::new(SUBSCRIPTION)),
        blocks: Blocks::Renewed(batch),
    })
}

/// One whose messages are made before the clock starts.
pub(super) fn publisher_of_made(address: SocketAddr, domain: &DomainId, making: Making) -> Result<Publisher> {
    let mut line = Line::connect(address, domain)?;
    line.register()?;
    let blocks = Blocks::Made(Made::make(&mut line, *domain, making)?);
    Ok(Publisher { socket: line.into_socket(), scan: Box::new(Frames::new(SUBSCRIPTION)), blocks })
}

/// Its subscriber.
pub(super) fn subscriber_of_made(address: SocketAddr, domain: &DomainId) -> Result<Subscriber> {
    let Subscriber { socket, .. } = subscriber(address, domain)?;
    Ok(Subscriber { socket, scan: Box::new(Frames::reading(SUBSCRIPTION, made::seen)) })
}

pub(super) fn subscriber(address: SocketAddr, domain: &DomainId) -> Result<Subscriber> {
    let mut line = Line::connect(address, domain)?;
    line.register()?;
    let pattern = topic(*domain)?.to_string();
    line.command(Command::Subscribe { subscription: SUBSCRIPTION, pattern, start: Start::Next })?;
    Ok(Subscriber { socket: line.into_socket(), scan: Box::new(Frames::new(SUBSCRIPTION)) })
}

fn topic(domain: DomainId) -> Result<Address> {
    Ok(Address::new(domain, Target::Topic(TOPIC.parse()?)))
}

fn envelope(domain: DomainId, source: &AgentId, payload_bytes: usize) -> Result<Envelope> {
    let draft = Draft::new(ID, now()?, &topic(domain)?, &Performative::Inform);
    let mut payload = vec![b'x'; payload_bytes];
    if let Some(first) = payload.first_mut() {
        *first = b'p';
    }
    Ok(draft.payload("application/octet-stream", payload).unsigned(source)?)
}

/// A frame of so many times this message.
fn block(message: &[u8], envelope: &Envelope, messages: usize) -> Result<Batch> {
    let time = envelope.attributes.get("time").context("a message without a time")?;
    ensure!(time.len() == TIME_BYTES && ID.len() == ID_BYTES, "a text of another length");
    let varying = Varying {
        tag_at: TAG_AT,
        id_at: place(message, ID.as_bytes())?,
        time_at: place(message, time.as_bytes())?,
    };
    let payload_at = place(message, &envelope.payload)?;
    let mut head = minicbor::Encoder::new(Vec::new());
    head.array(2)?.u8(0)?.array(messages as u64)?;
    let head = head.into_writer();
    let length = u32::try_from(head.len() + message.len() * messages)?;
    let head = [&length.to_be_bytes()[..], &head].concat();
    Ok(Batch::new(&head, message, payload_at, messages).with(varying))
}

fn place(message: &[u8], part: &[u8]) -> Result<usize> {
    let found = message.windows(part.len()).position(|bytes| bytes == part);
    found.context("a message does not hold its own parts")
}
