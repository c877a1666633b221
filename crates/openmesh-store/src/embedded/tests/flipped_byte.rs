//! One changed byte anywhere: always found, and never more than its record lost.

use std::path::Path;

use super::{Frozen, assert_verifies, folder, keep, read_all, same, small, verified};
use crate::embedded::frame::{BATCH_HEAD_BYTES, Content, RECORD_HEAD_BYTES, encode_record};
use crate::embedded::{EmbeddedLog, open_read_only};
use crate::record::EncodedRecord;

const SEGMENT_BYTES: u64 = 3072;

struct Case {
    frozen: Frozen,
    kept: Vec<EncodedRecord>,
}

/// Three segments, two runs, batches of one and of many, two snapshots.
fn closed() -> Case {
    let home = folder();
    let mut kept = Vec::new();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(SEGMENT_BYTES)).unwrap();
    kept.extend(keep(&mut log, 3));
    log.write_quiet_marker().unwrap();
    kept.extend(keep(&mut log, 1));
    log.write_snapshot(kept[2].position, b"state as of three").unwrap();
    log.close().unwrap();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(SEGMENT_BYTES)).unwrap();
    for count in [1, 4, 1, 2] {
        kept.extend(keep(&mut log, count));
    }
    log.write_snapshot(kept[8].position, b"state as of nine").unwrap();
    log.close().unwrap();
    assert_eq!(assert_verifies(home.path()).records, kept.len() as u64);
    Case { frozen: Frozen::of(home.path()), kept }
}

fn flip(folder: &Path, name: &str, bytes: &[u8], at: usize) {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << (at % 8);
    std::fs::write(folder.join(name), bytes).unwrap();
}

/// Opens and reads; returns the seqs that are gone.
fn survivors(case: &Case, home: &Path, about: &str) -> Vec<u64> {
    let next = case.kept.len() as u64 + 1;
    let (mut log, opened) = EmbeddedLog::open(home, &small(SEGMENT_BYTES)).unwrap();
    assert_eq!(opened.next_seq, next, "{about}: {:?}", opened.report);
    assert!(opened.snapshot.is_some(), "{about}: {:?}", opened.report);
    let (all, lost) = read_all(&log.reader());
    assert_eq!(all.len() + lost.len(), case.kept.len(), "{about}");
    for stored in &all {
        let index = usize::try_from(stored.position.seq - 1).unwrap();
        assert!(same(stored, &case.kept[index]), "{about}");
    }
    for seq in &lost {
        assert!(log.reader().get(*seq).is_err(), "{about}");
    }
    let added = keep(&mut log, 1);
    assert!(same(&log.reader().get(next).unwrap().unwrap(), &added[0]), "{about}");
    log.close().unwrap();
    let (log, opened) = EmbeddedLog::open(home, &small(SEGMENT_BYTES)).unwrap();
    assert_eq!((opened.next_seq, opened.unclean), (next + 1, false), "{about}: {:?}", opened.report);
    let (again, _) = read_all(&log.reader());
    assert_eq!(again.len(), all.len() + 1, "{about}");
    lost
}

#[test]
fn any_flipped_byte_is_reported_and_costs_at_most_its_record() {
    let case = closed();
    let home = folder();
    let mut lost_in_total = 0;
    let logs = case.frozen.files().iter().filter(|(name, _)| name != "lock");
    let mut segments = 0;
    for (name, bytes) in logs {
        segments += usize::from(name.starts_with("segment"));
        for at in 0..bytes.len() {
            let about = format!("{name} at {at}");
            case.frozen.thaw(home.path());
            flip(home.path(), name, bytes, at);
            let report = verified(home.path());
            assert!(report.findings.iter().any(|finding| finding.file == *name), "{about}: not found");
            let (reader, _) = open_read_only(home.path()).unwrap();
            assert_eq!(reader.head_seq(), case.kept.len() as u64, "{about}");
            let lost = survivors(&case, home.path(), &about);
            assert!(lost.len() <= 1, "{about}: lost {lost:?}");
            lost_in_total += lost.len();
        }
    }
    assert!(segments >= 3);
    assert!(lost_in_total > 500, "flips in records lose them: {lost_in_total}");
}

#[test]
fn damage_below_the_synced_head_is_corruption_not_a_torn_tail() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    keep(&mut log, 2);
    let last_at = usize::try_from(log.end.at()).unwrap() - 40;
    log.write_quiet_marker().unwrap();
    drop(log);
    let path = home.path().join("segment-0000000001.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[last_at] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let (_log, opened) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    assert_eq!((opened.next_seq, opened.epoch), (3, 2));
    assert_eq!(opened.report.dropped, None);
    assert_eq!(opened.report.corrupt[0].lost.map(|lost| (lost.first, lost.last)), Some((2, 2)));
}

