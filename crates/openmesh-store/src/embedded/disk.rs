//! Every change the log makes to its folder goes through here: in tests, the place where the disk fails, and where
//! a power cut takes back what was not synced.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::FallocateFlags;

use crate::planted::{self, Planted};

static ZERO_PIECE: [u8; 65536] = [0; 65536];

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

    pub(crate) fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        self.trouble().before_write(file, bytes.len(), at)?;
        file.write_all_at(bytes, at)
    }

    pub(crate) fn write_zeros(&self, file: &File, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let piece = usize::try_from(to - at).unwrap_or(usize::MAX).min(ZERO_PIECE.len());
            self.write_at(file, ZERO_PIECE.get(..piece).unwrap_or_default(), at)?;
            at += piece as u64;
        }
        Ok(())
    }

    pub(crate) fn sync_content(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.trouble().before_sync(file)?;
        if planted::has(Planted::SkipSync) {
            return Ok(());
        }
        match file.sync_data() {
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
            Err(rustix::io::Errno::OPNOTSUPP) => self.write_zeros(file, file.metadata()?.len(), bytes),
            done => done.map_err(io::Error::from),
        }
    }

    #[cfg(test)]
    fn trouble(&self) -> std::sync::MutexGuard<'_, super::tests::trouble::Trouble> {
        self.trouble.lock().unwrap()
    }
}

/// True when the operating system refused for want of room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
