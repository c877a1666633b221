//! The topics there are, for patterns: a list in memory, and a file that it is added to.

use super::ProjectionFault;
use crate::embedded::bytes::{u32_at, u64_at};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

pub(super) const FILE_NAME: &str = "topics";
/// Of an entry: its length before the path; its term, and its checksum, behind.
const LENGTH_BYTES: usize = 4;
const TERM_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;

/// Paths and their terms.
#[derive(Debug, Default)]
pub(super) struct Topics(RwLock<BTreeMap<String, u64>>);

impl Topics {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, u64>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn extend(&self, topics: impl IntoIterator<Item = (String, u64)>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).extend(topics);
    }

    pub(super) fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct TopicsFile {
    file: File,
    bytes: u64,
}

impl TopicsFile {
    /// Opens the list, of which so much must be there; what a crash left behind that is cut off. Errors: `Unfit`.
    pub(super) fn open(folder: &Path, bytes_min: u64) -> Result<(Self, Vec<(String, u64)>), ProjectionFault> {
        let path = folder.join(FILE_NAME);
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let read = std::fs::read(&path)?;
        let (mut topics, mut at) = (Vec::new(), 0);
        while let Some((topic, length)) = read.get(at..).and_then(|rest| entry(rest, at as u64)) {
            topics.push(topic);
            at += length;
        }
        let bytes = at as u64;
        if bytes < bytes_min {
            return Err(ProjectionFault::Unfit("its list of topics does not check".to_owned()));
        }
        file.set_len(bytes)?;
        Ok((Self { file, bytes }, topics))
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn add<'a>(
        &mut self,
        topics: impl IntoIterator<Item = (&'a String, &'a u64)>,
    ) -> Result<(), ProjectionFault> {
        let mut out = Vec::new();
        for (path, term) in topics {
            let (begin, at) = (out.len(), self.bytes + out.len() as u64);
            out.extend_from_slice(&(path.len() as u32).to_le_bytes());
            out.extend_from_slice(path.as_bytes());
            out.extend_from_slice(&term.to_le_bytes());
            let checksum = checksum(at, out.get(begin..).unwrap_or_default());
            out.extend_from_slice(&checksum.to_le_bytes());
        }
        if !out.is_empty() {
            self.file.write_all(&out)?;
            self.bytes += out.len() as u64;
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), ProjectionFault> {
        Ok(self.file.sync_all()?)
    }
}

/// The entry that `bytes` begin with, and its length.
fn entry(bytes: &[u8], at: u64) -> Option<((String, u64), usize)> {
    let path_end = LENGTH_BYTES.checked_add(usize::try_from(u32_at(bytes, 0)?).ok()?)?;
    let path = bytes.get(LENGTH_BYTES..path_end)?;
    let term = u64_at(bytes, path_end)?;
    let checksum_at = path_end + TERM_BYTES;
    let is_whole = checksum(at, bytes.get(..checksum_at)?) == u32_at(bytes, checksum_at)?;
    let path = String::from_utf8(path.to_vec()).ok().filter(|_| is_whole)?;
    Some(((path, term), checksum_at + CHECKSUM_BYTES))
}

/// Bound to the entry's place.
fn checksum(at: u64, entry: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&at.to_le_bytes()), entry)
}

#[cfg(test)]
mod tests {
    use super::{FILE_NAME, TopicsFile};
    use crate::projection::ProjectionFault;

    #[test]
    fn what_a_crash_left_is_cut_off_and_what_must_be_there_must_check() {
        let folder = tempfile::tempdir().unwrap();
        let (mut list, none) = TopicsFile::open(folder.path(), 0).unwrap();
        assert!(none.is_empty());
        let topics = [("a/b".to_owned(), 7), ("c".to_owned(), u64::MAX)];
        list.add(topics.iter().map(|(path, term)| (path, term))).unwrap();
        let whole = list.bytes();
        drop(list);
        let path = folder.path().join(FILE_NAME);
        let bytes = std::fs::read(&path).unwrap();
        for left in 0..bytes.len() {
            std::fs::write(&path, [&bytes[..], &bytes[..left]].concat()).unwrap();
            let (list, found) = TopicsFile::open(folder.path(), whole).unwrap();
            assert_eq!((list.bytes(), found.as_slice()), (whole, topics.as_slice()));
        }
        for place in 0..bytes.len() {
            let mut rotten = bytes.clone();
            rotten[place] ^= 1;
            std::fs::write(&path, rotten).unwrap();
            let opened = TopicsFile::open(folder.path(), whole);
            assert!(matches!(opened, Err(ProjectionFault::Unfit(_))), "byte {place}");
        }
    }
}
