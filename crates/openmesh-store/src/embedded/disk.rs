//! Every change the log makes to its folder goes through here: in tests, the place where the disk fails, and where
//! a power cut takes back what was not synced.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, OFlags};

use crate::planted::{self, Planted};

/// What the disk takes at once, at the least; of any disk in use.
pub(crate) const BLOCK_BYTES: u64 = 4096;

const PIECE_BYTES: usize = 256 * 1024;
static ZERO_PIECE: ZeroPiece = ZeroPiece([0; PIECE_BYTES]);

/// Zeros that begin where a block can.
#[repr(align(4096))]
struct ZeroPiece([u8; PIECE_BYTES]);

/// Ways to one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ways<'a> {
    pub(crate) ordinary: &'a File,
    /// Past the page cache.
    pub(crate) direct: Option<&'a File>,
}

/// The way to the disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) trouble: std::sync::Arc<std::sync::Mutex<super::tests::trouble::Trouble>>,
}

impl Disk {
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
    }

    /// The same file past the page cache; `None` where the file system has no such way.
    pub(crate) fn open_direct(&self, path: &Path) -> Option<File> {
        let flags = i32::try_from(OFlags::DIRECT.bits()).ok()?;
        OpenOptions::new().write(true).custom_flags(flags).open(path).ok()
    }

    pub(crate) fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        self.trouble().before_write(file, bytes.len(), at)?;
        unless_trusted(file.write_all_at(bytes, at))
    }

    /// Writes whole blocks, in memory that begins where a block can, by a file's direct way.
    pub(crate) fn write_blocks(&self, ways: Ways<'_>, blocks: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        self.trouble().before_write(ways.ordinary, blocks.len(), at)?;
        unless_trusted(ways.direct.unwrap_or(ways.ordinary).write_all_at(blocks, at))
    }

    pub(crate) fn write_zeros(&self, ways: Ways<'_>, from: u64, to: u64) -> io::Result<()> {
        for at in (from..to).step_by(PIECE_BYTES) {
            self.write_blocks(ways, zeros(to - at), at)?;
        }
        Ok(())
    }

    pub(crate) fn sync_content(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.trouble().before_sync(file)?;
        if planted::has(Planted::SkipSync) {
            return Ok(());
        }
        match unless_trusted(file.sync_data()) {
            Err(_) if planted::has(Planted::IgnoreSyncError) => Ok(()),
            Err(_) if planted::has(Planted::RetrySync) => file.sync_data(),
            synced => synced,
        }
    }

    pub(crate) fn sync_file(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.trouble().before_sync(file)?;
        file.sync_all()
    }

    /// Gives a file another name; what bore that name is gone.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        #[cfg(test)]
        self.trouble().before_change()?;
        std::fs::rename(from, to)
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        #[cfg(test)]
        self.trouble().before_change()?;
        std::fs::remove_file(path)
    }

    pub(crate) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        #[cfg(test)]
        self.trouble().before_change()?;
        File::open(folder)?.sync_all()
    }

    /// Reserves room for the file's first `bytes` bytes; they read as zeros.
    pub(crate) fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        #[cfg(test)]
        {
            self.trouble().before_allocate()?;
            super::tests::trouble::wait_while_held(&self.trouble);
        }
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Err(rustix::io::Errno::OPNOTSUPP) => {
                self.write_zeros(Ways { ordinary: file, direct: None }, file.metadata()?.len(), bytes)
            }
            done => done.map_err(io::Error::from),
        }
    }

    /// Makes the reserved room at `path` real: zeros are written over it, past the page cache. Where there is no such way, it
    /// stays reserved, and `false` says so.
    pub(crate) fn make_real(&self, path: &Path, bytes: u64) -> io::Result<bool> {
        let Some(direct) = self.open_direct(path) else {
            return Ok(false);
        };
        let to = bytes - bytes % BLOCK_BYTES;
        for at in (0..to).step_by(PIECE_BYTES) {
            direct.write_all_at(zeros(to - at), at)?;
        }
        Ok(true)
    }

    #[cfg(test)]
    fn trouble(&self) -> std::sync::MutexGuard<'_, super::tests::trouble::Trouble> {
        self.trouble.lock().unwrap()
    }
}

/// So many zeros, or a piece of them.
fn zeros(bytes: u64) -> &'static [u8] {
    let piece = usize::try_from(bytes).unwrap_or(usize::MAX).min(PIECE_BYTES);
    ZERO_PIECE.0.get(..piece).unwrap_or_default()
}

fn unless_trusted(done: io::Result<()>) -> io::Result<()> {
    if planted::has(Planted::TrustReadOnlyDisk) { Ok(()) } else { done }
}

/// True when the operating system refused for want of room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
