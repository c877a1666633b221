//! The thread that owns the log: keeps the records of what was decided with one write and one sync, and says so.

use crate::decided::Decided;
use crate::metering::LogMeters;
use anyhow::Context;
use openmesh_core::Effect;
use openmesh_store::{
    EmbeddedLog, EncodedRecord, Fault, LogReader, SnapshotFolder, Upkeep, batch_bytes, failpoint,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Room that is reserved before anything is planned: more than what may wait for one sync.
pub(crate) const HEADROOM_BYTES: u64 = 16 * 1024 * 1024;

/// Jobs that wait for the log's thread.
const JOBS_MAX: usize = 4;
/// Quiet after which the log notes that all of it is synced, and looks for room where there was none.
const QUIET: Duration = Duration::from_millis(50);

/// What the log is asked to do.
enum Job {
    Keep(Vec<EncodedRecord>),
    NoteQuiet,
    Seal(std::sync::mpsc::SyncSender<Result<(), Fault>>),
}

/// Has the log begin another segment, from another thread.
#[derive(Clone)]
pub(crate) struct Sealer(mpsc::WeakSender<Job>);

impl Sealer {
    /// Waits until what is kept so far stands in sealed segments. One at a time.
    pub(crate) fn seal(&self, at_most: Duration) -> anyhow::Result<()> {
        let jobs = self.0.upgrade().context("the log is closed")?;
        let (done, waits) = std::sync::mpsc::sync_channel(1);
        jobs.try_send(Job::Seal(done)).ok().context("the log is busy or closed")?;
        drop(jobs);
        Ok(waits.recv_timeout(at_most)??)
    }
}

/// What may be performed, its records being synced.
pub(crate) struct Commit {
    /// In order.
    pub(crate) effects: Vec<Effect>,
    /// The last record synced.
    pub(crate) head_seq: u64,
    /// How long the sync took.
    pub(crate) synced_in: Duration,
}

/// What the thread says of a batch.
struct Kept {
    head_seq: u64,
    synced_in: Duration,
}

/// The log takes nothing more: it failed, or its thread ended.
#[derive(Debug)]
pub(crate) struct WriterGone(pub(crate) Option<Fault>);

/// The owner's side of the log.
pub(crate) struct LogWriter {
    jobs: mpsc::Sender<Job>,
    results: mpsc::Receiver<Result<Kept, Fault>>,
    /// What waits for the records that the log has.
    under_way: Option<Vec<Effect>>,
    snapshots: SnapshotFolder,
    files: Upkeep,
    reader: LogReader,
    quiet_marker_due: bool,
    /// When there has been no append for long enough.
    quiet_at: Instant,
    full: Arc<AtomicBool>,
    thread: Option<JoinHandle<EmbeddedLog>>,
}

impl LogWriter {
    /// Starts the thread.
    pub(crate) fn start(log: EmbeddedLog) -> std::io::Result<Self> {
        let (jobs, job_queue) = mpsc::channel(JOBS_MAX);
        let (result_sender, results) = mpsc::channel(2);
        let (snapshots, files, reader) = (log.snapshots(), log.upkeep(), log.reader());
        let full = Arc::new(AtomicBool::new(false));
        let is_full = Arc::clone(&full);
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || serve(log, job_queue, &result_sender, &is_full))?;
        Ok(Self {
            jobs,
            results,
            under_way: None,
            snapshots,
            files,
            reader,
            quiet_marker_due: false,
            quiet_at: Instant::now(),
            full,
            thread: Some(thread),
        })
    }

    /// Reads what is synced.
    pub(crate) fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// Whether a sync is under way.
    pub(crate) const fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether there is no room for another batch; looked at again whenever the log is quiet.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// In what time the log is quiet enough to note that all of it is synced, or to look for room; `None` while there is
    /// nothing to note or to look for.
    pub(crate) fn quiet_in(&self) -> Option<Duration> {
        let is_due = (self.quiet_marker_due || self.is_full()) && self.under_way.is_none();
        is_due.then(|| self.quiet_at.saturating_duration_since(Instant::now()))
    }

    /// Has the log note that all of it is synced, and look for room, once it has been quiet.
    pub(crate) fn note_if_quiet(&mut self) {
        if self.quiet_in() == Some(Duration::ZERO) {
            self.quiet_marker_due = false;
            self.quiet_at = Instant::now() + QUIET;
            let _ = self.jobs.try_send(Job::NoteQuiet);
        }
    }

    /// Hands over what is to be kept; one batch at a time.
    pub(crate) fn submit(&mut self, decided: Decided) -> Result<(), WriterGone> {
        let Decided { records, effects, .. } = decided;
        self.under_way = Some(effects);
        // The queue has room for a batch, a quiet marker sent before it, and a wish for another segment.
        self.jobs.try_send(Job::Keep(records)).map_err(|_| WriterGone(None))
    }

    /// Waits for the batch under way; cancel-safe.
    pub(crate) async fn next_commit(&mut self) -> Result<Commit, WriterGone> {
        match self.results.recv().await {
            Some(Ok(Kept { head_seq, synced_in })) => {
                self.quiet_marker_due = true;
                self.quiet_at = Instant::now() + QUIET;
                Ok(Commit { effects: self.unconfirmed(), head_seq, synced_in })
            }
            Some(Err(fault)) => Err(WriterGone(Some(fault))),
            None => Err(WriterGone(None)),
        }
    }

    /// What waited for records that the log never confirmed.
    pub(crate) fn unconfirmed(&mut self) -> Vec<Effect> {
        self.under_way.take().unwrap_or_default()
    }

    /// Has another segment begun from another thread.
    pub(crate) fn sealer(&self) -> Sealer {
        Sealer(self.jobs.downgrade())
    }

    /// What is done to the log's files beside the log.
    pub(crate) fn files(&self) -> Upkeep {
        self.files.clone()
    }

    /// Where snapshots of the state are written.
    pub(crate) fn snapshots(&self) -> SnapshotFolder {
        self.snapshots.clone()
    }

    /// Ends the thread and gives back the log.
    pub(crate) fn stop(mut self) -> Option<EmbeddedLog> {
        drop(self.jobs);
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

fn serve(
    mut log: EmbeddedLog,
    mut jobs: mpsc::Receiver<Job>,
    results: &mpsc::Sender<Result<Kept, Fault>>,
    full: &AtomicBool,
) -> EmbeddedLog {
    look_for_room(&mut log, full);
    let meters = LogMeters::new();
    while let Some(job) = jobs.blocking_recv() {
        let result = match job {
            Job::Keep(records) => keep(&mut log, &records, &meters),
            Job::NoteQuiet => match log.write_quiet_marker() {
                Ok(_) => {
                    look_for_room(&mut log, full);
                    continue;
                }
                Err(fault) => Err(fault),
            },
            Job::Seal(done) => {
                // A log that stopped says so with the next batch.
                let _ = done.try_send(log.seal().map(drop));
                continue;
            }
        };
        look_for_room(&mut log, full);
        let failed = result.is_err();
        if results.blocking_send(result).is_err() || failed {
            break;
        }
    }
    log
}

fn look_for_room(log: &mut EmbeddedLog, full: &AtomicBool) {
    let no_room = matches!(log.reserve(HEADROOM_BYTES), Err(Fault::Full { .. }));
    full.store(no_room, Ordering::Release);
}

fn keep(log: &mut EmbeddedLog, records: &[EncodedRecord], meters: &LogMeters) -> Result<Kept, Fault> {
    let bytes = records.iter().map(|record| (record.header.len() + record.body.len()) as u64).sum();
    log.reserve(batch_bytes(records.len(), bytes))?;
    log.append(records)?;
    let begun = Instant::now();
    log.sync()?;
    failpoint::reached("receipt.synced");
    let synced_in = begun.elapsed();
    meters.note(records.len(), bytes, synced_in);
    Ok(Kept { head_seq: log.next_seq().saturating_sub(1), synced_in })
}
