//! Tests of the embedded log, by what could go wrong. Folders are in memory where the machine offers that: what a
//! power cut takes is decided by `trouble`, not by the disk.

mod crash;
mod failures;
mod flipped_byte;
mod moving;
mod reading;
mod rolling;
mod torn_tail;
pub(super) mod trouble;
mod upkeep;

use std::path::Path;

use openmesh_message::{PartitionId, Position};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::frame::frame_bytes;
use super::{EmbeddedLog, LogConfig, LogReader, VerifyOptions, VerifyReport, verify};
use crate::record::{EncodedRecord, SeqRange, StoredRecord};

pub(crate) const PARTITION: PartitionId = PartitionId(7);

pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

pub(crate) fn small(segment_bytes: u64) -> LogConfig {
    LogConfig { segment_bytes, ..LogConfig::new(PARTITION) }
}

/// A record whose content follows from its position; the header begins with the commitment.
pub(crate) fn record(epoch: u32, seq: u64) -> EncodedRecord {
    let salt = [u8::try_from(seq % 251).unwrap(); 16];
    let body = format!("body of {seq} in {epoch}").repeat(usize::try_from(seq % 3 + 1).unwrap()).into_bytes();
    let commitment: [u8; 32] = Sha256::new().chain_update(salt).chain_update(&body).finalize().into();
    let mut header = commitment.to_vec();
    header.extend_from_slice(format!("header {seq}").as_bytes());
    EncodedRecord { position: Position { partition: PARTITION, epoch, seq }, header, salt, body }
}

pub(crate) fn records(log: &EmbeddedLog, count: u64) -> Vec<EncodedRecord> {
    (log.next_seq()..log.next_seq() + count).map(|seq| record(log.epoch(), seq)).collect()
}

/// Appends and syncs one batch.
pub(crate) fn keep(log: &mut EmbeddedLog, count: u64) -> Vec<EncodedRecord> {
    let batch = records(log, count);
    log.append(&batch).unwrap();
    log.sync().unwrap();
    batch
}

pub(crate) fn frame_length(record: &EncodedRecord) -> u64 {
    frame_bytes((record.header.len() + record.body.len()) as u64)
}

pub(crate) fn same(stored: &StoredRecord, record: &EncodedRecord) -> bool {
    stored.position == record.position
        && stored.header == record.header
        && stored.salt == record.salt
        && stored.body == record.body
}

/// Every record, and the seqs that were reported lost.
pub(crate) fn read_all(reader: &LogReader) -> (Vec<StoredRecord>, Vec<u64>) {
    let (mut all, mut lost, mut seq) = (Vec::new(), Vec::new(), 1);
    while seq <= reader.head_seq() {
        let page = reader.scan(seq, crate::PageLimit { records: 3, bytes: 1000 }).unwrap();
        assert!(page.next_seq > seq, "a page makes no progress");
        seq = page.next_seq;
        all.extend(page.records);
        lost.extend(page.lost.iter().flat_map(|SeqRange { first, last }| *first..=*last));
    }
    (all, lost)
}

pub(crate) fn assert_holds(reader: &LogReader, expected: &[EncodedRecord]) {
    let (all, lost) = read_all(reader);
    assert_eq!(lost, Vec::<u64>::new());
    assert_eq!(all.len(), expected.len());
    for (stored, record) in all.iter().zip(expected) {
        assert!(same(stored, record), "{:?} is not {:?}", stored.position, record.position);
    }
}

pub(crate) fn verified(folder: &Path) -> VerifyReport {
    let commitment = |record: &StoredRecord| {
        let commitment = Sha256::new().chain_update(record.salt).chain_update(&record.body).finalize();
        record.header.starts_with(&commitment)
    };
    verify(folder, &mut VerifyOptions { commitment: Some(&commitment), progress: None }).unwrap()
}

pub(crate) fn assert_verifies(folder: &Path) -> VerifyReport {
    let report = verified(folder);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    report
}

/// Every file of a folder, to be put back before each of many trials.
pub(crate) struct Frozen(Vec<(String, Vec<u8>)>);

impl Frozen {
    pub(crate) fn of(folder: &Path) -> Self {
        let names = super::recovery::file_names(folder).unwrap();
        Self(
            names.into_iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect(),
        )
    }

    pub(crate) fn files(&self) -> &[(String, Vec<u8>)] {
        &self.0
    }

    pub(crate) fn thaw(&self, folder: &Path) {
        for name in super::recovery::file_names(folder).unwrap() {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
        for (name, bytes) in &self.0 {
            // A log put back is refused; these are to pass for the log itself.
            let bytes = if name == "lock" { &[] } else { bytes.as_slice() };
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
}
