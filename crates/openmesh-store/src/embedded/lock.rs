//! One process a folder: an advisory lock that the operating system releases when its holder ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::fault::Fault;

pub(crate) const LOCK_NAME: &str = "lock";

/// A reader probing whether a writer runs holds the lock for an instant: wait it out.
const TRIES: u32 = 10;
const PAUSE_MS: u64 = 20;

/// Held as long as the writer lives.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the folder for this process. Errors: `Locked`, `Io`.
    pub(crate) fn take(folder: &Path) -> Result<Self, Fault> {
        let path = folder.join(LOCK_NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| Fault::io("open", &path, &error))?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(PAUSE_MS)),
                Err(TryLockError::Error(error)) => return Err(Fault::io("lock", &path, &error)),
            }
        }
        Err(Fault::Locked { folder: folder.to_owned() })
    }

    /// True when a writer has the folder.
    pub(crate) fn is_taken(folder: &Path) -> bool {
        let Ok(file) = File::open(folder.join(LOCK_NAME)) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}
