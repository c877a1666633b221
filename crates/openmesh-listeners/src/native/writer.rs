//! The way out: batches from the owner, coalesced into frames and one write.

use openmesh_adapter::{Batch, Event, MeshHandle, OutboxReader, Outgoing, delivery_bytes};
use openmesh_core::ConnectionId;
use openmesh_message::frame::{Delivery, FrameEncoder, FrameError, SendOutcome, ServerFrame};
use openmesh_message::limits::{FRAME_BYTES_MAX, FRAME_MESSAGES_MAX};
use openmesh_message::{Problem, ReceiptRun};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Bytes gathered before a write,
const WRITE_BYTES: usize = 256 * 1024;
/// and where what waits for all connections takes much memory: who does not read holds them for long.
const WRITE_BYTES_CROWDED: usize = 16 * 1024;
/// Room for bytes that a connection keeps while nothing is to be written: there may be many.
const KEPT_BYTES: usize = 64 * 1024;
/// From then on, nothing is to be written.
const IDLE_AFTER: Duration = Duration::from_secs(1);
/// Bytes of deliveries in one frame; one message fits whatever its size.
const DELIVER_BYTES: usize = FRAME_BYTES_MAX / 4;
/// Outcomes in one frame; each may bear a problem of some length.
const OUTCOMES_MAX: usize = 128;

/// What a writer needs besides its connection.
pub(super) struct Writing {
    pub(super) connection: ConnectionId,
    pub(super) mesh: MeshHandle,
    pub(super) in_flight: Arc<Semaphore>,
}

#[derive(Default)]
struct Frames {
    encoder: FrameEncoder,
    buffer: Vec<u8>,
    outcomes: Vec<(u64, SendOutcome)>,
    deliveries: Vec<Delivery>,
    delivery_bytes: usize,
    answers: usize,
}

/// Writes until the owner lets go of the connection or it breaks.
pub(super) async fn write<W>(mut half: W, outbox: OutboxReader, writing: Writing)
where
    W: AsyncWrite + Unpin,
{
    write_all(&mut half, outbox, writing).await;
    // Over TLS this says that nothing was cut off.
    let _ = half.shutdown().await;
}

/// Tells an agent why it cannot stay.
pub(super) async fn say_goodbye<W: AsyncWrite + Unpin>(mut half: W, problem: Problem) {
    let mut frames = Frames::default();
    if frames.add(Outgoing::Goodbye(problem)).is_ok() && half.write_all(&frames.buffer).await.is_ok() {
        let _ = half.shutdown().await;
    }
}

async fn write_all<W: AsyncWrite + Unpin>(half: &mut W, mut outbox: OutboxReader, writing: Writing) {
    let mut frames = Frames::default();
    while let Some(mut batch) = frames.next(&mut outbox).await {
        let mut spans = Vec::new();
        let tracer = writing.mesh.tracing().listened_to();
        let mut goodbye = false;
        let write_bytes = if outbox.is_crowded() { WRITE_BYTES_CROWDED } else { WRITE_BYTES };
        loop {
            for outgoing in batch {
                if let Some(tracer) = tracer {
                    tracer.delivering(writing.connection, &outgoing, &mut spans);
                }
                goodbye |= matches!(outgoing, Outgoing::Goodbye(_));
                if frames.add(outgoing).is_err() {
                    return;
                }
            }
            if frames.buffer.len() >= write_bytes {
                break;
            }
            match outbox.waiting() {
                Some(more) => batch = more,
                None => break,
            }
        }
        if frames.finish().is_err() || outbox.patiently(put(half, &frames.buffer)).await.is_err() || goodbye {
            return;
        }
        drop(spans);
        frames.buffer.clear();
        writing.in_flight.add_permits(std::mem::take(&mut frames.answers));
        if outbox.written() && writing.mesh.tell(Event::Drained(writing.connection)).await.is_err() {
            return;
        }
    }
}

