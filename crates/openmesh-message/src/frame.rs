//! Native frames: what an agent and its node say to each other after the handshake.
//!
//! On the wire each frame is its length (4 bytes, big-endian) and its body: one CBOR array, its kind first.
//! Frames carry batches.

mod alike;
mod command;
mod held;
mod interned;
mod query;
mod retention;
mod run;
mod stream;

pub use command::{Command, Leased, Reply, Start};
pub use held::{HeldState, InboxCounts, PeekPage, Peeked};
pub(crate) use interned::known_name;
pub use interned::{DecodeTable, EncodeTable};
pub use query::{LogFilter, LogPage, Verdict};
pub use retention::Retention;
pub use run::{Lone, Run, RunDelivery, Sent};
pub use stream::{StreamAct, StreamEvent, item_cost};

use crate::limits::{FRAME_BYTES_MAX, FRAME_MESSAGES_MAX};
use crate::{Envelope, Problem, ReceiptRun, SignedReceipt};
use bytes::Bytes;
use interned::{Coming, ENVELOPE_ITEMS, decode_coming, decode_envelope, encode_envelope};
use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Decoder, Encode, Encoder};
use run::Gathering;
use std::convert::Infallible;
use std::sync::Arc;

/// What an agent says.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientFrame {
    /// Messages to send, each with a tag that its outcome will bear.
    Send(Vec<(u64, Envelope)>),
    /// A command, with a tag that its reply will bear.
    Command(u64, Command),
    /// Asks for a `Pong` with the same number.
    Ping(u64),
    /// What it says of streams.
    Stream(Vec<StreamAct>),
}

/// What a node says.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerFrame {
    /// How sends ended.
    Outcomes(Vec<(u64, SendOutcome)>),
    /// How a command ended.
    Reply(u64, Result<Reply, Problem>),
    /// Messages for the agent's subscriptions, and what it missed.
    Deliver(Vec<Delivery>),
    /// Answers `Ping`.
    Pong(u64),
    /// The node ends the connection.
    Goodbye(Problem),
    /// Sends that were accepted in one commit.
    Receipts(ReceiptRun),
    /// What it says of streams.
    Stream(Vec<StreamEvent>),
    /// Sends whose tags follow one another were handed over and keep no receipt: the first one's tag, and how many.
    Passed(u64, u64),
}

/// What a node reads of an agent: a frame whose messages that are alike stay as they came.
#[derive(Debug)]
pub enum Heard {
    /// [`ClientFrame::Send`].
    Sent(Sent),
    /// [`ClientFrame::Command`].
    Command(u64, Command),
    /// [`ClientFrame::Ping`].
    Ping(u64),
    /// [`ClientFrame::Stream`].
    Stream(Vec<StreamAct>),
}

/// How a send ended, as far as the node can say.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum SendOutcome {
    /// The message was taken in and is kept as the receipt says.
    #[n(0)]
    Accepted(#[n(0)] SignedReceipt),
    /// The message was refused and nothing of it is kept but the refusal.
    #[n(1)]
    Rejected(#[n(0)] Problem),
    /// The node cannot say: send the same message again.
    #[n(2)]
    Unknown,
    /// The message was handed over and keeps no receipt: it went to an ephemeral topic.
    #[n(3)]
    Passed,
}

/// One item of a subscription.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// A message.
    Message {
        /// The subscription.
        subscription: u64,
        /// Counts what matched the subscription, from 1, missed messages included.
        number: u64,
        /// The message; shared by all it is handed to.
        envelope: Arc<Envelope>,
    },
    /// Messages that matched but could not be handed over: the reader was too slow.
    Gap {
        /// The subscription.
        subscription: u64,
        /// The first number missed.
        first: u64,
        /// The last number missed.
        last: u64,
    },
}

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Larger than [`FRAME_BYTES_MAX`].
    #[error("a frame of {0} bytes is larger than {FRAME_BYTES_MAX}")]
    TooLarge(usize),
    /// Cannot be read.
    #[error("a frame cannot be read: {0}")]
    Malformed(String),
}

