//! What agents say of a stream, held against what came before it.

use super::ends::From;
use super::{Ended, Side, Stream, StreamKey, Streams, Told};
use crate::input::ConnectionId;
use crate::planted::{self, Planted};
use crate::rejection::Rejection;
use bytes::Bytes;
use openmesh_message::AgentId;
use openmesh_message::frame::{StreamAct, StreamEvent, item_cost};
use openmesh_message::limits::{STREAM_ITEM_BYTES_MAX, STREAM_REASON_BYTES_MAX};

/// The writer is told of credit when a part of the window of this size was taken, or all that is there.
const CREDIT_PARTS: u64 = 4;

impl Streams {
    /// Takes what an agent says on a connection. What is said of an end that is no longer one says nothing: its stream
    /// ended, or the word of that crossed it.
    pub(crate) fn act(
        &mut self,
        (connection, agent): (ConnectionId, AgentId),
        act: StreamAct,
        told: &mut Told,
    ) {
        let end = (connection, act.stream());
        match act {
            StreamAct::Write { id, from, .. } => self.write(&(agent, id.into()), end, from, told),
            StreamAct::Read { sender, id, from, window, .. } => {
                let from = From { place: from, window };
                self.read(&(sender, id.into()), (end, agent), from, told);
            }
            said => {
                let Some((key, side)) = self.ends.get(&end).cloned() else { return };
                if let Some(how) = self.step(&key, side, said, told) {
                    let by = match (&how, side) {
                        (Ended::Reset(Rejection::StreamReset(_)), side) => Some(side),
                        _ => None,
                    };
                    self.end(&key, &how, by, told);
                }
            }
        }
    }

    /// What a stream that is open makes of it; how it ends, if it does.
    fn step(&mut self, key: &StreamKey, side: Side, said: StreamAct, told: &mut Told) -> Option<Ended> {
        let stream = self.streams.get_mut(key)?;
        let stepped = match (side, said) {
            (Side::Writer, StreamAct::Item { run, offset, item, .. }) => {
                stream.pass_on(run, offset, item, told).map(|()| None)
            }
            (Side::Writer, StreamAct::Fin { run, offset, .. }) => {
                stream.finish(run, offset, told).map(|()| None)
            }
            (Side::Reader, StreamAct::Credit { consumed, .. }) => {
                stream.credit(consumed, told).map(|()| None)
            }
            (Side::Reader, StreamAct::Done { .. }) if stream.fin == Some(stream.passed) => {
                Ok(Some(Ended::Done))
            }
            (_, StreamAct::Reset { reason, .. }) => Err(Rejection::StreamReset(shortened(&reason))),
            _ => Err(Rejection::StreamDisorder),
        };
        stepped.unwrap_or_else(|why| Some(Ended::Reset(why)))
    }
}

impl Stream {
    fn pass_on(&mut self, run: u64, offset: u64, item: Bytes, told: &mut Told) -> Result<(), Rejection> {
        let Some((connection, number)) = self.reader.filter(|_| run == self.run) else {
            return Ok(());
        };
        if offset != self.passed || self.fin.is_some() || item.len() > STREAM_ITEM_BYTES_MAX {
            return Err(Rejection::StreamDisorder);
        }
        let behind = offset + item_cost(item.len());
        if behind > self.consumed + self.window {
            return Err(Rejection::StreamOverCredit);
        }
        let is_lost = planted::has(Planted::LoseAnItem) && self.run > 1 && item.len().is_multiple_of(16);
        self.passed = behind;
        if is_lost {
            return Ok(());
        }
        told.push((connection, StreamEvent::Item { stream: number, offset, item }));
        Ok(())
    }

    fn finish(&mut self, run: u64, offset: u64, told: &mut Told) -> Result<(), Rejection> {
        let Some((connection, number)) = self.reader.filter(|_| run == self.run) else {
            return Ok(());
        };
        match self.fin {
            // The writer came back, and its reader was told before.
            Some(before) if before == offset => Ok(()),
            None if offset == self.passed => {
                self.fin = Some(offset);
                told.push((connection, StreamEvent::Fin { stream: number, offset }));
                Ok(())
            }
            _ => Err(Rejection::StreamDisorder),
        }
    }

    fn credit(&mut self, consumed: u64, told: &mut Told) -> Result<(), Rejection> {
        if consumed > self.passed {
            return Err(Rejection::StreamDisorder);
        }
        self.consumed = self.consumed.max(consumed);
        let untold = self.consumed - self.credited;
        let is_due = untold >= self.window / CREDIT_PARTS || self.consumed == self.passed;
        if let Some((connection, number)) = self.writer.filter(|_| untold > 0 && is_due) {
            self.credited = self.consumed;
            self.kept_from = self.kept_from.max(self.consumed);
            told.push((connection, StreamEvent::Credit { stream: number, consumed: self.consumed }));
        }
        Ok(())
    }
}

fn shortened(reason: &str) -> String {
    let mut end = reason.len().min(STREAM_REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default().to_owned()
}
