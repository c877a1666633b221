//! Letting go of old segments, and of bodies: what stays is whole, what goes is gone, and a crash between any two steps
//! leaves a log that opens.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Frozen, assert_verifies, folder, keep, read_all, record, same, small, verified};
use crate::embedded::disk::Disk;
use crate::embedded::{EmbeddedLog, Flaw, Opened, Unwanted, open_read_only};
use crate::fault::Fault;
use crate::record::EncodedRecord;
use tempfile::TempDir;

const SEGMENT_BYTES: u64 = 7_680;

fn open(disk: &Disk, folder: &Path) -> Result<(EmbeddedLog, Opened), Fault> {
    EmbeddedLog::open_on(disk.clone(), folder, &small(SEGMENT_BYTES))
}

/// A log of several segments, and a checkpoint of what is in all but the last few records.
fn filled() -> (TempDir, Disk, EmbeddedLog, Vec<EncodedRecord>) {
    let (home, disk) = (folder(), Disk::default());
    let (mut log, _) = open(&disk, home.path()).unwrap();
    let mut kept = Vec::new();
    for _ in 0..20 {
        kept.extend(keep(&mut log, 5));
    }
    log.snapshots().write_checkpoint(kept[84].position, b"all that came of it").unwrap();
    assert!(log.upkeep().segments().len() > 4);
    (home, disk, log, kept)
}

/// What is there is what was kept, but for bodies that may have gone and records that were let go.
fn assert_holds_rest(log: &EmbeddedLog, kept: &[EncodedRecord], erased: &BTreeSet<u64>, may_have: bool) {
    let (all, lost) = read_all(&log.reader());
    assert_eq!(lost, Vec::<u64>::new());
    let first_seq = log.reader().first_seq();
    assert_eq!(all.len() as u64, kept.len() as u64 + 1 - first_seq);
    for (stored, record) in all.iter().zip(&kept[first_seq as usize - 1..]) {
        let is_same = same(stored, record);
        let is_erased = stored.is_erased && stored.body.is_empty() && stored.salt == [0; 16];
        let is_right = stored.header == record.header && stored.position == record.position;
        if erased.contains(&record.position.seq) {
            assert!(is_right && (is_erased || (may_have && is_same)), "{:?}", stored.position);
        } else {
            assert!(is_same && !stored.is_erased, "{:?}", stored.position);
        }
    }
}

fn holds_bytes(folder: &Path, needle: &[u8]) -> bool {
    Frozen::of(folder)
        .files()
        .iter()
        .any(|(_, bytes)| bytes.windows(needle.len()).any(|window| window == needle))
}

#[test]
fn bodies_go_from_disk_and_memory_and_the_chain_still_holds() {
    let (home, _, mut log, kept) = filled();
    let (upkeep, reader) = (log.upkeep(), log.reader());
    let erased: BTreeSet<u64> = [3, 7, 8, 40].into();
    assert!(holds_bytes(home.path(), &kept[6].body));
    let mut bodies = 0;
    let places: Vec<_> = reader.records(1).map(|record| record.unwrap().at).collect();
    for segment in upkeep.segments() {
        let before = reader.get(segment.first_seq).unwrap().unwrap();
        let went = upkeep.rewrite(segment.number, &Unwanted::Erased(&erased));
        if let Ok(Some(rewritten)) = went {
            bodies += rewritten.bodies;
            assert!(rewritten.bytes_after < rewritten.bytes_before);
        }
        assert_eq!(reader.get(segment.first_seq).unwrap().unwrap().header, before.header);
    }
    assert_eq!(bodies, 4);
    for (seq, place) in (1..).zip(places) {
        assert_eq!(reader.get_at_byte(seq, place), reader.get(seq), "where it was before the rewrite");
    }
    assert_holds_rest(&log, &kept, &erased, false);
    for seq in &erased {
        let body = &kept[*seq as usize - 1].body;
        assert!(!holds_bytes(home.path(), body), "{seq}");
    }
    let report = assert_verifies(home.path());
    assert_eq!((report.erased, report.records, report.checkpoints), (4, 100, 1));
    let all = |_: &crate::StoredRecord| true;
    let first = upkeep.segments()[0].number;
    assert!(upkeep.rewrite(first, &Unwanted::Ended(&all)).unwrap().unwrap().bodies > 1);
    keep(&mut log, 3);
    log.close().unwrap();
    let (log, opened) = open(&Disk::default(), home.path()).unwrap();
    assert_eq!(opened.snapshot.unwrap().state, b"all that came of it");
    assert!(log.reader().get(1).unwrap().unwrap().is_erased);
    assert_verifies(home.path());
}

#[test]
fn only_sealed_segments_behind_a_checkpoint_are_touched() {
    let (home, _, mut log, kept) = filled();
    let upkeep = log.upkeep();
    let segments = upkeep.segments();
    let (last, late) = (segments.last().unwrap(), segments.iter().find(|one| one.last_seq > 85).unwrap());
    let all: BTreeSet<u64> = (1..200).collect();
    assert_eq!(upkeep.rewrite(last.number, &Unwanted::Erased(&all)), Ok(None));
    let refused = upkeep.let_go(last.number).unwrap_err();
    assert!(matches!(refused, Fault::NotCovered { covered_seq: 85, .. }) && refused.retry_helps());
    if late.is_sealed {
        assert!(matches!(
            upkeep.rewrite(late.number, &Unwanted::Erased(&all)),
            Err(Fault::NotCovered { .. })
        ));
    }
    assert!(log.seal().unwrap() && !log.seal().unwrap());
    log.snapshots().write_checkpoint(kept[99].position, b"later").unwrap();
    assert!(upkeep.rewrite(last.number, &Unwanted::Erased(&all)).unwrap().is_some());
    upkeep.let_go(last.number).unwrap();
    assert_eq!((log.reader().first_seq(), log.reader().get(100).unwrap()), (101, None));
    let kept = [kept, keep(&mut log, 2)].concat();
    assert_holds_rest(&log, &kept, &BTreeSet::new(), false);
    assert_eq!(log.reader().records(1).count(), 2);
    let report = assert_verifies(home.path());
    assert_eq!((report.first_seq, report.begins_with), (101, Some(kept[99].position)));
}

