//! A disk that fails on demand and forgets what was not synced, for tests.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long an allocation is held at most.
const HELD_MAX: Duration = Duration::from_secs(3);

/// What fails next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    Write,
    Sync,
    Allocate,
}

/// Failures to come, syncs so far, and what a power cut would restore.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) failing: Option<Failing>,
    /// After so many more writes and syncs the machine is gone: all of them fail.
    pub(crate) crash_after: Option<u64>,
    pub(crate) syncs: u64,
    pub(crate) sync_attempts: u64,
    /// The disk takes its time to reserve room: until this is taken back, or [`HELD_MAX`] is over.
    pub(crate) holds_allocations: bool,
    /// How often it was over.
    pub(crate) held_too_long: u64,
    pub(crate) allocations: u64,
    undo: Vec<(File, u64, Vec<u8>)>,
}

impl Trouble {
    pub(crate) fn before_write(&mut self, file: &File, len: usize, at: u64) -> io::Result<()> {
        self.count_down()?;
        if self.failing == Some(Failing::Write) {
            return Err(io::Error::from_raw_os_error(5));
        }
        let mut old = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match file.read_at(&mut old[filled..], at + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        self.undo.push((file.try_clone()?, at, old));
        Ok(())
    }

    pub(crate) fn before_sync(&mut self, file: &File) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        self.sync_attempts += 1;
        self.count_down()?;
        if self.failing == Some(Failing::Sync) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.syncs += 1;
        let inode = file.metadata()?.ino();
        self.undo.retain(|(other, _, _)| other.metadata().map(|meta| meta.ino()).unwrap_or(0) != inode);
        Ok(())
    }

    pub(crate) fn before_allocate(&mut self) -> io::Result<()> {
        self.allocations += 1;
        match self.failing {
            Some(Failing::Allocate) => Err(io::Error::from_raw_os_error(28)),
            _ => Ok(()),
        }
    }

    /// Before a name or a folder changes.
    pub(crate) fn before_change(&mut self) -> io::Result<()> {
        self.count_down()
    }

    fn count_down(&mut self) -> io::Result<()> {
        match &mut self.crash_after {
            Some(0) => Err(io::Error::from_raw_os_error(5)),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Restores each unsynced sector for which `lose` says so; a power cut loses any of them.
    pub(crate) fn cut_power(&mut self, mut lose: impl FnMut() -> bool) {
        const SECTOR: u64 = 512;
        for (file, at, old) in self.undo.drain(..).rev() {
            let mut from = 0_usize;
            while from < old.len() {
                let sector_end = ((at + from as u64) / SECTOR + 1) * SECTOR;
                let to = usize::try_from(sector_end - at).unwrap().min(old.len());
                if lose() {
                    file.write_all_at(&old[from..to], at + from as u64).unwrap();
                }
                from = to;
            }
        }
    }
}

/// A disk that takes its time.
pub(crate) fn wait_while_held(trouble: &Mutex<Trouble>) {
    let began = Instant::now();
    while trouble.lock().unwrap().holds_allocations {
        if began.elapsed() > HELD_MAX {
            trouble.lock().unwrap().held_too_long += 1;
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