#[test]
fn a_forged_record_with_right_checksums_breaks_the_chain_or_its_commitment() {
    for (part, expected) in
        [("header 2", "the chain is broken"), ("body of 2", "not what the header commits to")]
    {
        let home = folder();
        let (mut log, _) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
        keep(&mut log, 3);
        let (active, end) = (std::sync::Arc::clone(&log.active), log.end.at());
        log.close().unwrap();
        let path = home.path().join(&active.name);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(part.len()).position(|window| window == part.as_bytes()).unwrap();
        bytes[at] ^= 1;
        let mut walker = active.walk(active.data_start(), 65536);
        while walker.at() < end {
            let crate::embedded::walker::Item::Record { at, head, frame } = walker.next().unwrap().unwrap()
            else {
                continue;
            };
            let from = usize::try_from(at).unwrap();
            let mut forged = head
                .cut(&bytes::Bytes::copy_from_slice(&bytes[from..from + frame.len()]), super::PARTITION, at)
                .unwrap();
            forged.position = head.cut(&frame, super::PARTITION, at).unwrap().position;
            let record = EncodedRecord {
                position: forged.position,
                header: forged.header.to_vec(),
                salt: forged.salt,
                body: forged.body.to_vec(),
            };
            let mut out = Vec::new();
            let content = Content::of(&record, &head.chain);
            encode_record(content, active.seal, at, &mut out);
            bytes[from..from + out.len()].copy_from_slice(&out);
        }
        std::fs::write(&path, bytes).unwrap();
        let report = verified(home.path());
        assert!(
            report.findings.iter().any(|finding| finding.to_string().contains(expected)),
            "{:?}",
            report.findings
        );
    }
}

#[test]
fn what_does_not_belong_is_reported() {
    let case = closed();
    let home = folder();
    let check = |change: &dyn Fn(&Path)| {
        case.frozen.thaw(home.path());
        change(home.path());
        assert!(!verified(home.path()).findings.is_empty());
    };
    check(&|folder| std::fs::write(folder.join("stranger"), b"").unwrap());
    check(&|folder| std::fs::create_dir(folder.join("cellar")).unwrap());
    std::fs::remove_dir(home.path().join("cellar")).unwrap();
    check(&|folder| std::fs::write(folder.join("lock"), b"x").unwrap());
    check(&|folder| std::fs::remove_file(folder.join("segment-0000000002.log")).unwrap());
    check(&|folder| std::fs::remove_file(folder.join("segment-0000000001.log")).unwrap());
    check(&|folder| {
        std::fs::copy(folder.join("segment-0000000001.log"), folder.join("segment-0000000002.log"))
            .map(drop)
            .unwrap();
    });
    check(&|folder| {
        let path = folder.join("segment-0000000003.log");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(&[0; 8]);
        std::fs::write(path, bytes).unwrap();
    });
}

#[test]
fn a_flipped_byte_in_what_an_open_wrote_does_not_bring_its_epoch_back() {
    let home = folder();
    let (log, _) = EmbeddedLog::open(home.path(), &small(4096)).unwrap();
    drop(log);
    let (log, opened) = EmbeddedLog::open(home.path(), &small(4096)).unwrap();
    assert_eq!(opened.epoch, 2);
    let end = usize::try_from(log.end.at()).unwrap();
    drop(log);
    let frozen = Frozen::of(home.path());
    let name = "segment-0000000001.log";
    let bytes = std::fs::read(home.path().join(name)).unwrap();
    for at in 0..end {
        frozen.thaw(home.path());
        flip(home.path(), name, &bytes, at);
        let (_log, opened) = EmbeddedLog::open(home.path(), &small(4096)).unwrap();
        assert_eq!(opened.epoch, 3, "byte {at}: {:?}", opened.report);
    }
}

#[test]
fn a_frame_inside_a_body_does_not_pass_for_a_record() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    keep(&mut log, 1);
    let seal = super::super::frame::Seal::new(&[0; 16], super::PARTITION, 1);
    let at = log.end.at() + (BATCH_HEAD_BYTES + RECORD_HEAD_BYTES) as u64;
    let mut forged = Vec::new();
    let (record, chain) = (super::record(1, 2), [0; 32]);
    encode_record(Content::of(&record, &chain), seal, at, &mut forged);
    let carrier = EncodedRecord { header: Vec::new(), body: forged, ..super::record(1, 2) };
    let damaged_at = usize::try_from(at).unwrap() - 30;
    log.append(&[carrier]).unwrap();
    log.sync().unwrap();
    log.close().unwrap();
    let path = home.path().join("segment-0000000001.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[damaged_at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (log, opened) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    assert_eq!(opened.next_seq, 3);
    assert_eq!(read_all(&log.reader()).1, [2]);
}

#[test]
fn bytes_after_a_clean_close_make_it_unclean() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(7_680)).unwrap();
    keep(&mut log, 1);
    log.close().unwrap();
    let path = home.path().join("segment-0000000001.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[7_584] = 1;
    std::fs::write(&path, bytes).unwrap();
    let (_log, opened) = EmbeddedLog::open(home.path(), &small(7_680)).unwrap();
    assert_eq!((opened.epoch, opened.unclean), (2, true));
    assert_eq!(opened.report.dropped.map(|dropped| dropped.to_byte), Some(7_592));
}