#[test]
fn a_log_without_its_beginning_opens_from_a_checkpoint_and_not_without_one() {
    let (home, _, log, kept) = filled();
    log.write_snapshot(kept[95].position, b"newer").unwrap();
    log.write_snapshot(kept[2].position, b"old").unwrap();
    log.upkeep().let_go(3).unwrap();
    let first_seq = log.reader().first_seq();
    assert!(first_seq > 1);
    log.close().unwrap();
    assert_verifies(home.path());
    let remove = |name: &str| std::fs::remove_file(home.path().join(name)).unwrap();
    remove("snapshot-00000000000000000096.state");
    let (log, opened) = open(&Disk::default(), home.path()).unwrap();
    assert_eq!(opened.snapshot.unwrap().position, kept[84].position);
    assert_holds_rest(&log, &kept, &BTreeSet::new(), false);
    log.close().unwrap();
    remove("checkpoint-00000000000000000085.state");
    let fault = open(&Disk::default(), home.path()).unwrap_err();
    assert_eq!(fault, Fault::NoState { folder: home.path().to_owned(), first_seq });
    assert!(fault.to_string().contains("put back the newest checkpoint"));
    let findings = verified(home.path()).findings;
    assert!(findings.iter().any(|finding| finding.flaw == Flaw::NoState), "{findings:?}");
    // Reading does not need to know what came before.
    let (reader, _) = open_read_only(home.path()).unwrap();
    assert_eq!(reader.records(1).count() as u64, 101 - first_seq);
}

#[test]
fn damage_stays_damage_and_holds_nothing_of_what_was_erased() {
    let (home, _, log, kept) = filled();
    log.close().unwrap();
    let path = home.path().join("segment-0000000001.log");
    let mut bytes = std::fs::read(&path).unwrap();
    for seq in [2, 4] {
        let body = &kept[seq].body;
        let at = bytes.windows(body.len()).position(|window| window == *body).unwrap();
        bytes[at] ^= 1;
    }
    std::fs::write(&path, bytes).unwrap();
    let lost = verified(home.path()).findings.len();
    let (log, _) = open(&Disk::default(), home.path()).unwrap();
    let upkeep = log.upkeep();
    let all = |_: &crate::StoredRecord| true;
    assert_eq!(upkeep.rewrite(1, &Unwanted::Ended(&all)), Ok(None));
    let erased: BTreeSet<u64> = [3, 6].into();
    assert_eq!(upkeep.rewrite(1, &Unwanted::Erased(&erased)).unwrap().unwrap().bodies, 1);
    log.close().unwrap();
    let (kept_part, erased_part) = (&kept[4].body[1..], &kept[2].body[1..]);
    assert!(holds_bytes(home.path(), kept_part) && !holds_bytes(home.path(), erased_part));
    assert_eq!(verified(home.path()).findings.len(), lost);
    let (reader, _) = open_read_only(home.path()).unwrap();
    assert_eq!(read_all(&reader).1, [3, 5]);
}

/// Checkpoint, rewrite, let go: once around.
fn work(log: &EmbeddedLog, kept: &[EncodedRecord], erased: &BTreeSet<u64>) -> Result<(), Fault> {
    let (upkeep, snapshots) = (log.upkeep(), log.snapshots());
    snapshots.write_checkpoint(kept[97].position, b"later")?;
    snapshots.remove_checkpoints_before(98)?;
    for segment in upkeep.segments().iter().filter(|one| one.is_sealed && one.last_seq <= 98) {
        upkeep.rewrite(segment.number, &Unwanted::Erased(erased))?;
    }
    upkeep.let_go(3)?;
    Ok(())
}

#[test]
fn a_crash_between_any_two_steps_leaves_a_log_that_opens() {
    let erased: BTreeSet<u64> = [2, 20, 61, 62].into();
    let mut finished = false;
    for crash_after in 0..200 {
        for lose_all in [false, true] {
            let (home, disk, mut log, mut kept) = filled();
            disk.trouble.lock().unwrap().crash_after = Some(crash_after);
            finished = work(&log, &kept, &erased).is_ok();
            disk.trouble.lock().unwrap().crash_after = Some(0);
            // What was under way in the log itself.
            let _ = log.append(&[record(log.epoch(), log.next_seq())]);
            drop(log);
            disk.trouble.lock().unwrap().cut_power(|| lose_all);
            disk.trouble.lock().unwrap().crash_after = None;
            let (mut log, opened) = open(&disk, home.path()).unwrap();
            assert!(opened.report.corrupt.is_empty(), "{crash_after}: {:?}", opened.report);
            let state = opened.snapshot.unwrap();
            assert!(state.position.seq + 1 >= log.reader().first_seq());
            assert_verifies(home.path());
            kept.truncate(opened.next_seq as usize - 1);
            assert_holds_rest(&log, &kept, &erased, true);
            kept.extend(keep(&mut log, 3));
            work(&log, &kept, &erased).unwrap();
            assert_holds_rest(&log, &kept, &erased, false);
            log.close().unwrap();
            assert_verifies(home.path());
        }
        if finished {
            break;
        }
    }
    assert!(finished, "the work is longer than the crashes tried");
}
