//! Segments, readers, the cache and snapshots, when nothing goes wrong.

use super::{assert_holds, assert_verifies, folder, keep, record, records, same, small};
use crate::embedded::disk::Disk;
use crate::embedded::{EmbeddedLog, LogConfig, LogReader, PageLimit, open_read_only};
use crate::fault::Fault;
use crate::record::{EncodedRecord, StoredRecord};
use bytes::Bytes;
use openmesh_message::Position;

/// A place that is right, and some that are not, give the record all the same.
fn assert_found_wherever_looked_for(reader: &LogReader, head_seq: u64) {
    for seq in 0..=head_seq + 1 {
        let found = reader.get(seq).unwrap();
        let at = found.as_ref().map_or(0, |record| record.at);
        for guess in [at, 0, at + 8, at.saturating_sub(8), 4608, 1 << 40, u64::MAX] {
            assert_eq!(reader.get_at_byte(seq, guess).unwrap(), found, "{seq} at {guess}");
        }
    }
}

#[test]
fn records_come_back_over_many_segments_from_cache_and_from_disk() {
    for cache_bytes in [0, 2000, 1 << 20] {
        let home = folder();
        let config = LogConfig { cache_bytes, ..small(4096) };
        let (mut log, opened) = EmbeddedLog::open(home.path(), &config).unwrap();
        assert_eq!((opened.epoch, opened.unclean, opened.next_seq, opened.head), (1, false, 1, None));
        let mut kept = Vec::new();
        for count in [1, 7, 2, 1, 30, 1, 1, 5, 9, 1] {
            kept.extend(keep(&mut log, count));
            assert_holds(&log.reader(), &kept);
        }
        let reader = log.reader();
        for record in &kept {
            assert!(same(&reader.get(record.position.seq).unwrap().unwrap(), record));
            assert!(reader.get_at(record.position).unwrap().is_some());
        }
        assert_found_wherever_looked_for(&reader, kept.len() as u64);
        let mut elsewhere = kept[0].position;
        elsewhere.epoch += 1;
        assert_eq!(reader.get_at(elsewhere).unwrap(), None);
        assert_eq!((reader.get(0).unwrap(), reader.get(kept.len() as u64 + 1).unwrap()), (None, None));
        let walked: Vec<_> = reader.records(10).map(Result::unwrap).collect();
        assert!(walked.iter().zip(&kept[9..]).all(|(stored, record)| same(stored, record)));
        assert_eq!(walked.len(), kept.len() - 9);
        let head_chain = log.head_chain();
        log.close().unwrap();
        let report = assert_verifies(home.path());
        assert!(report.clean && report.segments > 3);
        assert_eq!((report.records, report.head_chain), (kept.len() as u64, head_chain));
        let (log, opened) = EmbeddedLog::open(home.path(), &config).unwrap();
        assert_eq!((opened.epoch, opened.unclean, opened.head_chain), (1, false, head_chain));
        assert_eq!(opened.head, kept.last().map(|record| record.position));
        assert_holds(&log.reader(), &kept);
    }
}

/// A batch of many pieces, one record larger than a piece among them, is in memory as it is on disk.
#[test]
fn a_large_batch_is_remembered_in_pieces() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(1 << 22)).unwrap();
    let mut batch = records(&log, 3_000);
    batch[700].body = vec![7; 100_000];
    batch[701].body = vec![8; 50_000];
    log.append(&batch).unwrap();
    log.sync().unwrap();
    let reader = log.reader();
    let on_disk = open_read_only(home.path()).unwrap().0;
    for record in &batch {
        let seq = record.position.seq;
        assert!(reader.is_recent(seq) && !on_disk.is_recent(seq));
        assert_eq!(reader.get(seq).unwrap(), on_disk.get(seq).unwrap(), "{seq}");
        assert!(same(&reader.get(seq).unwrap().unwrap(), record));
    }
    assert_holds(&reader, &batch);
    assert!(!reader.is_recent(3_001) && !reader.is_recent(0));
}

#[test]
fn what_is_read_ahead_comes_in_order_and_ends_where_the_taker_ends_it() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(1 << 20)).unwrap();
    let kept = keep(&mut log, 5_000);
    let mut taken = Vec::new();
    let decode = |stored: StoredRecord| (stored.position, stored.body);
    let take = |item: Result<_, Fault>| {
        taken.push(item.unwrap());
        Ok::<_, ()>(())
    };
    log.reader().read_ahead(3, decode, take).unwrap();
    assert_eq!(taken.len(), kept.len() - 2);
    let agree = |(taken, kept): (&(Position, Bytes), &EncodedRecord)| {
        taken.0 == kept.position && taken.1.as_ref() == kept.body.as_slice()
    };
    assert!(taken.iter().zip(&kept[2..]).all(agree));
    let mut count = 0;
    let ended = log.reader().read_ahead(
        1,
        |stored| stored,
        |_| {
            count += 1;
            if count == 300 { Err("enough") } else { Ok(()) }
        },
    );
    assert_eq!((ended, count), (Err("enough"), 300));
    log.reader().read_ahead(6_000, |stored| stored, |_| Err("there is none")).unwrap();
}