/// Encodes frames of one direction of one connection.
#[derive(Default)]
pub struct FrameEncoder {
    table: EncodeTable,
}

/// Decodes frames of one direction of one connection.
#[derive(Default)]
pub struct FrameDecoder {
    table: DecodeTable,
}

impl FrameEncoder {
    /// Appends length and body of a frame to `buffer`.
    pub fn encode_client(&mut self, frame: &ClientFrame, buffer: &mut Vec<u8>) -> Result<(), FrameError> {
        let table = &mut self.table;
        write_frame(buffer, |e| encode_client(e, frame, table))
    }

    /// Appends length and body of a frame to `buffer`.
    pub fn encode_server(&mut self, frame: &ServerFrame, buffer: &mut Vec<u8>) -> Result<(), FrameError> {
        let table = &mut self.table;
        write_frame(buffer, |e| encode_server(e, frame, table))
    }

    /// Appends length and body of a frame that delivers messages of a run.
    pub fn encode_run(&mut self, delivery: &RunDelivery, buffer: &mut Vec<u8>) -> Result<(), FrameError> {
        let table = &mut self.table;
        write_frame(buffer, |e| run::encode_run(e, delivery, table))
    }
}

impl FrameDecoder {
    /// Decodes the body of a frame.
    pub fn decode_client(&mut self, body: &[u8]) -> Result<ClientFrame, FrameError> {
        Ok(match self.hear(&Bytes::copy_from_slice(body))? {
            Heard::Sent(sent) => ClientFrame::Send(sent.into_messages()),
            Heard::Command(tag, command) => ClientFrame::Command(tag, command),
            Heard::Ping(number) => ClientFrame::Ping(number),
            Heard::Stream(acts) => ClientFrame::Stream(acts),
        })
    }

    /// Decodes the body of a frame, and leaves messages that are alike as they came.
    pub fn hear(&mut self, body: &Bytes) -> Result<Heard, FrameError> {
        read_frame(body, |d| hear(d, body, &mut self.table))
    }

    /// Decodes the body of a frame.
    pub fn decode_server(&mut self, body: &[u8]) -> Result<ServerFrame, FrameError> {
        read_frame(body, |d| decode_server(d, &mut self.table))
    }
}

/// The length of the frame's body from its first four bytes.
pub fn body_length(header: [u8; 4]) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(header) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge(length));
    }
    Ok(length)
}

type Encoded = Result<(), minicbor::encode::Error<Infallible>>;

/// Frames are written to memory, which cannot fail.
type FrameWriter<'a> = Encoder<&'a mut Vec<u8>>;

fn write_frame<'a>(
    buffer: &'a mut Vec<u8>,
    write: impl FnOnce(&mut FrameWriter<'a>) -> Encoded,
) -> Result<(), FrameError> {
    let start = buffer.len();
    buffer.extend([0; 4]);
    let mut encoder = Encoder::new(buffer);
    write(&mut encoder).map_err(|error| FrameError::Malformed(error.to_string()))?;
    let buffer = encoder.into_writer();
    let length = buffer.len() - start - 4;
    if length > FRAME_BYTES_MAX {
        buffer.truncate(start);
        return Err(FrameError::TooLarge(length));
    }
    if let Some(header) = buffer.get_mut(start..start + 4) {
        header.copy_from_slice(&(length as u32).to_be_bytes());
    }
    Ok(())
}

