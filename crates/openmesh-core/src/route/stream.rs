//! Streams: items of one agent on their way to another, never more than the reader gave credit for.
//!
//! A stream is offered by a message; then each side says which of its connections is its end. What was passed on lies in
//! the reader's outbox, nothing of it here. Lives in memory alone: after a restart the writer offers its stream again.

mod acts;
mod ends;
#[cfg(test)]
mod tests;

use crate::input::ConnectionId;
use crate::rejection::Rejection;
use openmesh_message::frame::StreamEvent;
use openmesh_message::limits::STREAM_AWAY_MS_MAX;
use openmesh_message::{AgentId, ControlAttributes, Digest, Timestamp};
use openmesh_policy::Authenticity;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Streams open at a time.
const STREAMS_MAX: usize = 65_536;
/// Streams remembered that have ended, for ends that did not hear of it.
const ENDED_MAX: usize = 16_384;
/// Streams of one sender open at a time.
const STREAMS_PER_SENDER_MAX: usize = 256;
/// Bytes of all windows of one reader together.
const READER_WINDOWS_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of all windows together.
const WINDOWS_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A stream: who offered it, and by which message.
pub(crate) type StreamKey = (AgentId, Arc<str>);

/// One side's end: its connection, and the number it gave.
type End = (ConnectionId, u64);

/// What ends are told at one moment.
pub(crate) struct Told {
    now: Timestamp,
    pub(crate) events: Vec<(ConnectionId, StreamEvent)>,
}

/// All streams.
#[derive(Default)]
pub(crate) struct Streams {
    streams: BTreeMap<StreamKey, Stream>,
    ends: BTreeMap<End, (StreamKey, Side)>,
    by_time: BTreeSet<(Timestamp, StreamKey)>,
    /// Streams that have ended, the first first; some of them forgotten since.
    ended: VecDeque<StreamKey>,
    open: usize,
    sent: BTreeMap<AgentId, usize>,
    windows: BTreeMap<AgentId, u64>,
    windows_bytes: u64,
}

/// Which end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Writer,
    Reader,
}

/// How a stream ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    /// All was taken.
    Done,
    /// It was broken off.
    Reset(Rejection),
}

/// A message that offers a stream, as far as it matters later.
pub(crate) struct Offer {
    /// Its steering attributes.
    pub(crate) control: ControlAttributes,
    /// Its digest.
    pub(crate) digest: Digest,
    /// How its sender is known.
    pub(crate) authenticity: Authenticity,
    /// Whom it goes to.
    pub(crate) reader: AgentId,
}

struct Stream {
    offer: Offer,
    writer: Option<End>,
    reader: Option<End>,
    /// Counts how often both ends came together: what is of an earlier run is dropped.
    run: u64,
    /// The writer has no items before this place.
    kept_from: u64,
    /// The place behind the last item passed on.
    passed: u64,
    /// Everything before this place was taken.
    consumed: u64,
    /// The same, as the writer was told.
    credited: u64,
    window: u64,
    /// Where the writer said that it ends, and the reader was told.
    fin: Option<u64>,
    ended: Option<Ended>,
    deadline: Option<Timestamp>,
}

impl Told {
    /// Nothing yet.
    pub(crate) const fn at(now: Timestamp) -> Self {
        Self { now, events: Vec::new() }
    }

    fn push(&mut self, (connection, event): (ConnectionId, StreamEvent)) {
        self.events.push((connection, event));
    }

    const fn deadline(&self) -> Timestamp {
        self.now.plus_ms(STREAM_AWAY_MS_MAX)
    }
}

impl Stream {
    const fn end_of(&mut self, side: Side) -> &mut Option<End> {
        match side {
            Side::Writer => &mut self.writer,
            Side::Reader => &mut self.reader,
        }
    }
}

impl Streams {
    /// Streams that have not ended.
    pub(crate) const fn open(&self) -> usize {
        self.open
    }

    /// Whether this very message has offered a stream that is known.
    pub(crate) fn is_offered(&self, control: &ControlAttributes, digest: &Digest) -> bool {
        self.offered(control).is_some_and(|offer| offer.digest == *digest)
    }

