//! Frames of streams: items from one agent to another within the credit that the reader gives (`spec/streams.md`).
//!
//! A place in a stream is a count of bytes: each item takes up what [`item_cost`] says, so that the item behind it
//! begins there. Items without a gap or a repeat are those whose places follow each other.

use crate::limits::STREAM_ITEM_OVERHEAD_BYTES;
use crate::{AgentId, Problem};
use bytes::Bytes;
use minicbor::{Decode, Encode};

/// What an agent says of a stream; `stream` is the number its connection gives to this end of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum StreamAct {
    /// This connection writes a stream that its agent offered.
    #[n(0)]
    Write {
        /// The number it gives to this end, never used before on the connection.
        #[n(0)]
        stream: u64,
        /// The id of the message that offered it.
        #[n(1)]
        id: String,
        /// The place of the first item that it still has.
        #[n(2)]
        from: u64,
    },
    /// This connection reads a stream that was offered to its agent.
    #[n(1)]
    Read {
        /// The number it gives to this end, never used before on the connection.
        #[n(0)]
        stream: u64,
        /// Who offered it.
        #[n(1)]
        sender: AgentId,
        /// The id of the message that offered it.
        #[n(2)]
        id: String,
        /// The place of the first item that it has not taken.
        #[n(3)]
        from: u64,
        /// How much may be on its way to it.
        #[n(4)]
        window: u64,
    },
    /// The next item.
    #[n(2)]
    Item {
        /// The writing end.
        #[n(0)]
        stream: u64,
        /// The run it belongs to, as `Go` gave it.
        #[n(1)]
        run: u64,
        /// Its place.
        #[n(2)]
        offset: u64,
        /// Its bytes.
        #[n(3)]
        #[cbor(with = "crate::envelope::byte_string")]
        item: Bytes,
    },
    /// Everything before this place was taken.
    #[n(3)]
    Credit {
        /// The reading end.
        #[n(0)]
        stream: u64,
        /// The place.
        #[n(1)]
        consumed: u64,
    },
    /// No item follows.
    #[n(4)]
    Fin {
        /// The writing end.
        #[n(0)]
        stream: u64,
        /// The run it belongs to.
        #[n(1)]
        run: u64,
        /// The place behind the last item.
        #[n(2)]
        offset: u64,
    },
    /// All was taken, the end as well.
    #[n(5)]
    Done {
        /// The reading end.
        #[n(0)]
        stream: u64,
    },
    /// Breaks the stream off, at either end.
    #[n(6)]
    Reset {
        /// The end.
        #[n(0)]
        stream: u64,
        /// Why, for the other end.
        #[n(1)]
        reason: String,
    },
}

/// What a node says of a stream, by the number that the connection gave to its end.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum StreamEvent {
    /// To both: both ends are there; a run begins, with the item at this place.
    #[n(0)]
    Go {
        /// The end.
        #[n(0)]
        stream: u64,
        /// What the items of this run bear.
        #[n(1)]
        run: u64,
        /// The place of the item to go on with.
        #[n(2)]
        from: u64,
        /// Everything before this place was taken.
        #[n(3)]
        consumed: u64,
        /// How far beyond what was taken items may reach.
        #[n(4)]
        window: u64,
    },
    /// The connection has no such end, or no longer; the stream itself may go on.
    #[n(1)]
    Refused {
        /// The end.
        #[n(0)]
        stream: u64,
        /// Why.
        #[n(1)]
        problem: Box<Problem>,
    },
    /// To the reader: the next item.
    #[n(2)]
    Item {
        /// The reading end.
        #[n(0)]
        stream: u64,
        /// Its place.
        #[n(1)]
        offset: u64,
        /// Its bytes.
        #[n(2)]
        #[cbor(with = "crate::envelope::byte_string")]
        item: Bytes,
    },
    /// To the writer: everything before this place was taken.
    #[n(3)]
    Credit {
        /// The writing end.
        #[n(0)]
        stream: u64,
        /// The place.
        #[n(1)]
        consumed: u64,
    },
    /// To the reader: no item follows.
    #[n(4)]
    Fin {
        /// The reading end.
        #[n(0)]
        stream: u64,
        /// The place behind the last item.
        #[n(1)]
        offset: u64,
    },
    /// To both: all was taken; the stream has ended.
    #[n(5)]
    Done {
        /// The end.
        #[n(0)]
        stream: u64,
    },
    /// The stream was broken off.
    #[n(6)]
    Reset {
        /// The end.
        #[n(0)]
        stream: u64,
        /// Why.
        #[n(1)]
        problem: Box<Problem>,
    },
}

/// What an item takes up of a stream's window.
pub const fn item_cost(item_bytes: usize) -> u64 {
    (item_bytes + STREAM_ITEM_OVERHEAD_BYTES) as u64
}

impl StreamAct {
    /// The end it speaks of.
    pub const fn stream(&self) -> u64 {
        match self {
            Self::Write { stream, .. }
            | Self::Read { stream, .. }
            | Self::Item { stream, .. }
            | Self::Credit { stream, .. }
            | Self::Fin { stream, .. }
            | Self::Done { stream }
            | Self::Reset { stream, .. } => *stream,
        }
    }
}

impl StreamEvent {
    /// The end it speaks of.
    pub const fn stream(&self) -> u64 {
        match self {
            Self::Go { stream, .. }
            | Self::Refused { stream, .. }
            | Self::Item { stream, .. }
            | Self::Credit { stream, .. }
            | Self::Fin { stream, .. }
            | Self::Done { stream }
            | Self::Reset { stream, .. } => *stream,
        }
    }

    /// Bytes that it takes up while it waits, about.
    pub const fn bytes(&self) -> usize {
        match self {
            Self::Item { item, .. } => item.len() + STREAM_ITEM_OVERHEAD_BYTES,
            _ => STREAM_ITEM_OVERHEAD_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClientFrame, FrameDecoder, FrameEncoder, ServerFrame};
    use super::{StreamAct, StreamEvent, item_cost};
    use crate::limits::{STREAM_ITEM_BYTES_MAX, STREAM_WINDOW_BYTES_MIN};

    #[test]
    fn frames_of_streams_go_there_and_back() {
        let act = StreamAct::Item { stream: 3, run: 2, offset: 1 << 40, item: vec![7; 9].into() };
        let acts = ClientFrame::Stream(vec![act, StreamAct::Done { stream: 3 }]);
        let event = StreamEvent::Item { stream: 3, offset: 5, item: vec![7; 9].into() };
        let events = ServerFrame::Stream(vec![event]);
        let (mut encoder, mut decoder) = (FrameEncoder::default(), FrameDecoder::default());
        let mut bytes = Vec::new();
        encoder.encode_client(&acts, &mut bytes).unwrap();
        assert_eq!(decoder.decode_client(&bytes[4..]), Ok(acts));
        bytes.clear();
        encoder.encode_server(&events, &mut bytes).unwrap();
        assert_eq!(decoder.decode_server(&bytes[4..]), Ok(events));
    }

    #[test]
    fn every_item_fits_every_window() {
        assert_eq!(item_cost(STREAM_ITEM_BYTES_MAX), STREAM_WINDOW_BYTES_MIN);
    }
}