fn read_frame<T>(
    body: &[u8],
    read: impl FnOnce(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Result<T, FrameError> {
    let mut decoder = Decoder::new(body);
    let frame = read(&mut decoder).map_err(|error| FrameError::Malformed(error.to_string()))?;
    if decoder.position() != body.len() {
        return Err(FrameError::Malformed("bytes follow the frame".to_owned()));
    }
    Ok(frame)
}

fn encode_client(e: &mut FrameWriter<'_>, frame: &ClientFrame, table: &mut EncodeTable) -> Encoded {
    match frame {
        ClientFrame::Send(messages) => {
            e.array(2)?.u8(0)?.array(messages.len() as u64)?;
            for (tag, envelope) in messages {
                e.array(1 + ENVELOPE_ITEMS)?.u64(*tag)?;
                encode_envelope(e, envelope, table)?;
            }
        }
        ClientFrame::Command(tag, command) => {
            e.array(3)?.u8(1)?.u64(*tag)?.encode(command)?;
        }
        ClientFrame::Ping(number) => {
            e.array(2)?.u8(2)?.u64(*number)?;
        }
        ClientFrame::Stream(acts) => {
            e.array(2)?.u8(3)?.encode(acts)?;
        }
    }
    Ok(())
}

fn hear(d: &mut Decoder<'_>, body: &Bytes, table: &mut DecodeTable) -> Result<Heard, DecodeError> {
    let items = items(d)?;
    match (d.u8()?, items) {
        (0, 2) => decode_sent(d, body, table).map(Heard::Sent),
        (1, 3) => Ok(Heard::Command(d.u64()?, d.decode()?)),
        (2, 2) => Ok(Heard::Ping(d.u64()?)),
        (3, 2) => decode_list(d, Decoder::decode).map(Heard::Stream),
        (kind, items) => {
            Err(DecodeError::message(format!("no client frame has kind {kind} and {items} items")))
        }
    }
}

fn decode_sent(d: &mut Decoder<'_>, body: &Bytes, table: &mut DecodeTable) -> Result<Sent, DecodeError> {
    let (mut sent, mut gathering) = (Sent::default(), None::<Gathering>);
    let messages = list_length(d)?;
    for number in 0..messages {
        expect_items(d, 1 + ENVELOPE_ITEMS)?;
        let tag = d.u64()?;
        if !sent.messages.is_empty() {
            sent.messages.push((tag, decode_envelope(d, table)?));
            continue;
        }
        match decode_coming(d, table)? {
            Coming::Alike(own, payload) => {
                if gathering.as_ref().is_none_or(|run| !run.goes_on(tag, &own.form, payload.end)) {
                    sent.runs.extend(gathering.take().map(|run| run.end(body)));
                }
                let run = gathering.get_or_insert_with(|| Gathering::begin(tag, Arc::clone(&own.form)));
                run.add(&own, payload);
            }
            Coming::Other(envelope) => {
                sent.messages.reserve_exact((messages - number) as usize);
                sent.messages.push((tag, envelope));
            }
        }
    }
    sent.runs.extend(gathering.map(|run| run.end(body)));
    Ok(sent)
}

fn encode_server(e: &mut FrameWriter<'_>, frame: &ServerFrame, table: &mut EncodeTable) -> Encoded {
    match frame {
        ServerFrame::Outcomes(outcomes) => {
            e.array(2)?.u8(0)?.encode(outcomes)?;
        }
        ServerFrame::Reply(tag, reply) => {
            e.array(3)?.u8(1)?.u64(*tag)?.encode(reply)?;
        }
        ServerFrame::Deliver(deliveries) => {
            e.array(2)?.u8(2)?.array(deliveries.len() as u64)?;
            for delivery in deliveries {
                encode_delivery(e, delivery, table)?;
            }
        }
        ServerFrame::Pong(number) => {
            e.array(2)?.u8(3)?.u64(*number)?;
        }
        ServerFrame::Goodbye(problem) => {
            e.array(2)?.u8(4)?.encode(problem)?;
        }
        ServerFrame::Receipts(run) => {
            e.array(2)?.u8(5)?.encode(run)?;
        }
        ServerFrame::Stream(events) => {
            e.array(2)?.u8(6)?.encode(events)?;
        }
        ServerFrame::Passed(first, count) => {
            e.array(3)?.u8(7)?.u64(*first)?.u64(*count)?;
        }
    }
    Ok(())
}

fn decode_server(d: &mut Decoder<'_>, table: &mut DecodeTable) -> Result<ServerFrame, DecodeError> {
    let items = items(d)?;
    match (d.u8()?, items) {
        (0, 2) => Ok(ServerFrame::Outcomes(decode_list(d, Decoder::decode)?)),
        (1, 3) => Ok(ServerFrame::Reply(d.u64()?, d.decode()?)),
        (2, 2) => Ok(ServerFrame::Deliver(decode_list(d, |d| decode_delivery(d, table))?)),
        (3, 2) => Ok(ServerFrame::Pong(d.u64()?)),
        (4, 2) => Ok(ServerFrame::Goodbye(d.decode()?)),
        (5, 2) => decode_receipts(d).map(ServerFrame::Receipts),
        (6, 2) => Ok(ServerFrame::Stream(decode_list(d, Decoder::decode)?)),
        (7, 3) => decode_passed(d),
        (kind, items) => {
            Err(DecodeError::message(format!("no server frame has kind {kind} and {items} items")))
        }
    }
}

fn decode_receipts(d: &mut Decoder<'_>) -> Result<ReceiptRun, DecodeError> {
    let run: ReceiptRun = d.decode()?;
    if run.len() > FRAME_MESSAGES_MAX {
        return Err(DecodeError::message(format!("more than {FRAME_MESSAGES_MAX} receipts in a frame")));
    }
    Ok(run)
}

fn decode_passed(d: &mut Decoder<'_>) -> Result<ServerFrame, DecodeError> {
    let (first, count) = (d.u64()?, d.u64()?);
    if count > FRAME_MESSAGES_MAX as u64 || first.checked_add(count).is_none() {
        return Err(DecodeError::message(format!(
            "more than {FRAME_MESSAGES_MAX} sends passed on in a frame"
        )));
    }
    Ok(ServerFrame::Passed(first, count))
}

fn encode_delivery(e: &mut FrameWriter<'_>, delivery: &Delivery, table: &mut EncodeTable) -> Encoded {
    match delivery {
        Delivery::Message { subscription, number, envelope } => {
            put_delivery_head(e, *subscription, *number)?;
            encode_envelope(e, envelope, table)
        }
        Delivery::Gap { subscription, first, last } => {
            e.array(4)?.u8(1)?.u64(*subscription)?.u64(*first)?.u64(*last)?;
            Ok(())
        }
    }
}

fn put_delivery_head(e: &mut FrameWriter<'_>, subscription: u64, number: u64) -> Encoded {
    e.array(3 + ENVELOPE_ITEMS)?.u8(0)?.u64(subscription)?.u64(number)?;
    Ok(())
}

fn decode_delivery(d: &mut Decoder<'_>, table: &mut DecodeTable) -> Result<Delivery, DecodeError> {
    const MESSAGE_ITEMS: u64 = 3 + ENVELOPE_ITEMS;
    let items = items(d)?;
    match (d.u8()?, items) {
        (0, MESSAGE_ITEMS) => Ok(Delivery::Message {
            subscription: d.u64()?,
            number: d.u64()?,
            envelope: Arc::new(decode_envelope(d, table)?),
        }),
        (1, 4) => Ok(Delivery::Gap { subscription: d.u64()?, first: d.u64()?, last: d.u64()? }),
        (kind, items) => Err(DecodeError::message(format!("no delivery has kind {kind} and {items} items"))),
    }
}

fn decode_list<'b, T>(
    d: &mut Decoder<'b>,
    mut item: impl FnMut(&mut Decoder<'b>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    (0..list_length(d)?).map(|_| item(d)).collect()
}

fn list_length(d: &mut Decoder<'_>) -> Result<u64, DecodeError> {
    let count = items(d)?;
    if count > FRAME_MESSAGES_MAX as u64 {
        return Err(DecodeError::message(format!("more than {FRAME_MESSAGES_MAX} items in a frame")));
    }
    Ok(count)
}

fn expect_items(d: &mut Decoder<'_>, expected: u64) -> Result<(), DecodeError> {
    match items(d)? {
        found if found == expected => Ok(()),
        found => Err(DecodeError::message(format!("{found} items where {expected} belong"))),
    }
}

fn items(d: &mut Decoder<'_>) -> Result<u64, DecodeError> {
    d.array()?.ok_or_else(|| DecodeError::message("a list without its length"))
}
