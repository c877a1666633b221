//! The room of the segment to come, made ahead of need on a thread of its own: to reserve tens of MiB and sync them takes as
//! long as the disk likes, and the log's thread waits for it only where what it was promised has run out.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::disk::Disk;
use super::segment::{SPARE_NAME, Spare};
use crate::fault::Fault;

/// How long room that could not be made is not asked for again ahead of need.
const RETRY_AHEAD: Duration = Duration::from_secs(1);

/// Makes the room, one piece at a time, and holds it until it is needed.
#[derive(Debug)]
pub(crate) struct RoomMaker {
    folder: PathBuf,
    disk: Disk,
    spare: Option<Spare>,
    is_making: bool,
    failed_at: Option<Instant>,
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    jobs: Option<SyncSender<u64>>,
    made: Receiver<Result<Spare, Fault>>,
    thread: Option<JoinHandle<()>>,
}

impl RoomMaker {
    pub(crate) fn new(folder: &Path, disk: &Disk) -> Self {
        let (folder, disk) = (folder.to_owned(), disk.clone());
        Self { folder, disk, spare: None, is_making: false, failed_at: None, worker: None }
    }

    /// Has `bytes` made ready for later, unless they are; never waits, and says nothing of what goes wrong.
    pub(crate) fn ask_ahead(&mut self, bytes: u64) {
        if let Some(Err(_)) = self.collect() {
            self.failed_at = Some(Instant::now());
        }
        let is_early = self.failed_at.is_some_and(|failed| failed.elapsed() < RETRY_AHEAD);
        if !self.has(bytes) && !self.is_making && !is_early {
            self.begin(bytes);
        }
    }

    /// Waits until `bytes` are ready. Errors: `Full` (and nothing is left behind), `Io`.
    pub(crate) fn wait_for(&mut self, bytes: u64) -> Result<(), Fault> {
        // What is under way may have been asked for before there was room for it, or be too small.
        if self.is_making {
            let _ = self.finish();
        }
        if self.has(bytes) {
            return Ok(());
        }
        self.begin(bytes);
        let made = if self.is_making { self.finish() } else { self.make_here(bytes) };
        self.failed_at = made.is_err().then(Instant::now);
        made
    }

    /// The room that is ready.
    pub(crate) fn take(&mut self) -> Option<Spare> {
        self.spare.take()
    }

    /// Ends the thread and removes what was not needed. Errors: `Io`.
    pub(crate) fn remove(mut self) -> Result<(), Fault> {
        if self.is_making {
            let _ = self.finish();
        }
        if self.spare.take().is_some() {
            let path = self.folder.join(SPARE_NAME);
            std::fs::remove_file(&path).map_err(|error| Fault::io("remove", &path, &error))?;
        }
        Ok(())
    }

    fn has(&self, bytes: u64) -> bool {
        self.spare.as_ref().is_some_and(|spare| spare.bytes >= bytes)
    }

    fn begin(&mut self, bytes: u64) {
        self.spare = None;
        if self.worker.is_none() {
            self.worker = Worker::start(&self.folder, &self.disk);
        }
        let jobs = self.worker.as_ref().and_then(|worker| worker.jobs.as_ref());
        self.is_making = jobs.is_some_and(|jobs| jobs.try_send(bytes).is_ok());
    }

    /// What the thread has made since the last look.
    fn collect(&mut self) -> Option<Result<(), Fault>> {
        if !self.is_making {
            return None;
        }
        let made = match self.worker.as_ref()?.made.try_recv() {
            Ok(made) => made,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(self.thread_gone()),
        };
        Some(self.keep(made))
    }

    /// Waits for what is being made.
    fn finish(&mut self) -> Result<(), Fault> {
        let made = self.worker.as_ref().and_then(|worker| worker.made.recv().ok());
        let made = made.unwrap_or_else(|| Err(self.thread_gone()));
        self.keep(made)
    }

    fn keep(&mut self, made: Result<Spare, Fault>) -> Result<(), Fault> {
        self.is_making = false;
        self.spare = Some(made?);
        self.failed_at = None;
        Ok(())
    }

    /// Where the machine has no thread to give.
    fn make_here(&mut self, bytes: u64) -> Result<(), Fault> {
        let made = Spare::make(&self.disk, &self.folder, bytes);
        self.keep(made)
    }

    fn thread_gone(&self) -> Fault {
        Fault::io("make room in", &self.folder, &std::io::Error::other("the thread for it has ended"))
    }
}

impl Worker {
    fn start(folder: &Path, disk: &Disk) -> Option<Self> {
        let (jobs, asked) = sync_channel::<u64>(1);
        let (give, made) = sync_channel(1);
        let (folder, disk) = (folder.to_owned(), disk.clone());
        let thread = std::thread::Builder::new().name("room".to_owned()).spawn(move || {
            while let Ok(bytes) = asked.recv() {
                if give.send(Spare::make_real(&disk, &folder, bytes)).is_err() {
                    return;
                }
            }
        });
        Some(Self { jobs: Some(jobs), made, thread: Some(thread.ok()?) })
    }
}

impl Drop for Worker {
    /// Whoever opens the folder next must not meet a thread that still writes into it.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
