//! The thread that owns the log: takes plans, keeps their records with one write and one sync, hands them back.

use crate::metering::{LogMeters, note_snapshot};
use openmesh_core::Plan;
use openmesh_message::Position;
use openmesh_store::{EmbeddedLog, EncodedRecord, Fault, LogReader, SnapshotFolder, batch_bytes};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::mpsc;

/// Room that is reserved before anything is planned: more than what may wait for one sync.
pub(crate) const HEADROOM_BYTES: u64 = 16 * 1024 * 1024;

/// What the log is asked to do.
enum Job {
    Keep(Arc<[Plan]>),
    NoteQuiet,
}

/// Plans whose records are synced.
pub(crate) struct Commit {
    /// The plans, in order.
    pub(crate) plans: Vec<Plan>,
    /// The last record synced.
    pub(crate) head_seq: u64,
}

/// The log takes nothing more: it failed, or its thread ended.
#[derive(Debug)]
pub(crate) struct WriterGone(pub(crate) Option<Fault>);

/// The owner's side of the log.
pub(crate) struct LogWriter {
    jobs: mpsc::Sender<Job>,
    results: mpsc::Receiver<Result<u64, Fault>>,
    under_way: Option<Arc<[Plan]>>,
    snapshots: SnapshotFolder,
    reader: LogReader,
    quiet_marker_due: bool,
    full: Arc<AtomicBool>,
    thread: Option<JoinHandle<EmbeddedLog>>,
}

impl LogWriter {
    /// Starts the thread.
    pub(crate) fn start(log: EmbeddedLog) -> std::io::Result<Self> {
        let (jobs, job_queue) = mpsc::channel(2);
        let (result_sender, results) = mpsc::channel(2);
        let (snapshots, reader) = (log.snapshots(), log.reader());
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
            reader,
            quiet_marker_due: false,
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

    /// Whether records were synced that no marker covers yet.
    pub(crate) const fn wants_quiet_marker(&self) -> bool {
        self.quiet_marker_due && self.under_way.is_none()
    }

    /// Has the log note that all of it is synced.
    pub(crate) fn note_quiet(&mut self) {
        self.quiet_marker_due = false;
        let _ = self.jobs.try_send(Job::NoteQuiet);
    }

    /// Hands over plans to keep; one batch at a time.
    pub(crate) fn submit(&mut self, plans: Vec<Plan>) -> Result<(), WriterGone> {
        let plans: Arc<[Plan]> = plans.into();
        self.under_way = Some(Arc::clone(&plans));
        // The queue holds two jobs: a batch, and a quiet marker sent before it.
        self.jobs.try_send(Job::Keep(plans)).map_err(|_| WriterGone(None))
    }

    /// Waits for the batch under way; cancel-safe.
    pub(crate) async fn next_commit(&mut self) -> Result<Commit, WriterGone> {
        match self.results.recv().await {
            Some(Ok(head_seq)) => {
                self.quiet_marker_due = true;
                let plans = self.under_way.take().map(|plans| plans.to_vec()).unwrap_or_default();
                Ok(Commit { plans, head_seq })
            }
            Some(Err(fault)) => Err(WriterGone(Some(fault))),
            None => Err(WriterGone(None)),
        }
    }

    /// Plans that the log never confirmed.
    pub(crate) fn unconfirmed(&mut self) -> Vec<Plan> {
        self.under_way.take().map(|plans| plans.to_vec()).unwrap_or_default()
    }

    /// Writes a snapshot of the state at a position that is synced.
    pub(crate) fn write_snapshot(&self, at: Position, state: Vec<u8>) {
        let snapshots = self.snapshots.clone();
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let written = snapshots.write(at, &state);
            note_snapshot(written.is_ok(), begun.elapsed());
            if let Err(fault) = written {
                tracing::warn!(%fault, "a snapshot could not be written; recovery will read more of the log");
            }
        });
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
    results: &mpsc::Sender<Result<u64, Fault>>,
    full: &AtomicBool,
) -> EmbeddedLog {
    look_for_room(&mut log, full);
    let meters = LogMeters::new();
    while let Some(job) = jobs.blocking_recv() {
        let result = match job {
            Job::Keep(plans) => keep(&mut log, &plans, &meters),
            Job::NoteQuiet => match log.write_quiet_marker() {
                Ok(_) => {
                    look_for_room(&mut log, full);
                    continue;
                }
                Err(fault) => Err(fault),
            },
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

fn keep(log: &mut EmbeddedLog, plans: &[Plan], meters: &LogMeters) -> Result<u64, Fault> {
    let records = encode(plans);
    let bytes = records.iter().map(|record| (record.header.len() + record.body.len()) as u64).sum();
    log.reserve(batch_bytes(records.len(), bytes))?;
    log.append(&records)?;
    let begun = Instant::now();
    log.sync()?;
    meters.note(records.len(), bytes, begun.elapsed());
    Ok(log.next_seq().saturating_sub(1))
}

/// The records of plans, as the log takes them.
pub(crate) fn encode(plans: &[Plan]) -> Vec<EncodedRecord> {
    let sealed = plans.iter().flat_map(|plan| &plan.records);
    let encoded = sealed.map(|record| EncodedRecord {
        position: record.position,
        header: record.header.clone(),
        salt: record.salt,
        body: record.body.clone(),
    });
    encoded.collect()
}
