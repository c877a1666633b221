//! The task that writes: takes all that waits, packs messages into as few frames as fit, writes them at once.
//!
//! No timer holds a lone message back: batches form while the one before is being written.

use super::Connection;
use crate::SdkError;
use crate::connect::Writing;
use openmesh_message::Envelope;
use openmesh_message::frame::{ClientFrame, Command, FrameEncoder, FrameError, StreamAct, item_cost};
use openmesh_message::limits::FRAME_MESSAGES_MAX;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

/// Encoded bytes that are written before more is encoded.
const WRITE_BYTES: usize = 256 * 1024;
/// A frame's kind and count, a message's tag, proof and framing: more than they ever take.
const ENVELOPE_OVERHEAD_BYTES: usize = 1_024;
/// What is said of a stream and is no item: more than it ever takes.
const ACT_BYTES_MAX: usize = 1_024;
/// The framing of one attribute: more than it ever takes.
const ATTRIBUTE_OVERHEAD_BYTES: usize = 24;

/// What waits to be written.
pub(super) enum Outgoing {
    Send(u64, Box<Envelope>),
    Command(u64, Command),
    Ping(u64),
    Stream(StreamAct),
    /// Nothing follows.
    End,
}

pub(super) struct Writer {
    connection: Arc<Connection>,
    encoder: FrameEncoder,
    batch: Vec<(u64, Envelope)>,
    /// What is to be said of streams in one frame: never while messages wait for theirs.
    acts: Vec<StreamAct>,
    /// More bytes than what waits for a frame takes in it.
    batch_bytes: usize,
    bytes: Vec<u8>,
}

/// More bytes than a message takes in a frame of its own.
pub(super) fn envelope_bytes_max(envelope: &Envelope) -> usize {
    let transit = &envelope.transit;
    let traces = [&transit.traceparent, &transit.tracestate];
    let traces: usize = traces.iter().filter_map(|t| t.as_ref().map(String::len)).sum();
    envelope.payload.len()
        + envelope.attributes.bytes()
        + envelope.attributes.iter().len() * ATTRIBUTE_OVERHEAD_BYTES
        + traces
        + ENVELOPE_OVERHEAD_BYTES
}

impl Writer {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            encoder: FrameEncoder::default(),
            batch: Vec::new(),
            acts: Vec::new(),
            batch_bytes: 0,
            bytes: Vec::new(),
        }
    }

    pub(super) async fn run(mut self, half: Writing, waiting: mpsc::Receiver<Outgoing>) {
        let mut ended = self.connection.ended.subscribe();
        let connection = Arc::clone(&self.connection);
        tokio::select! {
            _ = ended.wait_for(Option::is_some) => {}
            written = self.write_all(half, waiting) => {
                if let Err(why) = written {
                    connection.end(why);
                }
            }
        }
    }

    async fn write_all(
        &mut self,
        mut half: Writing,
        mut waiting: mpsc::Receiver<Outgoing>,
    ) -> Result<(), SdkError> {
        let mut taken = Vec::with_capacity(FRAME_MESSAGES_MAX);
        loop {
            if waiting.recv_many(&mut taken, FRAME_MESSAGES_MAX).await == 0 {
                return self.finish(&mut half).await;
            }
            for outgoing in taken.drain(..) {
                if matches!(outgoing, Outgoing::End) {
                    return self.finish(&mut half).await;
                }
                self.pack(outgoing)?;
                if self.bytes.len() >= WRITE_BYTES {
                    self.flush(&mut half).await?;
                }
            }
            self.pack_batch()?;
            self.flush(&mut half).await?;
        }
    }

    fn pack(&mut self, outgoing: Outgoing) -> Result<(), SdkError> {
        match outgoing {
            Outgoing::Send(tag, envelope) => self.pack_message(tag, *envelope),
            Outgoing::Command(tag, command) => {
                self.pack_batch()?;
                match self.encode(&ClientFrame::Command(tag, command)) {
                    Err(too_large @ SdkError::TooLarge { .. }) => {
                        let mut awaited = self.connection.awaited();
                        awaited.answer_command(tag, Err(too_large));
                        Ok(())
                    }
                    encoded => encoded,
                }
            }
            Outgoing::Ping(number) => {
                self.pack_batch()?;
                self.encode(&ClientFrame::Ping(number))
            }
            Outgoing::Stream(act) => self.pack_act(act),
            Outgoing::End => Ok(()),
        }
    }

    fn pack_message(&mut self, tag: u64, envelope: Envelope) -> Result<(), SdkError> {
        let bytes = envelope_bytes_max(&envelope);
        let full = !self.acts.is_empty()
            || self.batch.len() == FRAME_MESSAGES_MAX
            || self.batch_bytes + bytes > self.connection.frame_bytes_max;
        if full {
            self.pack_batch()?;
        }
        self.batch_bytes += bytes;
        self.batch.push((tag, envelope));
        Ok(())
    }

    fn pack_act(&mut self, act: StreamAct) -> Result<(), SdkError> {
        let bytes = match &act {
            StreamAct::Item { item, .. } => usize::try_from(item_cost(item.len())).unwrap_or(usize::MAX),
            _ => ACT_BYTES_MAX,
        };
        let full = !self.batch.is_empty()
            || self.acts.len() == FRAME_MESSAGES_MAX
            || self.batch_bytes.saturating_add(bytes) > self.connection.frame_bytes_max;
        if full {
            self.pack_batch()?;
        }
        self.batch_bytes = self.batch_bytes.saturating_add(bytes);
        self.acts.push(act);
        Ok(())
    }

    /// What waits for a frame gets one.
    fn pack_batch(&mut self) -> Result<(), SdkError> {
        self.batch_bytes = 0;
        if !self.acts.is_empty() {
            let frame = ClientFrame::Stream(std::mem::take(&mut self.acts));
            return self.encode(&frame);
        }
        if self.batch.is_empty() {
            return Ok(());
        }
        let frame = ClientFrame::Send(std::mem::take(&mut self.batch));
        self.encode(&frame)
    }

    fn encode(&mut self, frame: &ClientFrame) -> Result<(), SdkError> {
        let start = self.bytes.len();
        let bytes_max = self.connection.frame_bytes_max;
        let encoded = self.encoder.encode_client(frame, &mut self.bytes);
        encoded.map_err(|error| match error {
            FrameError::TooLarge(bytes) => SdkError::TooLarge { bytes, bytes_max },
            FrameError::Malformed(why) => SdkError::Closed(why),
        })?;
        let bytes = self.bytes.len() - start;
        if bytes > bytes_max {
            self.bytes.truncate(start);
            return Err(SdkError::TooLarge { bytes, bytes_max });
        }
        Ok(())
    }

    async fn flush(&mut self, half: &mut Writing) -> Result<(), SdkError> {
        let written = half.write_all(&self.bytes).await;
        self.bytes.clear();
        written.map_err(|error| SdkError::Closed(error.to_string()))?;
        // What TLS still holds back would otherwise wait for the next batch.
        half.flush().await.map_err(|error| SdkError::Closed(error.to_string()))
    }

    async fn finish(&mut self, half: &mut Writing) -> Result<(), SdkError> {
        self.pack_batch()?;
        self.flush(half).await?;
        half.shutdown().await.map_err(|error| SdkError::Closed(error.to_string()))
    }
}
