//! The task that reads: takes frames apart, answers waiters, fills queues. It never waits for a reader of a queue.

use super::Connection;
use super::writer::Outgoing;
use crate::connect::Reading;
use crate::{ConnectOptions, SdkError, Sent};
use bytes::{Buf, BytesMut};
use openmesh_message::frame::{Delivery, FrameDecoder, SendOutcome, ServerFrame, body_length};
use openmesh_message::{Digest, OpenedRun, ReceiptRun, Signature, SignedReceipt};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

const READ_BYTES: usize = 64 * 1024;
const HEADER_BYTES: usize = 4;
/// So many times the keepalive may pass in silence.
const SILENCES_MAX: u32 = 3;
const CHECKS_PER_KEEPALIVE: u32 = 4;
const CHECK_EVERY_MAX: Duration = Duration::from_secs(1);

pub(super) struct Reader {
    connection: Arc<Connection>,
    decoder: FrameDecoder,
    buffer: BytesMut,
    verified: Option<(Digest, Signature)>,
    heard: Instant,
    asked: Instant,
    keepalive: Duration,
    send_timeout: Duration,
}

impl Reader {
    pub(super) fn new(connection: Arc<Connection>, decoder: FrameDecoder, options: &ConnectOptions) -> Self {
        Self {
            connection,
            decoder,
            buffer: BytesMut::new(),
            verified: None,
            heard: Instant::now(),
            asked: Instant::now(),
            keepalive: options.keepalive.max(Duration::from_millis(1)),
            send_timeout: options.send_timeout,
        }
    }

    pub(super) async fn run(mut self, half: Reading) {
        let Err(why) = self.read_all(half).await;
        tracing::debug!(%why, "connection ended");
        self.connection.end(why);
    }

    async fn read_all(&mut self, mut half: Reading) -> Result<Never, SdkError> {
        let mut ended = self.connection.ended.subscribe();
        let mut checks = self.checks();
        loop {
            self.buffer.reserve(READ_BYTES);
            tokio::select! {
                biased;
                _ = ended.wait_for(Option::is_some) => return Err(self.connection.closed()),
                read = half.read_buf(&mut self.buffer) => {
                    let bytes = match read {
                        // TLS without its farewell: the node was killed.
                        Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
                        read => read.map_err(|error| SdkError::Closed(error.to_string()))?,
                    };
                    if bytes == 0 {
                        return Err(self.ended_by_node());
                    }
                    self.heard = Instant::now();
                    self.take_frames()?;
                }
                _ = checks.tick() => self.check()?,
            }
        }
    }

    fn checks(&self) -> Interval {
        let every = (self.keepalive / CHECKS_PER_KEEPALIVE)
            .min(self.send_timeout / CHECKS_PER_KEEPALIVE)
            .clamp(Duration::from_millis(1), CHECK_EVERY_MAX);
        let mut checks = interval(every);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        checks
    }

    fn ended_by_node(&self) -> SdkError {
        let asked_for = self.connection.closing.load(Ordering::Relaxed);
        SdkError::Closed(if asked_for { "by this side".to_owned() } else { "by the node".to_owned() })
    }

    fn take_frames(&mut self) -> Result<(), SdkError> {
        let unreadable = |error| SdkError::Closed(format!("the node sent what is no frame: {error}"));
        while let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() {
            let length = body_length(*header).map_err(unreadable)?;
            let Some(body) = self.buffer.get(HEADER_BYTES..HEADER_BYTES + length) else {
                break;
            };
            let frame = self.decoder.decode_server(body).map_err(unreadable)?;
            self.buffer.advance(HEADER_BYTES + length);
            self.take_in(frame)?;
        }
        Ok(())
    }

