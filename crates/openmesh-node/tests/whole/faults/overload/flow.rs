//! Connections that send at a pace of their own, whatever becomes of what they sent, and count it.

use crate::node::Node;
use crate::raw_agent::RawAgent;
use openmesh_message::Envelope;
use openmesh_message::frame::{
    ClientFrame, FrameDecoder, FrameEncoder, SendOutcome, ServerFrame, body_length,
};
use openmesh_sdk::{KeyPair, Mesh, Performative};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Messages of a frame.
pub(super) const FRAME: usize = 16;
/// A frame is written anew when so many answers are missing; more the node does not take.
const UNANSWERED_MAX: u64 = 6_000;

/// What became of what was sent.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: AtomicU64,
    pub(super) passed: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) busy: AtomicU64,
    pub(super) other: AtomicU64,
    /// Tags of what was accepted.
    pub(super) tags: Mutex<Vec<u64>>,
    pub(super) odd: Mutex<Option<String>>,
}

/// How many messages a connection sends.
#[derive(Debug)]
pub(super) struct Pace {
    /// A frame every so many microseconds; 0: the next when the last is answered.
    pub(super) every_us: AtomicU64,
    /// No more is sent meanwhile.
    pub(super) rests: AtomicBool,
    pub(super) stop: AtomicBool,
}

/// What a connection sends.
#[derive(Clone)]
pub(super) enum Sends {
    /// The same frame, of what is not kept.
    Passing(Arc<Mesh>, String),
    /// Signed messages, each with a tag of its own.
    Kept(Arc<Mesh>, String, Arc<AtomicU64>),
}

/// One connection that sends.
pub(super) struct Flow {
    pub(super) sends: Sends,
    pub(super) counts: Arc<Counts>,
    pub(super) pace: Arc<Pace>,
    pub(super) payload_bytes: usize,
}

/// What the two halves of a connection share.
#[derive(Default)]
struct Unanswered {
    count: AtomicU64,
    fell: Notify,
}

impl Counts {
    /// What came through.
    pub(super) fn good(&self) -> u64 {
        self.passed.load(Ordering::Relaxed) + self.accepted.load(Ordering::Relaxed)
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    fn note(&self, tag: u64, outcome: &SendOutcome) {
        match outcome {
            SendOutcome::Passed => drop(self.passed.fetch_add(1, Ordering::Relaxed)),
            SendOutcome::Accepted(_) => self.note_accepted(&[tag]),
            SendOutcome::Rejected(problem) if problem.code == "node.busy" => {
                assert!(problem.retry_after_ms.is_some(), "{problem}");
                self.busy.fetch_add(1, Ordering::Relaxed);
            }
            odd => {
                self.other.fetch_add(1, Ordering::Relaxed);
                self.odd.lock().unwrap().get_or_insert_with(|| format!("{odd:?}"));
            }
        }
    }

    fn note_accepted(&self, tags: &[u64]) {
        self.accepted.fetch_add(tags.len() as u64, Ordering::Relaxed);
        self.tags.lock().unwrap().extend(tags);
    }
}

impl Pace {
    pub(super) fn resting() -> Arc<Self> {
        Arc::new(Self {
            every_us: AtomicU64::new(0),
            rests: AtomicBool::new(true),
            stop: AtomicBool::new(false),
        })
    }

    /// The next frame when the last is answered.
    pub(super) fn answered(&self) {
        self.every_us.store(0, Ordering::Relaxed);
        self.rests.store(false, Ordering::Relaxed);
    }

    /// A frame every so often.
    pub(super) fn every(&self, time: Duration) {
        self.every_us.store(u64::try_from(time.as_micros()).unwrap().max(1), Ordering::Relaxed);
        self.rests.store(false, Ordering::Relaxed);
    }
}

impl Flow {
    /// Connects, and sends until it is told to stop and all is answered.
    pub(super) async fn run(self, node: &Node, key: Arc<KeyPair>) -> tokio::task::JoinHandle<()> {
        let (stream, encoder, decoder) = RawAgent::connect_as(node, key).await.into_parts();
        tokio::spawn(async move {
            let (reading, mut writing) = stream.into_split();
            let unanswered = Arc::new(Unanswered::default());
            let (counts, pace, shared) =
                (Arc::clone(&self.counts), Arc::clone(&self.pace), Arc::clone(&unanswered));
            let reader = tokio::spawn(read(reading, decoder, counts, shared));
            // A half that is dropped ends the connection, and with it what is still to be answered.
            self.write(&mut writing, encoder, &unanswered).await;
            let until = Instant::now() + Duration::from_secs(60);
            while unanswered.count.load(Ordering::Relaxed) > 0 && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(pace.stop.load(Ordering::Relaxed));
            reader.abort();
        })
    }

