//! What the world can refuse: writes, syncs, room, the folder; and what the caller can get wrong.

use super::trouble::Failing;
use super::{PARTITION, assert_holds, assert_verifies, folder, keep, record, records, small};
use crate::embedded::disk::Disk;
use crate::embedded::segment::prologue;
use crate::embedded::{EmbeddedLog, RECORD_BYTES_MAX, batch_bytes, open_read_only};
use crate::fault::Fault;
use openmesh_message::PartitionId;

fn fail(disk: &Disk, failing: Option<Failing>) {
    disk.trouble.lock().unwrap().failing = failing;
}

#[test]
fn after_a_failed_sync_every_call_returns_that_fault_and_no_sync_is_tried_again() {
    let (home, disk) = (folder(), Disk::default());
    let (mut log, _) = EmbeddedLog::open_on(disk.clone(), home.path(), &small(16 * 1024)).unwrap();
    let kept = keep(&mut log, 2);
    log.append(&records(&log, 1)).unwrap();
    fail(&disk, Some(Failing::Sync));
    let fault = log.sync().unwrap_err();
    assert!(matches!(fault, Fault::SyncFailed { .. }) && fault.stops_log() && !fault.retry_helps());
    fail(&disk, None);
    let attempts = disk.trouble.lock().unwrap().sync_attempts;
    assert_eq!(log.sync().unwrap_err(), fault);
    assert_eq!(log.append(&records(&log, 1)).unwrap_err(), fault);
    assert_eq!(log.reserve(1).unwrap_err(), fault);
    assert_eq!(log.write_quiet_marker().unwrap_err(), fault);
    assert_holds(&log.reader(), &kept);
    assert_eq!(log.close().unwrap_err(), fault);
    assert_eq!(disk.trouble.lock().unwrap().sync_attempts, attempts);
    let (_log, opened) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    assert_eq!((opened.epoch, opened.unclean), (2, true));
}

#[test]
fn after_a_failed_write_the_log_has_stopped() {
    let (home, disk) = (folder(), Disk::default());
    let (mut log, _) = EmbeddedLog::open_on(disk.clone(), home.path(), &small(16 * 1024)).unwrap();
    let kept = keep(&mut log, 2);
    fail(&disk, Some(Failing::Write));
    let fault = log.append(&records(&log, 1)).unwrap_err();
    assert!(matches!(fault, Fault::WriteFailed { .. }));
    fail(&disk, None);
    assert_eq!(log.sync().unwrap_err(), fault);
    assert_holds(&log.reader(), &kept);
}

#[test]
fn a_full_disk_is_said_before_anything_is_written_and_the_log_goes_on() {
    let (home, disk) = (folder(), Disk::default());
    let (mut log, _) = EmbeddedLog::open_on(disk.clone(), home.path(), &small(7_680)).unwrap();
    let mut kept = keep(&mut log, 2);
    fail(&disk, Some(Failing::Allocate));
    let fault = log.reserve(4096).unwrap_err();
    assert!(matches!(fault, Fault::Full { .. }) && fault.retry_helps() && !fault.stops_log());
    assert!(matches!(log.append(&records(&log, 30)).unwrap_err(), Fault::Full { .. }));
    assert_eq!(log.next_seq(), 3);
    kept.extend(keep(&mut log, 1));
    fail(&disk, None);
    assert!(matches!(log.reserve(u64::MAX).unwrap_err(), Fault::Full { .. }));
    log.reserve(4096).unwrap();
    fail(&disk, Some(Failing::Allocate));
    let batch = records(&log, 20);
    let payload = batch.iter().map(|record| (record.header.len() + record.body.len()) as u64).sum();
    assert!(batch_bytes(batch.len(), payload) < 4096 * 2);
    log.append(&records(&log, 12)).unwrap();
    kept.extend(records(&log, 0));
    log.sync().unwrap();
    kept = (1..log.next_seq()).map(|seq| record(1, seq)).collect();
    assert_holds(&log.reader(), &kept);
    fail(&disk, None);
    log.close().unwrap();
    assert_verifies(home.path());
}

#[test]
fn what_was_reserved_fits() {
    for count in 1..40 {
        let (home, disk) = (folder(), Disk::default());
        let (mut log, _) = EmbeddedLog::open_on(disk.clone(), home.path(), &small(4096)).unwrap();
        keep(&mut log, 3);
        let batch = records(&log, count);
        let payload = batch.iter().map(|record| (record.header.len() + record.body.len()) as u64).sum();
        log.reserve(batch_bytes(batch.len(), payload)).unwrap();
        fail(&disk, Some(Failing::Allocate));
        log.append(&batch).unwrap();
        log.close().unwrap();
    }
}

#[test]
fn one_writer_a_folder_and_readers_beside_it() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    let kept = keep(&mut log, 3);
    let refused = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap_err();
    assert!(matches!(refused, Fault::Locked { .. }) && refused.retry_helps());
    let (reader, report) = open_read_only(home.path()).unwrap();
    assert!(report.writer_running && !report.clean);
    assert_holds(&reader, &kept);
    assert!(assert_verifies(home.path()).writer_running);
    log.close().unwrap();
    let (_, report) = open_read_only(home.path()).unwrap();
    assert!(!report.writer_running && report.clean);
    EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
}

#[test]
fn a_newer_version_is_refused_in_segments_and_snapshots() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    let kept = keep(&mut log, 3);
    log.write_snapshot(kept[1].position, b"state").unwrap();
    log.close().unwrap();
    let snapshot = "snapshot-00000000000000000002.state";
    let files = [(snapshot, *b"OMSNAPSH", 2), ("segment-0000000001.log", *b"OMLOGSEG", 3)];
    for (name, magic, newer) in files {
        let path = home.path().join(name);
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[..16].copy_from_slice(&prologue(magic, newer));
        std::fs::write(&path, bytes).unwrap();
        let newer = Fault::Newer { file: name.to_owned(), found: newer, supported: newer - 1 };
        assert_eq!(EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap_err(), newer);
        assert_eq!(open_read_only(home.path()).unwrap_err(), newer);
        let options = &mut crate::VerifyOptions::default();
        assert_eq!(crate::verify(home.path(), options).unwrap_err(), newer);
        std::fs::write(&path, whole).unwrap();
    }
}

#[test]
fn wrong_positions_sizes_and_partitions_write_nothing() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    for wrong in [record(1, 2), record(2, 1), record(1, 0)] {
        assert!(matches!(log.append(&[wrong]).unwrap_err(), Fault::OutOfOrder { .. }));
    }
    let mut stranger = record(1, 1);
    stranger.position.partition = PartitionId(PARTITION.0 + 1);
    assert!(matches!(log.append(&[stranger]).unwrap_err(), Fault::OutOfOrder { .. }));
    assert!(matches!(log.append(&[record(1, 1), record(1, 3)]).unwrap_err(), Fault::OutOfOrder { .. }));
    let mut large = record(1, 1);
    large.body = vec![0; usize::try_from(RECORD_BYTES_MAX).unwrap()];
    assert!(matches!(log.append(&[large]).unwrap_err(), Fault::TooLarge { .. }));
    assert!(matches!(
        log.write_snapshot(record(1, 1).position, b"").unwrap_err(),
        Fault::SnapshotAhead { .. }
    ));
    let kept = keep(&mut log, 1);
    assert_holds(&log.reader(), &kept);
    log.close().unwrap();
    let mut other = small(16 * 1024);
    other.partition = PartitionId(PARTITION.0 + 1);
    assert!(matches!(EmbeddedLog::open(home.path(), &other).unwrap_err(), Fault::WrongPartition { .. }));
}
