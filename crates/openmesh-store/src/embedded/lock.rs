//! One process a folder: an advisory lock that the operating system releases when its holder ends, however it ends. And one
//! folder a log: the locked file says when it was made, which no copy of it can say of itself.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::frame::{u32_at, u64_at};
use super::segment::{newer_version, prologue};
use super::walker::read_up_to;
use crate::failpoint;
use crate::fault::Fault;
use crate::planted::{self, Planted};

pub(crate) const LOCK_NAME: &str = "lock";
/// The newest form of what is in the locked file.
const LOCK_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"OMLOGDIR";
const BYTES: usize = 64;
const CHECKSUM_AT: usize = 60;

/// A reader probing whether a writer runs holds the lock for an instant: wait it out.
const TRIES: u32 = 10;
const PAUSE_MS: u64 = 20;

/// Held as long as the writer lives.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
}

/// What tells a file from a copy of it: when it was made; where the file system does not say, its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Birth {
    made_ns: u64,
    inode: u64,
}

/// What the locked file says of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing: the folder is fresh, or an earlier version wrote it.
    Unsaid,
    /// That the log was written here.
    Here,
    /// That the log was written elsewhere: this is a copy, or was moved to another file system, or put back.
    Elsewhere,
    /// Its bytes do not check.
    Damaged,
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
                _ if planted::has(Planted::NoFolderLock) => return Ok(Self { file }),
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(PAUSE_MS)),
                Err(TryLockError::Error(error)) => return Err(Fault::io("lock", &path, &error)),
            }
        }
        let said = read_up_to(&file, 0, BYTES).ok().filter(|bytes| is_whole(bytes));
        let holder = said.and_then(|bytes| u32_at(&bytes, 32)).filter(|pid| *pid != 0);
        Err(Fault::Locked { folder: folder.to_owned(), holder })
    }

    /// Whether the log was written in this folder. Errors: `Newer`, `Io`.
    pub(crate) fn place(&self, folder: &Path) -> Result<Place, Fault> {
        let fault = |error: io::Error| Fault::io("read", &folder.join(LOCK_NAME), &error);
        let bytes = read_up_to(&self.file, 0, BYTES).map_err(fault)?;
        if let Some(found) = newer_version(&bytes, MAGIC, LOCK_VERSION) {
            return Err(Fault::Newer { file: LOCK_NAME.to_owned(), found, supported: LOCK_VERSION });
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Place::Unsaid);
        }
        let said = is_whole(&bytes).then(|| Birth::decode(&bytes)).flatten();
        let Some(said) = said else {
            return Ok(Place::Damaged);
        };
        let is_here = said.is_of_one_file(Birth::of(&self.file).map_err(fault)?);
        Ok(if is_here || planted::has(Planted::TrustCopy) { Place::Here } else { Place::Elsewhere })
    }

    /// Says that the log is written here from now on, and by which process. Errors: `Io`.
    pub(crate) fn bind(&self, folder: &Path) -> Result<(), Fault> {
        let bound = Birth::of(&self.file).and_then(|birth| {
            self.file.write_all_at(&birth.encode(std::process::id()), 0)?;
            failpoint::reached("open.bound");
            self.file.sync_all()
        });
        bound.map_err(|error| Fault::io("write", &folder.join(LOCK_NAME), &error))
    }

    /// True when a writer has the folder.
    pub(crate) fn is_taken(folder: &Path) -> bool {
        let Ok(file) = File::open(folder.join(LOCK_NAME)) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

/// Whether what a locked file holds is what a writer leaves there.
pub(crate) fn is_sound(bytes: &[u8]) -> bool {
    bytes.is_empty() || (bytes.len() == BYTES && is_whole(bytes))
}

fn is_whole(bytes: &[u8]) -> bool {
    let checked = bytes.get(..CHECKSUM_AT).map(crc32c::crc32c);
    checked.is_some()
        && checked == u32_at(bytes, CHECKSUM_AT)
        && bytes.starts_with(&prologue(MAGIC, LOCK_VERSION))
}

impl Birth {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let made = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let made_ns = made.and_then(|made| u64::try_from(made.as_nanos()).ok()).unwrap_or(0);
        Ok(Self { made_ns, inode: metadata.ino() })
    }

    const fn is_of_one_file(self, other: Self) -> bool {
        if self.made_ns != 0 && other.made_ns != 0 {
            self.made_ns == other.made_ns
        } else {
            self.inode == other.inode
        }
    }

    fn encode(self, pid: u32) -> Vec<u8> {
        let mut bytes = prologue(MAGIC, LOCK_VERSION);
        bytes.extend_from_slice(&self.made_ns.to_le_bytes());
        bytes.extend_from_slice(&self.inode.to_le_bytes());
        bytes.extend_from_slice(&pid.to_le_bytes());
        bytes.resize(CHECKSUM_AT, 0);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self { made_ns: u64_at(bytes, 16)?, inode: u64_at(bytes, 24)? })
    }
}