    async fn write(
        &self,
        writing: &mut tokio::net::tcp::OwnedWriteHalf,
        mut encoder: FrameEncoder,
        unanswered: &Unanswered,
    ) {
        let same = self.same_frame();
        let mut due = Instant::now();
        while !self.pace.stop.load(Ordering::Relaxed) {
            if self.pace.rests.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(5)).await;
                due = Instant::now();
                continue;
            }
            let every = self.pace.every_us.load(Ordering::Relaxed);
            let most = if every == 0 { 0 } else { UNANSWERED_MAX };
            if unanswered.count.load(Ordering::Relaxed) > most {
                let _ = tokio::time::timeout(Duration::from_millis(20), unanswered.fell.notified()).await;
                continue;
            }
            if every > 0 {
                due += Duration::from_micros(every);
                // What it could not send in time it does not make up for without an end.
                due = due.max(Instant::now() - Duration::from_millis(500));
                tokio::time::sleep_until(due).await;
            }
            let mut bytes = Vec::new();
            let fresh = if same.is_none() { Some(self.fresh_frame()) } else { None };
            encoder.encode_client(same.as_ref().or(fresh.as_ref()).unwrap(), &mut bytes).unwrap();
            unanswered.count.fetch_add(FRAME as u64, Ordering::Relaxed);
            self.counts.sent.fetch_add(FRAME as u64, Ordering::Relaxed);
            if writing.write_all(&bytes).await.is_err() {
                return;
            }
        }
    }

    /// What is not kept may be the same again and again.
    fn same_frame(&self) -> Option<ClientFrame> {
        let Sends::Passing(mesh, topic) = &self.sends else { return None };
        let envelopes = (0..FRAME).map(|_| unsigned(mesh, topic, self.payload_bytes));
        Some(ClientFrame::Send((0..).zip(envelopes).collect()))
    }

    fn fresh_frame(&self) -> ClientFrame {
        let Sends::Kept(mesh, topic, tags) = &self.sends else { return ClientFrame::Ping(0) };
        let first = tags.fetch_add(FRAME as u64, Ordering::Relaxed);
        let drafts = (first..first + FRAME as u64).map(|tag| {
            let mut payload = tag.to_be_bytes().to_vec();
            payload.resize(self.payload_bytes.max(8), 7);
            mesh.draft(topic, &Performative::Inform).unwrap().payload("application/octet-stream", payload)
        });
        ClientFrame::Send((first..).zip(mesh.sign_batch(drafts.collect()).unwrap()).collect())
    }
}

fn unsigned(mesh: &Mesh, topic: &str, payload_bytes: usize) -> Envelope {
    let draft = mesh.draft(topic, &Performative::Inform).unwrap();
    mesh.unsigned(draft.payload("application/octet-stream", vec![7; payload_bytes])).unwrap()
}

async fn read(
    mut reading: tokio::net::tcp::OwnedReadHalf,
    mut decoder: FrameDecoder,
    counts: Arc<Counts>,
    unanswered: Arc<Unanswered>,
) {
    let mut body = Vec::new();
    loop {
        let mut header = [0; 4];
        if reading.read_exact(&mut header).await.is_err() {
            return;
        }
        body.resize(body_length(header).unwrap(), 0);
        if reading.read_exact(&mut body).await.is_err() {
            return;
        }
        let answered = match decoder.decode_server(&body).unwrap() {
            ServerFrame::Outcomes(outcomes) => {
                outcomes.iter().for_each(|(tag, outcome)| counts.note(*tag, outcome));
                outcomes.len()
            }
            ServerFrame::Receipts(run) => {
                let receipts = run.open().unwrap().receipts;
                let tags: Vec<u64> = receipts.iter().map(|(tag, _)| *tag).collect();
                counts.note_accepted(&tags);
                tags.len()
            }
            ServerFrame::Passed(_, messages) => {
                counts.passed.fetch_add(messages, Ordering::Relaxed);
                usize::try_from(messages).unwrap()
            }
            ServerFrame::Goodbye(problem) => panic!("{problem}"),
            _ => 0,
        };
        if answered > 0 {
            unanswered.count.fetch_sub(answered as u64, Ordering::Relaxed);
            unanswered.fell.notify_one();
        }
    }
}
