//! Which connections are the ends of a stream, and what happens when an end comes or goes.

use super::{End, Ended, READER_WINDOWS_BYTES_MAX, Side, StreamKey, Streams, Told, WINDOWS_BYTES_MAX};
use crate::input::ConnectionId;
use crate::planted::{self, Planted};
use crate::rejection::Rejection;
use openmesh_message::frame::StreamEvent;
use openmesh_message::limits::{STREAM_AWAY_MS_MAX, STREAM_WINDOW_BYTES_MAX, STREAM_WINDOW_BYTES_MIN};
use openmesh_message::{AgentId, Timestamp};

/// No stream gets so far.
const PLACE_MAX: u64 = 1 << 62;

/// Where the reader goes on, and how much may be on its way to it.
#[derive(Clone, Copy)]
pub(super) struct From {
    pub(super) place: u64,
    pub(super) window: u64,
}

impl Streams {
    /// A connection is gone, and so are the ends it was.
    pub(crate) fn disconnect(&mut self, connection: ConnectionId, now: Timestamp) {
        let ends = self.ends.range((connection, 0)..=(connection, u64::MAX));
        let gone: Vec<_> = ends.map(|(_, of)| of.clone()).collect();
        for (key, side) in gone {
            self.detach(&key, side);
            self.set_deadline(&key, Some(now.plus_ms(STREAM_AWAY_MS_MAX)));
        }
    }

    /// The agent that offered the stream writes it here, from a place on.
    pub(super) fn write(&mut self, key: &StreamKey, end: End, from: u64, told: &mut Told) {
        if let Err(why) = self.check_attach(key, end, from) {
            return refuse(end, &why, told);
        }
        if self.tell_if_ended(key, end, told) {
            return;
        }
        self.attach(key, end, Side::Writer, told);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.kept_from = from;
            if planted::has(Planted::RepeatARun) {
                stream.passed = stream.consumed;
            }
        }
        self.start(key, told);
    }

    /// The agent to which the stream was offered reads it here.
    pub(super) fn read(
        &mut self,
        key: &StreamKey,
        (end, agent): (End, AgentId),
        from: From,
        told: &mut Told,
    ) {
        let is_reader = self.streams.get(key).is_some_and(|stream| stream.offer.reader == agent);
        let checked =
            if is_reader { self.check_attach(key, end, from.place) } else { Err(Rejection::UnknownStream) };
        if let Err(why) = checked {
            return refuse(end, &why, told);
        }
        if self.tell_if_ended(key, end, told) {
            return;
        }
        if let Some(before) = self.detach(key, Side::Reader) {
            refuse(before, &Rejection::StreamTakenOver, told);
        }
        if let Err(why) = self.reserve(agent, from.window) {
            self.set_deadline(key, Some(told.deadline()));
            return refuse(end, &why, told);
        }
        self.attach(key, end, Side::Reader, told);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.window = from.window;
            (stream.passed, stream.consumed, stream.credited) = (from.place, from.place, from.place);
            stream.fin = None;
        }
        self.start(key, told);
    }

    /// Lets go of an end, and of the room that a reader's end takes up.
    pub(super) fn detach(&mut self, key: &StreamKey, side: Side) -> Option<End> {
        let stream = self.streams.get_mut(key)?;
        let end = stream.end_of(side).take()?;
        self.ends.remove(&end);
        if side == Side::Reader {
            let (agent, window) = (stream.offer.reader, std::mem::take(&mut stream.window));
            self.windows_bytes = self.windows_bytes.saturating_sub(window);
            match self.windows.get_mut(&agent) {
                Some(bytes) if *bytes > window => *bytes -= window,
                _ => _ = self.windows.remove(&agent),
            }
        }
        Some(end)
    }

    /// Both ends are there: a run begins, where what was passed on ends.
    fn start(&mut self, key: &StreamKey, told: &mut Told) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let (Some(writer), Some(reader)) = (stream.writer, stream.reader) else {
            return self.set_deadline(key, Some(told.deadline()));
        };
        if stream.kept_from > stream.passed {
            return self.end(key, &Ended::Reset(Rejection::StreamItemsGone), None, told);
        }
        stream.run += 1;
        stream.credited = stream.consumed;
        stream.kept_from = stream.kept_from.max(stream.consumed);
        let (run, from, consumed, window) = (stream.run, stream.passed, stream.consumed, stream.window);
        for (connection, stream) in [writer, reader] {
            told.push((connection, StreamEvent::Go { stream, run, from, consumed, window }));
        }
        self.set_deadline(key, None);
    }

    fn check_attach(&self, key: &StreamKey, end: End, place: u64) -> Result<(), Rejection> {
        if !self.streams.contains_key(key) {
            return Err(Rejection::UnknownStream);
        }
        let is_free = !self.ends.contains_key(&end);
        if is_free && place <= PLACE_MAX { Ok(()) } else { Err(Rejection::StreamDisorder) }
    }

    fn tell_if_ended(&self, key: &StreamKey, end: End, told: &mut Told) -> bool {
        let Some(ended) = self.streams.get(key).and_then(|stream| stream.ended.as_ref()) else {
            return false;
        };
        told.push(ended.told(end));
        true
    }

    fn attach(&mut self, key: &StreamKey, end: End, side: Side, told: &mut Told) {
        if let Some(before) = self.detach(key, side) {
            refuse(before, &Rejection::StreamTakenOver, told);
        }
        if let Some(stream) = self.streams.get_mut(key) {
            *stream.end_of(side) = Some(end);
            self.ends.insert(end, (key.clone(), side));
        }
    }

    fn reserve(&mut self, agent: AgentId, window: u64) -> Result<(), Rejection> {
        let held = self.windows.get(&agent).copied().unwrap_or_default();
        let in_bounds = (STREAM_WINDOW_BYTES_MIN..=STREAM_WINDOW_BYTES_MAX).contains(&window);
        let has_room = held.saturating_add(window) <= READER_WINDOWS_BYTES_MAX
            && self.windows_bytes.saturating_add(window) <= WINDOWS_BYTES_MAX;
        if !in_bounds || !has_room {
            return Err(Rejection::StreamWindow);
        }
        self.windows.insert(agent, held + window);
        self.windows_bytes += window;
        Ok(())
    }
}

pub(super) fn refuse((connection, stream): End, why: &Rejection, told: &mut Told) {
    told.push((connection, StreamEvent::Refused { stream, problem: Box::new(why.to_problem()) }));
}