async fn put<W: AsyncWrite + Unpin>(half: &mut W, bytes: &[u8]) -> io::Result<()> {
    half.write_all(bytes).await?;
    // What TLS still holds back would otherwise wait for the next batch.
    half.flush().await
}

impl Frames {
    /// What is to be written next. While nothing is, little room is kept for it.
    async fn next(&mut self, outbox: &mut OutboxReader) -> Option<Batch> {
        if self.buffer.capacity() > KEPT_BYTES {
            if let Ok(next) = timeout(IDLE_AFTER, outbox.next()).await {
                return next;
            }
            self.buffer = Vec::new();
        }
        outbox.next().await
    }

    fn add(&mut self, outgoing: Outgoing) -> Result<(), FrameError> {
        match outgoing {
            Outgoing::Outcome(tag, outcome) => {
                self.flush_deliveries()?;
                self.answers += 1;
                self.outcomes.push((tag, outcome));
                if self.outcomes.len() >= OUTCOMES_MAX {
                    self.flush_outcomes()?;
                }
                Ok(())
            }
            Outgoing::Receipts(run) => {
                self.finish()?;
                self.answers += run.len();
                self.receipts(run)
            }
            Outgoing::Passed(first, count) => {
                self.finish()?;
                self.answers += usize::try_from(count).unwrap_or(usize::MAX);
                self.encoder.encode_server(&ServerFrame::Passed(first, count), &mut self.buffer)
            }
            Outgoing::Deliver(_, delivery) => self.add_delivery(delivery),
            Outgoing::DeliverRun(_, run) => {
                self.finish()?;
                self.encoder.encode_run(&run, &mut self.buffer)
            }
            Outgoing::Reply(tag, reply) => {
                self.finish()?;
                self.answers += 1;
                self.reply(tag, reply)
            }
            Outgoing::Stream(event) => {
                self.finish()?;
                self.encoder.encode_server(&ServerFrame::Stream(vec![event]), &mut self.buffer)
            }
            Outgoing::Pong(number) => {
                self.finish()?;
                self.encoder.encode_server(&ServerFrame::Pong(number), &mut self.buffer)
            }
            Outgoing::Goodbye(problem) => {
                self.finish()?;
                self.encoder.encode_server(&ServerFrame::Goodbye(problem), &mut self.buffer)
            }
        }
    }

    /// Receipts in one frame; one by one if they are too large for it, as those of messages to many are.
    fn receipts(&mut self, run: ReceiptRun) -> Result<(), FrameError> {
        let frame = ServerFrame::Receipts(run);
        match (self.encoder.encode_server(&frame, &mut self.buffer), frame) {
            (Err(FrameError::TooLarge(_)), ServerFrame::Receipts(run)) => {
                let receipts = run.open().map(|run| run.receipts).unwrap_or_default();
                let mut accepted =
                    receipts.into_iter().map(|(tag, receipt)| (tag, SendOutcome::Accepted(receipt)));
                accepted.try_for_each(|(tag, outcome)| self.outcome_alone(tag, outcome))
            }
            (encoded, _) => encoded,
        }
    }

    fn add_delivery(&mut self, delivery: Delivery) -> Result<(), FrameError> {
        self.flush_outcomes()?;
        let bytes = delivery_bytes(&delivery);
        if self.delivery_bytes + bytes > DELIVER_BYTES || self.deliveries.len() >= FRAME_MESSAGES_MAX {
            self.flush_deliveries()?;
        }
        self.delivery_bytes += bytes;
        self.deliveries.push(delivery);
        Ok(())
    }

    /// A reply that is too large for a frame is an answer all the same.
    fn reply(
        &mut self,
        tag: u64,
        reply: Result<openmesh_message::frame::Reply, Problem>,
    ) -> Result<(), FrameError> {
        match self.encoder.encode_server(&ServerFrame::Reply(tag, reply), &mut self.buffer) {
            Err(FrameError::TooLarge(bytes)) => {
                let problem =
                    Problem::new("reply.too_large", format!("the answer has {bytes} bytes; ask for less"));
                self.encoder.encode_server(&ServerFrame::Reply(tag, Err(problem)), &mut self.buffer)
            }
            other => other,
        }
    }