    /// Whether an offer can be taken: it is known, or there is room for it.
    pub(crate) fn check(&self, control: &ControlAttributes, digest: &Digest) -> Result<(), Rejection> {
        match self.offered(control) {
            Some(offer) if offer.digest == *digest => Ok(()),
            Some(_) => Err(Rejection::IdConflict),
            None => {
                let sent = self.sent.get(&control.source).copied().unwrap_or_default();
                let has_room = sent < STREAMS_PER_SENDER_MAX && self.open < STREAMS_MAX;
                if has_room { Ok(()) } else { Err(Rejection::TooManyStreams) }
            }
        }
    }

    /// Takes an offer that was checked; one that is known stays as it is.
    pub(crate) fn offer(&mut self, offer: Offer, now: Timestamp) {
        let key = (offer.control.source, Arc::clone(&offer.control.id));
        if self.streams.contains_key(&key) {
            return;
        }
        *self.sent.entry(key.0).or_default() += 1;
        self.open += 1;
        let stream = Stream {
            offer,
            writer: None,
            reader: None,
            run: 0,
            kept_from: 0,
            passed: 0,
            consumed: 0,
            credited: 0,
            window: 0,
            fin: None,
            ended: None,
            deadline: None,
        };
        self.streams.insert(key.clone(), stream);
        self.set_deadline(&key, Some(now.plus_ms(STREAM_AWAY_MS_MAX)));
    }

    /// Streams that have not ended, with the messages that offered them.
    pub(crate) fn offers(&self) -> impl Iterator<Item = (&StreamKey, &Offer)> {
        let open = self.streams.iter().filter(|(_, stream)| stream.ended.is_none());
        open.map(|(key, stream)| (key, &stream.offer))
    }

    /// When a stream is next broken off, or forgotten, because an end is away.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(time, _)| *time)
    }

    /// Breaks off, and later forgets, streams of which an end was away for too long.
    pub(crate) fn end_deserted(&mut self, told: &mut Told) {
        while let Some((_, key)) = self.by_time.first().filter(|(time, _)| *time <= told.now).cloned() {
            if self.streams.get(&key).is_some_and(|stream| stream.ended.is_none()) {
                self.end(&key, &Ended::Reset(Rejection::StreamPeerGone), None, told);
            } else {
                self.forget(&key);
            }
        }
    }

    /// Ends a stream: tells both ends but the one that did it, and remembers it for those that do not hear of it.
    pub(crate) fn end(&mut self, key: &StreamKey, how: &Ended, by: Option<Side>, told: &mut Told) {
        for side in [Side::Writer, Side::Reader] {
            if let Some(end) = self.detach(key, side).filter(|_| by != Some(side)) {
                told.push(how.told(end));
            }
        }
        let Some(stream) = self.streams.get_mut(key).filter(|stream| stream.ended.is_none()) else { return };
        stream.ended = Some(how.clone());
        self.set_deadline(key, Some(told.deadline()));
        self.open -= 1;
        match self.sent.get_mut(&key.0) {
            Some(sent) if *sent > 1 => *sent -= 1,
            _ => _ = self.sent.remove(&key.0),
        }
        self.ended.push_back(key.clone());
        if self.ended.len() > ENDED_MAX
            && let Some(first) = self.ended.pop_front()
            && self.streams.get(&first).is_some_and(|stream| stream.ended.is_some())
        {
            self.forget(&first);
        }
    }

    fn offered(&self, control: &ControlAttributes) -> Option<&Offer> {
        control.stream.as_ref()?;
        self.streams.get(&(control.source, Arc::clone(&control.id))).map(|stream| &stream.offer)
    }

    fn forget(&mut self, key: &StreamKey) {
        self.set_deadline(key, None);
        self.streams.remove(key);
    }

    fn set_deadline(&mut self, key: &StreamKey, deadline: Option<Timestamp>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if let Some(before) = std::mem::replace(&mut stream.deadline, deadline) {
            self.by_time.remove(&(before, key.clone()));
        }
        if let Some(time) = deadline {
            self.by_time.insert((time, key.clone()));
        }
    }
}

impl Ended {
    fn told(&self, (connection, stream): End) -> (ConnectionId, StreamEvent) {
        let event = match self {
            Self::Done => StreamEvent::Done { stream },
            Self::Reset(why) => StreamEvent::Reset { stream, problem: Box::new(why.to_problem()) },
        };
        (connection, event)
    }
}