    fn take_in(&mut self, frame: ServerFrame) -> Result<(), SdkError> {
        match frame {
            ServerFrame::Outcomes(outcomes) => self.settle(outcomes),
            ServerFrame::Receipts(run) => self.settle_run(run)?,
            ServerFrame::Passed(first, count) => {
                for tag in first..first + count {
                    self.settle_one(tag, |_, _| Sent::Passed);
                }
            }
            ServerFrame::Reply(tag, reply) => {
                let reply = reply.map_err(|problem| SdkError::Refused(Box::new(problem)));
                self.connection.awaited().answer_command(tag, reply);
            }
            ServerFrame::Deliver(deliveries) => self.deliver(deliveries),
            ServerFrame::Stream(events) => {
                let streams = self.connection.streams();
                events.into_iter().for_each(|event| streams.take_in(event));
            }
            ServerFrame::Pong(number) => self.connection.awaited().answer_ping(number),
            ServerFrame::Goodbye(problem) => return Err(SdkError::Goodbye(Box::new(problem))),
        }
        Ok(())
    }

    fn deliver(&self, deliveries: Vec<Delivery>) {
        let routes = self.connection.routes();
        for delivery in deliveries {
            routes.deliver(delivery);
        }
    }

    fn settle(&mut self, outcomes: Vec<(u64, SendOutcome)>) {
        for (tag, outcome) in outcomes {
            self.settle_one(tag, |reader, digest| match outcome {
                SendOutcome::Accepted(receipt) => {
                    let root = receipt.root();
                    reader.judge(receipt, root, digest)
                }
                SendOutcome::Rejected(problem) => Sent::Rejected(problem),
                SendOutcome::Unknown => Sent::Unknown,
                SendOutcome::Passed => Sent::Passed,
            });
        }
    }

    fn settle_one(&mut self, tag: u64, judge: impl FnOnce(&mut Self, &Digest) -> Sent) {
        let Some(send) = self.connection.awaited().take_send(tag) else {
            tracing::error!(tag, "the node answered a send that it had answered or never got");
            return;
        };
        let sent = judge(self, &send.digest);
        send.answer(sent);
    }

    fn settle_run(&mut self, run: ReceiptRun) -> Result<(), SdkError> {
        let astray = || SdkError::Closed("the node sent receipts that lead to no root".to_owned());
        let OpenedRun { root, receipts } = run.open().ok_or_else(astray)?;
        for (tag, receipt) in receipts {
            self.settle_one(tag, |reader, digest| reader.judge(receipt, Some(root), digest));
        }
        Ok(())
    }

    fn judge(&mut self, receipt: SignedReceipt, root: Option<Digest>, digest: &Digest) -> Sent {
        if receipt.receipt.digest == *digest && self.is_signed(&receipt, root) {
            return Sent::Accepted(receipt);
        }
        let node = self.connection.node();
        tracing::error!(%node, %digest, "a receipt is for another message or not signed by the node: its send counts as unknown");
        Sent::Unknown
    }

    /// The receipts of one commit share one signature, which is verified once.
    fn is_signed(&mut self, receipt: &SignedReceipt, root: Option<Digest>) -> bool {
        let node = self.connection.node();
        let Some(root) = root.filter(|_| receipt.proof.node == node) else {
            return false;
        };
        let signed = (root, receipt.proof.signature);
        if self.verified == Some(signed) {
            return true;
        }
        let holds = receipt.verifies(&node);
        if holds {
            self.verified = Some(signed);
        }
        holds
    }

    fn check(&mut self) -> Result<(), SdkError> {
        self.connection.awaited().expire(self.send_timeout);
        let now = Instant::now();
        let silence = now.duration_since(self.heard);
        if silence >= self.keepalive * SILENCES_MAX {
            let why = format!("the node has been silent for {} ms", silence.as_millis());
            return Err(SdkError::Closed(why));
        }
        if silence >= self.keepalive && now.duration_since(self.asked) >= self.keepalive {
            self.asked = now;
            let number = self.connection.next_tag();
            // Where the queue is full, the node has enough to answer.
            let _ = self.connection.outgoing.try_send(Outgoing::Ping(number));
        }
        Ok(())
    }
}

/// Reading ends with an error only.
enum Never {}
