//! Keeps the log as large as it is to be, beside everything else: lets go of old segments, erases bodies, drops those of mail
//! that has ended. A thread of its own, of low priority; what it has done the partition is told, as inputs.

mod compaction;
mod erasing;
mod retention;

use crate::log_writer::Sealer;
use crate::snapshots::Source;
use anyhow::{Context, Result, bail};
use compaction::Compaction;
use openmesh_adapter::{MeshHandle, now};
use openmesh_core::record::Checkpoint;
use openmesh_core::{Input, LogUpkeep, Partition};
use openmesh_message::KeyPair;
use openmesh_store::{Projection, Upkeep as LogFiles};
pub(crate) use retention::Limits;
use retention::Retaining;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How much the thread gives way to the others of the node (`nice`).
const NICE: i32 = 19;
/// Between two looks at the log, unless there is something to erase.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// After something went wrong.
const RETRY_WAIT: Duration = Duration::from_secs(5);
/// How long the partition may take to keep what it is told.
const CONFIRM_WAIT: Duration = Duration::from_secs(30);
/// Between two looks whether it has.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(10);

/// What of the log is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keeping {
    /// How much of it.
    pub(crate) limits: Limits,
    /// Whether the bodies of mail that has ended go.
    pub(crate) compact_mail: bool,
}

/// What the thread works with.
pub(crate) struct Work {
    /// The state, made from what is synced.
    pub(crate) source: Source,
    /// The log's files.
    pub(crate) files: LogFiles,
    /// Has the log begin another segment.
    pub(crate) sealer: Sealer,
    /// The way to the partition.
    pub(crate) mesh: MeshHandle,
    /// Where that way is walked.
    pub(crate) runtime: Handle,
    /// What records are found by.
    pub(crate) index: Arc<Projection>,
    /// Signs checkpoints.
    pub(crate) node: Arc<KeyPair>,
    /// What is kept.
    pub(crate) keeping: Keeping,
}

/// The owner's side.
pub(crate) struct Upkeep {
    shared: Arc<Shared>,
    told: Arc<LogUpkeep>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    told: Mutex<Arc<LogUpkeep>>,
    changed: Condvar,
    stop: AtomicBool,
}

struct Worker {
    work: Work,
    shared: Arc<Shared>,
    retaining: Retaining,
    compaction: Compaction,
}

impl Upkeep {
    /// Starts the thread; it goes on where `told` says that something is left to do.
    pub(crate) fn start(work: Work, told: &Arc<LogUpkeep>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            told: Mutex::new(Arc::clone(told)),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let mut worker = Worker {
            work,
            shared: Arc::clone(&shared),
            retaining: Retaining::default(),
            compaction: Compaction::default(),
        };
        let thread = std::thread::Builder::new().name("upkeep".to_owned()).spawn(move || worker.run())?;
        Ok(Self { shared, told: Arc::clone(told), thread: Some(thread) })
    }

    /// Everything that led to this is planned; the thread waits until it is synced.
    pub(crate) fn note(&mut self, told: &Arc<LogUpkeep>) {
        if !Arc::ptr_eq(&self.told, told) {
            self.told = Arc::clone(told);
            *self.shared.told.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(told);
            self.shared.changed.notify_all();
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn told(&self) -> Arc<LogUpkeep> {
        Arc::clone(&self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits until there is something to erase, the node stops, or the time is over.
    fn rest(&self, time: Duration, is_urgent: impl Fn(&LogUpkeep) -> bool) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |told: &mut Arc<LogUpkeep>| !self.is_stopping() && !is_urgent(told);
        drop(self.changed.wait_timeout_while(told, time, idle));
    }
}

impl Worker {
    fn run(&mut self) {
        // Where it cannot be lowered, it is as it was.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
        while !self.shared.is_stopping() {
            self.shared.rest(LOOK_INTERVAL, |told| !told.erasing().is_empty());
            if self.shared.is_stopping() {
                return;
            }
            if let Err(error) = self.look() {
                if self.shared.is_stopping() {
                    return;
                }
                tracing::warn!("the log is left as it is for a while: {error:#}");
                self.shared.rest(RETRY_WAIT, |_| false);
            }
        }
    }

    fn look(&mut self) -> Result<()> {
        let told = self.synced()?;
        if !told.erasing().is_empty() {
            self.erase(told.erasing())?;
        }
        self.retain()?;
        self.compact()
    }

    /// What the partition said last, once it is synced.
    fn synced(&self) -> Result<Arc<LogUpkeep>> {
        let told = self.shared.told();
        self.await_until(|| self.work.source.log.head_seq() >= told.as_of())?;
        Ok(told)
    }

    /// Makes sure that a durable checkpoint covers every record up to `seq`.
    fn cover(&self, seq: u64) -> Result<()> {
        let told = self.synced()?;
        let is_told = told.checkpoint().is_some_and(|through| through.seq >= seq);
        if is_told && self.work.files.covered_seq()? >= seq {
            return Ok(());
        }
        self.checkpoint(&self.state()?)
    }

    /// The state after everything that is synced.
    fn state(&self) -> Result<Partition> {
        self.work.source.catch_up(&self.shared.stop)?.context("the node is stopping")
    }

    /// Writes a state as a checkpoint, has it signed and kept, and lets go of those before.
    fn checkpoint(&self, partition: &Partition) -> Result<()> {
        let head = partition.state().head().context("there is no record yet")?;
        let written = self.work.source.folder.write_checkpoint(head, &partition.snapshot()?)?;
        let (through, chain, state) = (written.position, written.chain, written.state);
        let checkpoint = Checkpoint { through, chain, state, owner: self.work.node.id() };
        let claim = checkpoint.sign(&self.work.node);
        self.tell(Input::Checkpoint { checkpoint, claim })?;
        self.await_until(|| self.shared.told().checkpoint().is_some_and(|through| through.seq >= head.seq))?;
        self.synced()?;
        self.work.source.folder.remove_checkpoints_before(head.seq)?;
        tracing::info!(through = %head, "a checkpoint was written");
        Ok(())
    }

    fn tell(&self, input: Input) -> Result<()> {
        let submitted = self.work.runtime.block_on(self.work.mesh.submit(vec![input]));
        submitted.map_err(|_| anyhow::anyhow!("the node is busy or stopping"))
    }

    fn await_until(&self, is_so: impl Fn() -> bool) -> Result<()> {
        let until = Instant::now() + CONFIRM_WAIT;
        while !is_so() {
            if self.shared.is_stopping() {
                bail!("the node is stopping");
            }
            if Instant::now() > until {
                bail!("the partition did not keep in time what it was told");
            }
            std::thread::sleep(CONFIRM_INTERVAL);
        }
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.shared.is_stopping()
    }

    fn now() -> openmesh_message::Timestamp {
        now()
    }
}
