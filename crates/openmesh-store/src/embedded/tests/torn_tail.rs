//! What a crash may leave of the last records, byte by byte.

use std::path::Path;

use super::{Frozen, assert_holds, assert_verifies, folder, frame_length, keep, small};
use crate::embedded::EmbeddedLog;
use crate::embedded::frame::BATCH_HEAD_BYTES;
use crate::record::EncodedRecord;

const SEGMENT: &str = "segment-0000000001.log";

/// What stands in the file from the cut on.
#[derive(Clone, Copy, Debug)]
enum Left {
    Nothing,
    Zeros,
    Garbage,
}

struct Case {
    frozen: Frozen,
    kept: Vec<EncodedRecord>,
    /// Where each of the last three records ends.
    ends: Vec<usize>,
    /// Where the first of them begins.
    from: usize,
    one_batch: bool,
}

fn unclosed(one_batch: bool) -> Case {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    let mut kept = keep(&mut log, 5);
    kept.extend(keep(&mut log, 2));
    let from = usize::try_from(log.end.at()).unwrap();
    let mut ends = Vec::new();
    let mut end = from;
    for count in if one_batch { vec![3] } else { vec![1, 1, 1] } {
        end += BATCH_HEAD_BYTES;
        let batch = super::records(&log, count);
        log.append(&batch).unwrap();
        for record in batch {
            end += usize::try_from(frame_length(&record)).unwrap();
            ends.push(end);
            kept.push(record);
        }
    }
    assert_eq!(log.end.at(), end as u64);
    drop(log);
    Case { frozen: Frozen::of(home.path()), kept, ends, from, one_batch }
}

fn tear(folder: &Path, cut: usize, end: usize, left: Left) -> bool {
    let path = folder.join(SEGMENT);
    let whole = std::fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    match left {
        Left::Nothing => bytes.truncate(cut),
        Left::Zeros => bytes[cut..].fill(0),
        Left::Garbage => {
            bytes[cut..end].iter_mut().enumerate().for_each(|(at, byte)| *byte ^= (at % 255) as u8 + 1)
        }
    }
    std::fs::write(&path, &bytes).unwrap();
    bytes.resize(whole.len(), 0);
    bytes != whole
}

fn try_cut(case: &Case, home: &Path, cut: usize, left: Left) {
    let end = *case.ends.last().unwrap();
    case.frozen.thaw(home);
    let original = std::fs::read(home.join(SEGMENT)).unwrap();
    let changed = tear(home, cut, end, left);
    let mut torn = std::fs::read(home.join(SEGMENT)).unwrap();
    torn.resize(original.len(), 0);
    let whole = case.ends.iter().filter(|end| torn[..**end] == original[..**end]).count();
    let mut kept = case.kept[..case.kept.len() - 3 + whole].to_vec();

    let (mut log, opened) = EmbeddedLog::open(home, &small(16 * 1024)).unwrap();
    let about = format!("cut at {cut}, {left:?}, {:?}", opened.report);
    assert_eq!((opened.epoch, opened.unclean), (2, true), "{about}");
    assert_eq!(opened.next_seq, kept.len() as u64 + 1, "{about}");
    assert_eq!(opened.head.map(|head| head.seq), Some(kept.len() as u64), "{about}");
    assert!(opened.report.corrupt.is_empty(), "{about}");
    // A cut between batches leaves no trace.
    let kept_end = whole.checked_sub(1).map_or(case.from, |last| case.ends[last]);
    let traceless = (!case.one_batch || cut <= case.from) && torn[kept_end..].iter().all(|byte| *byte == 0);
    if changed && !traceless {
        let dropped = opened.report.dropped.as_ref().unwrap_or_else(|| panic!("nothing dropped: {about}"));
        assert_eq!(dropped.segment, SEGMENT, "{about}");
        assert!(
            dropped.from_byte <= (cut as u64).next_multiple_of(8) && dropped.to_byte > dropped.from_byte,
            "{about}"
        );
    }
    assert_holds(&log.reader(), &kept);
    kept.extend(keep(&mut log, 2));
    assert_holds(&log.reader(), &kept);
    log.close().unwrap();
    assert_verifies(home);
    let (log, opened) = EmbeddedLog::open(home, &small(16 * 1024)).unwrap();
    assert_eq!((opened.epoch, opened.unclean), (2, false), "{about}");
    assert!(opened.report.is_clean(), "{about}");
    assert_holds(&log.reader(), &kept);
}

#[test]
fn every_whole_record_comes_back_from_a_tail_torn_at_any_byte() {
    let home = folder();
    for one_batch in [false, true] {
        let case = unclosed(one_batch);
        for cut in case.from..=*case.ends.last().unwrap() {
            for left in [Left::Nothing, Left::Zeros, Left::Garbage] {
                try_cut(&case, home.path(), cut, left);
            }
        }
    }
}

#[test]
fn a_batch_that_ends_between_its_records_is_reported() {
    let case = unclosed(true);
    let home = folder();
    case.frozen.thaw(home.path());
    tear(home.path(), case.ends[0], case.ends[2], Left::Zeros);
    let (_log, opened) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    let dropped = opened.report.dropped.unwrap();
    assert_eq!((dropped.from_byte, dropped.to_byte), (case.ends[0] as u64, case.ends[2] as u64));
}

#[test]
fn a_hole_in_an_unsynced_tail_drops_what_follows_and_its_seqs_get_another_epoch() {
    let case = unclosed(true);
    let home = folder();
    case.frozen.thaw(home.path());
    let path = home.path().join(SEGMENT);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[case.ends[0] + 20..case.ends[1]].fill(0);
    std::fs::write(&path, bytes).unwrap();

    let (mut log, opened) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    assert_eq!((opened.next_seq, opened.epoch), (case.kept.len() as u64 - 1, 2));
    let mut kept = case.kept[..case.kept.len() - 2].to_vec();
    kept.extend(keep(&mut log, 1));
    drop(log);
    let (log, opened) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    assert_eq!((opened.epoch, opened.report.is_clean()), (3, true));
    assert_holds(&log.reader(), &kept);
    drop(log);
    assert_verifies(home.path());
}
