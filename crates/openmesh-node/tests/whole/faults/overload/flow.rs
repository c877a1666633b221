//! Connections that send a mix of classes, in turn or at a pace of their own whatever becomes of it, and count what does.

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
use tokio::time::Instant;

/// Messages of a frame.
pub(super) const FRAME: u64 = 16;
/// Bytes of a message's payload.
pub(super) const PAYLOAD_BYTES: usize = 512;
/// No frame is written while so many answers are missing: what piles up is worked off before the node is as it was.
const UNANSWERED_MAX: u64 = 1_000;
/// In turn, no class sends so much more than the one that is answered slowest.
const AHEAD_MAX: u64 = 40 * FRAME;
/// Between two looks of who waits.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What could not be sent in time is made up for, but no more than that of so long.
const LATE_MAX: Duration = Duration::from_millis(500);

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

/// Four classes of messages, of which as much is sent of each.
#[derive(Debug, Default)]
pub(super) struct Mix {
    pub(super) counts: [Counts; 4],
    /// The next tag of what is kept.
    tags: AtomicU64,
    mode: Mutex<Mode>,
    stop: AtomicBool,
}

/// How connections send.
#[derive(Clone, Copy, Debug, Default)]
enum Mode {
    #[default]
    Rests,
    /// Each connection when it is answered, and no class more than the others; what was sent and answered before, by class.
    InTurn([(u64, u64); 4]),
    /// Each connection a frame every so often.
    Every(Duration),
}

/// What a connection sends.
#[derive(Clone)]
pub(super) enum Sends {
    /// The same frame, of what is not kept.
    Passing(Arc<Mesh>, String),
    /// Messages that are to be kept, each with a tag of its own; a frame's are signed together.
    Kept(Arc<Mesh>, String),
}

/// One connection that sends.
pub(super) struct Flow {
    pub(super) sends: Sends,
    /// Its class, by its place.
    pub(super) place: usize,
    pub(super) mix: Arc<Mix>,
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

    /// What the node has read and said something of.
    pub(super) fn answered(&self) -> u64 {
        self.good() + self.busy() + self.other.load(Ordering::Relaxed)
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

impl Mix {
    /// The next frame of each connection when its last is answered, as much of each class.
    pub(super) fn in_turn(&self) {
        let before = self.counts.each_ref().map(|counts| (counts.sent(), counts.answered()));
        *self.mode.lock().unwrap() = Mode::InTurn(before);
    }

    /// A frame of each connection every so often.
    pub(super) fn every(&self, time: Duration) {
        *self.mode.lock().unwrap() = Mode::Every(time);
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// When the next frame of a class may be sent, after one that was due at a time.
    fn next(&self, place: usize, unanswered: u64, due: Option<Instant>) -> Option<Instant> {
        let now = Instant::now();
        match *self.mode.lock().unwrap() {
            Mode::Every(time) if unanswered <= UNANSWERED_MAX => {
                Some(due.map_or(now, |due| (due + time).max(now - LATE_MAX)))
            }
            Mode::InTurn(before) if unanswered == 0 => {
                let answered = |(counts, (_, before)): (&Counts, (_, u64))| counts.answered() - before;
                let slowest = self.counts.iter().zip(before).map(answered).min().unwrap_or_default();
                (self.counts[place].sent() - before[place].0 < slowest + AHEAD_MAX).then_some(now)
            }
            _ => None,
        }
    }
}

impl Flow {
    /// Connects, and sends until it is told to stop and all is answered.
    pub(super) async fn run(self, node: &Node, key: Arc<KeyPair>) -> tokio::task::JoinHandle<()> {
        let (stream, encoder, decoder) = RawAgent::connect_as(node, key).await.into_parts();
        tokio::spawn(async move {
            let (reading, mut writing) = stream.into_split();
            let unanswered = Arc::new(AtomicU64::new(0));
            let reader = tokio::spawn(read(
                reading,
                decoder,
                (Arc::clone(&self.mix), self.place),
                Arc::clone(&unanswered),
            ));
            // A half that is dropped ends the connection, and with it what is still to be answered.
            self.write(&mut writing, encoder, &unanswered).await;
            let until = Instant::now() + Duration::from_secs(60);
            while unanswered.load(Ordering::Relaxed) > 0 && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            reader.abort();
        })
    }

    async fn write(
        &self,
        writing: &mut tokio::net::tcp::OwnedWriteHalf,
        mut encoder: FrameEncoder,
        unanswered: &AtomicU64,
    ) {
        let (same, mut bytes, mut due) = (self.same_frame(), Vec::new(), None);
        while !self.mix.stop.load(Ordering::Relaxed) {
            let next = self.mix.next(self.place, unanswered.load(Ordering::Relaxed), due);
            let Some(next) = next else {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            };
            due = Some(next);
            tokio::time::sleep_until(next).await;
            bytes.clear();
            let fresh = if same.is_none() { Some(self.fresh_frame()) } else { None };
            encoder.encode_client(same.as_ref().or(fresh.as_ref()).unwrap(), &mut bytes).unwrap();
            unanswered.fetch_add(FRAME, Ordering::Relaxed);
            self.mix.counts[self.place].sent.fetch_add(FRAME, Ordering::Relaxed);
            if writing.write_all(&bytes).await.is_err() {
                return;
            }
        }
    }

    /// What is not kept may be the same again and again.
    fn same_frame(&self) -> Option<ClientFrame> {
        let Sends::Passing(..) = &self.sends else { return None };
        Some(ClientFrame::Send((0..).zip(self.sends.messages(0)).collect()))
    }

    fn fresh_frame(&self) -> ClientFrame {
        let first = self.mix.tags.fetch_add(FRAME, Ordering::Relaxed);
        ClientFrame::Send((first..).zip(self.sends.messages(first)).collect())
    }
}

impl Sends {
    /// The messages of a frame, with tags in them.
    pub(super) fn messages(&self, first: u64) -> Vec<Envelope> {
        let (Self::Passing(mesh, topic) | Self::Kept(mesh, topic)) = self;
        let drafts = (first..first + FRAME).map(|tag| {
            let mut payload = tag.to_be_bytes().to_vec();
            payload.resize(PAYLOAD_BYTES, 7);
            mesh.draft(topic, &Performative::Inform).unwrap().payload("application/octet-stream", payload)
        });
        match self {
            Self::Passing(..) => drafts.map(|draft| mesh.unsigned(draft).unwrap()).collect(),
            Self::Kept(..) => mesh.sign_batch(drafts.collect()).unwrap(),
        }
    }
}

async fn read(
    mut reading: tokio::net::tcp::OwnedReadHalf,
    mut decoder: FrameDecoder,
    (mix, place): (Arc<Mix>, usize),
    unanswered: Arc<AtomicU64>,
) {
    let (counts, mut body) = (&mix.counts[place], Vec::new());
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
                outcomes.len() as u64
            }
            ServerFrame::Receipts(run) => {
                let receipts = run.open().unwrap().receipts;
                let tags: Vec<u64> = receipts.iter().map(|(tag, _)| *tag).collect();
                counts.note_accepted(&tags);
                tags.len() as u64
            }
            ServerFrame::Passed(_, messages) => {
                counts.passed.fetch_add(messages, Ordering::Relaxed);
                messages
            }
            ServerFrame::Goodbye(problem) => panic!("{problem}"),
            _ => 0,
        };
        unanswered.fetch_sub(answered, Ordering::Relaxed);
    }
}
