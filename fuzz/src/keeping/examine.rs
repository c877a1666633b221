//! What must hold of any folder that is opened as a log, whatever stands in its files.

use super::disk::{PARTITION, claimed_bytes, folder};
use crate::form::assert_brief;
use crate::targets::Met;
use openmesh_message::{PartitionId, Position};
use openmesh_store::{
    EmbeddedLog, EncodedRecord, Fault, LogConfig, LogReader, PageLimit, StoredRecord, VerifyOptions,
    open_read_only, verify,
};
use std::path::Path;

/// Records read of one log; more are not in files of this size.
const RECORDS_MAX: usize = 4_096;
/// A log whose header claims more than this is read and not written: opening it would take that much memory.
pub(super) const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Who wrote what is examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// A log's writer, before it was damaged.
    ByWriter,
    /// Somebody else: heads may claim more than ever was there, and a reader need not see what a writer will keep.
    ByForger,
}

/// Verifies, reads, opens, appends, closes and opens again; refused is what nobody could open.
pub(super) fn examine(files: &[(String, Vec<u8>)], written: Written) -> Met {
    let folder = folder(files);
    match verify(folder.path(), &mut VerifyOptions::default()) {
        Ok(report) => assert!(report.findings.iter().all(|finding| !finding.file.is_empty())),
        Err(fault) => assert_brief(&fault),
    }
    let seen = match open_read_only(folder.path()) {
        Ok((reader, report)) => {
            assert_eq!(reader.head_seq(), report.head.map_or(0, |head| head.seq));
            Some(read(&reader, written))
        }
        Err(fault) => {
            assert_brief(&fault);
            None
        }
    };
    if files.iter().all(|(_, bytes)| claimed_bytes(bytes) <= FILE_BYTES_MAX) {
        let kept = write(folder.path(), written);
        if let (Written::ByWriter, Some(seen), Some(kept)) = (written, &seen, &kept) {
            assert_eq!(seen, kept, "a reader and the writer see different records");
        }
    }
    if seen.is_some() { Met::Taken } else { Met::Refused }
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 4_096, cache_bytes: 4_096, ..LogConfig::new(PartitionId(PARTITION)) }
}

/// Opens for writing; the records that were found, unless it cannot be opened.
fn write(folder: &Path, written: Written) -> Option<Vec<StoredRecord>> {
    let (mut log, opened) = match EmbeddedLog::open(folder, &config()) {
        Ok(open) => open,
        Err(fault) => {
            assert_brief(&fault);
            return None;
        }
    };
    assert_eq!(opened.next_seq, log.next_seq());
    let found = read(&log.reader(), written);
    let position = Position { partition: PartitionId(PARTITION), epoch: log.epoch(), seq: log.next_seq() };
    let record =
        EncodedRecord { position, header: b"header".to_vec(), salt: [1; 16], body: b"body".to_vec() };
    log.append(&[record]).unwrap();
    log.sync().unwrap();
    log.close().unwrap();
    let (log, again) = EmbeddedLog::open(folder, &config()).unwrap();
    assert_eq!((again.next_seq, again.unclean), (opened.next_seq + 1, false), "{:?}", again.report);
    assert_eq!((again.head, again.report.dropped), (Some(position), None));
    let mut kept = read(&log.reader(), written);
    // Behind a forged frame that runs ahead of it, a reader takes a record for lost.
    if written == Written::ByForger {
        return Some(found);
    }
    assert_eq!(kept.pop().map(|record| record.position), Some(position));
    assert_eq!(kept, found, "what was read before an append is read after it");
    Some(found)
}

/// Every record, page by page and one by one.
fn read(reader: &LogReader, written: Written) -> Vec<StoredRecord> {
    let mut records = Vec::new();
    let mut seq = 1;
    while seq <= reader.head_seq() && records.len() < RECORDS_MAX {
        let page = reader.scan(seq, PageLimit { records: 3, bytes: 1_000 }).unwrap();
        assert!(page.next_seq > seq, "a page makes no progress");
        seq = page.next_seq;
        records.extend(page.records);
    }
    assert!(records.windows(2).all(|pair| pair[0].position.seq < pair[1].position.seq));
    for record in &records {
        let found = reader.get(record.position.seq);
        if written == Written::ByWriter {
            assert_eq!(found.unwrap().as_ref(), Some(record));
            continue;
        }
        // Frames that claim one number twice, or lead past it, are not all found where one alone is looked for.
        match found {
            Ok(found) => assert_eq!(found.map(|found| found.position.seq), Some(record.position.seq)),
            Err(fault) => assert!(matches!(fault, Fault::Damaged { .. }), "{fault}"),
        }
    }
    records
}