    fn finish(&mut self) -> Result<(), FrameError> {
        self.flush_outcomes()?;
        self.flush_deliveries()
    }

    fn flush_outcomes(&mut self) -> Result<(), FrameError> {
        if self.outcomes.is_empty() {
            return Ok(());
        }
        let frame = ServerFrame::Outcomes(std::mem::take(&mut self.outcomes));
        match (self.encoder.encode_server(&frame, &mut self.buffer), frame) {
            (Err(FrameError::TooLarge(_)), ServerFrame::Outcomes(outcomes)) => {
                outcomes.into_iter().try_for_each(|(tag, outcome)| self.outcome_alone(tag, outcome))
            }
            (encoded, _) => encoded,
        }
    }

    /// An outcome in a frame of its own; if even that is too large, without what would be allowed next.
    fn outcome_alone(&mut self, tag: u64, outcome: SendOutcome) -> Result<(), FrameError> {
        let frame = ServerFrame::Outcomes(vec![(tag, outcome.clone())]);
        match (self.encoder.encode_server(&frame, &mut self.buffer), outcome) {
            (Err(FrameError::TooLarge(_)), SendOutcome::Rejected(problem)) => {
                let problem = Problem { allowed_next: Vec::new(), ..problem };
                let frame = ServerFrame::Outcomes(vec![(tag, SendOutcome::Rejected(problem))]);
                self.encoder.encode_server(&frame, &mut self.buffer)
            }
            (encoded, _) => encoded,
        }
    }

    fn flush_deliveries(&mut self) -> Result<(), FrameError> {
        if self.deliveries.is_empty() {
            return Ok(());
        }
        self.delivery_bytes = 0;
        let frame = ServerFrame::Deliver(std::mem::take(&mut self.deliveries));
        self.encoder.encode_server(&frame, &mut self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::Frames;
    use openmesh_adapter::Outgoing;
    use openmesh_message::frame::{FrameDecoder, SendOutcome, ServerFrame, body_length};
    use openmesh_message::{Digest, KeyPair, Level, LogName, LogSeq, Receipt, ReceiptRun, Timestamp};

    #[test]
    fn receipts_too_large_for_a_frame_go_out_one_by_one() {
        let node = KeyPair::from_seed(&[3; 32]).unwrap();
        let log = |seq| LogSeq { log: LogName("l".repeat(64).into()), seq };
        let receipt = |tag: u64| Receipt {
            digest: Digest::of(&tag.to_be_bytes()),
            level: Level::Durable,
            position: None,
            logs: (0..100).map(log).collect(),
            duplicate: false,
            policy_version: Digest::ZERO,
            at: Timestamp::from_millis(0),
        };
        let run = ReceiptRun::sign_all(&node, vec![(0..256).map(|tag| (tag, receipt(tag))).collect()]);
        let mut frames = Frames::default();
        frames.add(Outgoing::Receipts(run.into_iter().next().unwrap())).unwrap();
        assert_eq!(frames.answers, 256);
        let (mut decoder, mut rest, mut tags) =
            (FrameDecoder::default(), frames.buffer.as_slice(), Vec::new());
        while let Some((header, behind)) = rest.split_first_chunk() {
            let (body, behind) = behind.split_at(body_length(*header).unwrap());
            let ServerFrame::Outcomes(outcomes) = decoder.decode_server(body).unwrap() else { panic!() };
            for (tag, outcome) in outcomes {
                assert!(matches!(outcome, SendOutcome::Accepted(signed) if signed.verifies(&node.id())));
                tags.push(tag);
            }
            rest = behind;
        }
        assert_eq!(tags, (0..256).collect::<Vec<_>>());
    }
}