#[test]
fn readers_see_nothing_before_its_sync() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(1 << 20)).unwrap();
    let reader = log.reader();
    log.append(&records(&log, 4)).unwrap();
    assert_eq!((reader.head_seq(), reader.get(1).unwrap()), (0, None));
    assert!(reader.scan(1, PageLimit::default()).unwrap().records.is_empty());
    log.sync().unwrap();
    assert_eq!(reader.head_seq(), 4);
    assert!(reader.get(4).unwrap().is_some());
}

#[test]
fn one_sync_covers_many_appends_and_none_is_skipped() {
    let (home, disk) = (folder(), Disk::default());
    let (mut log, _) = EmbeddedLog::open_on(disk.clone(), home.path(), &small(1 << 20)).unwrap();
    let syncs = || disk.trouble.lock().unwrap().syncs;
    let before = syncs();
    for _ in 0..10 {
        log.append(&records(&log, 3)).unwrap();
    }
    assert_eq!(syncs(), before);
    log.sync().unwrap();
    assert_eq!(syncs(), before + 1);
    log.sync().unwrap();
    assert_eq!(syncs(), before + 1, "there was nothing to sync");
    assert!(log.write_quiet_marker().unwrap());
    assert_eq!(syncs(), before + 2);
    assert!(!log.write_quiet_marker().unwrap());
    assert_eq!(syncs(), before + 2);
}

#[test]
fn pages_are_bounded_and_continue() {
    let home = folder();
    let (mut log, _) =
        EmbeddedLog::open(home.path(), &LogConfig { cache_bytes: 0, ..small(1 << 20) }).unwrap();
    keep(&mut log, 50);
    let page = log.reader().scan(5, PageLimit { records: 7, bytes: usize::MAX }).unwrap();
    assert_eq!((page.records.len(), page.next_seq), (7, 12));
    let page = log.reader().scan(5, PageLimit { records: 100, bytes: 1 }).unwrap();
    assert_eq!((page.records.len(), page.next_seq), (1, 6));
    let page = log.reader().scan(51, PageLimit::default()).unwrap();
    assert_eq!((page.records.len(), page.next_seq), (0, 51));
}

#[test]
fn a_batch_larger_than_a_segment_gets_one_of_its_own() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(4096)).unwrap();
    let mut large = record(1, 1);
    large.body = vec![9; 100_000];
    log.append(&[large.clone()]).unwrap();
    log.sync().unwrap();
    let mut kept = vec![large];
    kept.extend(keep(&mut log, 40));
    log.close().unwrap();
    assert_eq!(kept.len(), 41);
    let report = super::verified(home.path());
    assert_eq!(report.findings.len(), 1, "only the commitment this test broke: {:?}", report.findings);
    let (reader, _) = open_read_only(home.path()).unwrap();
    assert_holds(&reader, &kept);
}

#[test]
fn readers_follow_a_writer_on_another_thread() {
    let home = folder();
    let (mut log, _) =
        EmbeddedLog::open(home.path(), &LogConfig { cache_bytes: 5000, ..small(8192) }).unwrap();
    let reader = log.reader();
    let follower = std::thread::spawn(move || {
        let mut seq = 1;
        while seq <= 600 {
            let page = reader.scan(seq, PageLimit::default()).unwrap();
            assert!(page.lost.is_empty(), "{:?}", page.lost);
            for stored in &page.records {
                assert!(same(stored, &record(1, stored.position.seq)));
            }
            seq = page.next_seq;
        }
    });
    for _ in 0..200 {
        keep(&mut log, 3);
    }
    follower.join().unwrap();
}

#[test]
fn the_last_two_snapshots_are_kept_and_the_newest_is_loaded() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    let kept = keep(&mut log, 6);
    for seq in [2_usize, 4, 6] {
        log.write_snapshot(kept[seq - 1].position, format!("as of {seq}").as_bytes()).unwrap();
    }
    log.snapshots().write(kept[5].position, b"again as of 6").unwrap();
    drop(log);
    let names = crate::embedded::snapshot::snapshot_files(home.path()).unwrap();
    assert_eq!(names.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [6, 4]);
    let (log, opened) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    let snapshot = opened.snapshot.unwrap();
    assert_eq!((snapshot.position, snapshot.state.as_slice()), (kept[5].position, &b"again as of 6"[..]));
    assert_eq!(snapshot.chain, log.reader().get(6).unwrap().unwrap().chain);
    drop(log);
    let path = home.path().join(&names[0].1);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
    let (_log, opened) = EmbeddedLog::open(home.path(), &small(16 * 1024)).unwrap();
    assert_eq!(opened.snapshot.map(|snapshot| snapshot.state), Some(b"as of 4".to_vec()));
    assert_eq!(opened.report.bad_snapshots.len(), 1);
    assert!(!verified_snapshots_clean(home.path()));
}

fn verified_snapshots_clean(folder: &std::path::Path) -> bool {
    super::verified(folder).findings.is_empty()
}

#[test]
fn verification_tells_how_far_it_is() {
    let home = folder();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(4096)).unwrap();
    keep(&mut log, 30);
    log.close().unwrap();
    let mut told = Vec::new();
    let mut progress = |done, total| told.push((done, total));
    let mut options = crate::VerifyOptions { commitment: None, progress: Some(&mut progress) };
    let report = crate::verify(home.path(), &mut options).unwrap();
    assert_eq!(told.last(), Some(&(report.bytes, report.bytes)));
    assert!(told.windows(2).all(|pair| pair[0].0 <= pair[1].0));
}
