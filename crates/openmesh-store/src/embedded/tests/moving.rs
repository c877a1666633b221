//! Copies of a log: those that lie in another folder, and those in a backup.

use std::path::Path;

use super::{assert_holds, assert_verifies, folder, keep, small, verified};
use crate::backup::{Backup, BackupFile, back_up, unfinished_import};
use crate::{EmbeddedLog, Fault, LogConfig, open_read_only};

const SEGMENT_BYTES: u64 = 16 * 1024;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn adopting() -> LogConfig {
    LogConfig { adopt: true, ..small(SEGMENT_BYTES) }
}

#[test]
fn a_copy_of_a_folder_is_refused_and_taken_over_only_under_a_far_epoch() {
    let (home, other, third) = (folder(), folder(), folder());
    let log_at = home.path().join("log");
    let (mut log, _) = EmbeddedLog::open(&log_at, &small(SEGMENT_BYTES)).unwrap();
    let kept = keep(&mut log, 5);
    for copied in [other.path(), third.path()] {
        copy(&log_at, copied);
        let refused = EmbeddedLog::open(copied, &small(SEGMENT_BYTES)).unwrap_err();
        assert!(matches!(refused, Fault::Copied { .. }), "{refused}");
        let (reader, _) = open_read_only(copied).unwrap();
        assert_holds(&reader, &kept);
    }
    let mut epochs = vec![log.epoch()];
    for copied in [other.path(), third.path()] {
        let (mut taken, opened) = EmbeddedLog::open(copied, &adopting()).unwrap();
        assert!(opened.unclean && opened.epoch >= log.epoch() + (1 << 16), "{}", opened.epoch);
        assert_holds(&taken.reader(), &kept);
        keep(&mut taken, 1);
        epochs.push(opened.epoch);
        taken.close().unwrap();
        let (_, opened) = EmbeddedLog::open(copied, &small(SEGMENT_BYTES)).unwrap();
        assert_eq!(
            (Some(&opened.epoch), opened.unclean),
            (epochs.last(), false),
            "it is at home from then on"
        );
        assert_verifies(copied);
    }
    epochs.dedup();
    assert!(epochs.len() >= 2);
    keep(&mut log, 1);
    log.close().unwrap();
    let moved = home.path().join("moved");
    std::fs::rename(&log_at, &moved).unwrap();
    let (_, opened) = EmbeddedLog::open(&moved, &small(SEGMENT_BYTES)).unwrap();
    assert_eq!((opened.epoch, opened.next_seq), (1, 7), "a folder under another name is the same folder");
}

#[test]
fn a_second_process_is_told_who_has_the_folder_and_a_damaged_lock_is_reported() {
    let home = folder();
    let (log, _) = EmbeddedLog::open(home.path(), &small(SEGMENT_BYTES)).unwrap();
    let refused = EmbeddedLog::open(home.path(), &small(SEGMENT_BYTES)).unwrap_err();
    let holder = Some(std::process::id());
    assert_eq!(refused, Fault::Locked { folder: home.path().to_owned(), holder });
    drop(log);
    let mut said = std::fs::read(home.path().join("lock")).unwrap();
    said[20] ^= 1;
    std::fs::write(home.path().join("lock"), &said).unwrap();
    assert_eq!(verified(home.path()).findings[0].file, "lock");
    let (_, opened) = EmbeddedLog::open(home.path(), &small(SEGMENT_BYTES)).unwrap();
    assert_eq!(opened.report.corrupt[0].segment, "lock");
    assert_verifies(home.path());
    let newer = crate::embedded::bytes::prologue(*b"OMLOGDIR", 2);
    std::fs::write(home.path().join("lock"), newer).unwrap();
    let refused = EmbeddedLog::open(home.path(), &small(SEGMENT_BYTES)).unwrap_err();
    assert!(matches!(refused, Fault::Newer { found: 2, .. }), "{refused}");
}

/// A log of several segments with a snapshot, its writer at work, and a backup of it.
fn backed_up(home: &Path) -> (EmbeddedLog, Vec<crate::EncodedRecord>, std::path::PathBuf) {
    let (mut log, _) = EmbeddedLog::open(&home.join("log"), &small(SEGMENT_BYTES)).unwrap();
    let mut kept = Vec::new();
    for round in 0..60 {
        kept.extend(keep(&mut log, 7));
        if round == 30 {
            log.write_snapshot(kept.last().unwrap().position, b"state of round 30").unwrap();
        }
    }
    log.write_quiet_marker().unwrap();
    // Written and not synced: nobody was promised it.
    log.append(&super::records(&log, 3)).unwrap();
    let path = home.join("node.backup");
    let files = [BackupFile { code: 4, content: b"a certificate".to_vec() }];
    let mut told = (0, 0);
    let mut out = std::fs::File::create(&path).unwrap();
    let taken =
        back_up(&home.join("log"), ("a domain", 17), &files, &mut out, &mut |done, all| told = (done, all));
    let taken = taken.unwrap();
    assert_eq!((taken.records, taken.damaged), (kept.len() as u64, 0));
    assert!(told.0 == told.1 && told.1 == taken.about.log_bytes);
    assert_eq!(taken.about.last_seq, kept.len() as u64);
    (log, kept, path)
}

#[test]
fn a_backup_of_a_running_log_is_a_log_again_under_a_far_epoch() {
    let home = folder();
    let (mut log, kept, path) = backed_up(home.path());
    let backup = Backup::open(&path, &mut |_, _| {}).unwrap();
    assert_eq!((backup.about.owner.as_str(), backup.about.made_at, backup.about.epoch), ("a domain", 17, 1));
    assert_eq!(backup.files[0].content, b"a certificate");
    let place = home.path().join("restored");
    let staged = backup.stage(&place, &mut |_, _| {}).unwrap();
    assert!(unfinished_import(&place).is_some() && !place.exists());
    assert!(staged.report.findings.is_empty(), "{:?}", staged.report.findings);
    let epoch = staged.epoch;
    staged.commit().unwrap();
    assert_eq!(unfinished_import(&place), None);
    let chain = open_read_only(&place).unwrap().0.get(kept.len() as u64).unwrap().unwrap().chain;
    assert_eq!(chain, backup.about.chain);
    let (mut restored, opened) = EmbeddedLog::open(&place, &small(SEGMENT_BYTES)).unwrap();
    assert_holds(&restored.reader(), &kept);
    assert_eq!(opened.snapshot.unwrap().state, b"state of round 30");
    assert!(opened.unclean && opened.epoch > epoch && epoch > 1 << 16, "{} {epoch}", opened.epoch);
    let (one, other) = (keep(&mut restored, 1), keep(&mut log, 1));
    assert_ne!(one[0].position.epoch, other[0].position.epoch, "no position is used by both");
    assert_verifies(&place);
    let refused = backup.stage(&place, &mut |_, _| {}).unwrap_err();
    assert!(refused.to_string().contains("there is a log already"), "{refused}");
}

#[test]
fn no_flipped_byte_and_no_cut_of_a_backup_is_imported() {
    let home = folder();
    let (_log, _, path) = backed_up(home.path());
    let whole = std::fs::read(&path).unwrap();
    let bad = home.path().join("bad.backup");
    for at in (0..whole.len()).step_by(37).chain(whole.len() - 48..whole.len()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&bad, &bytes).unwrap();
        assert!(Backup::open(&bad, &mut |_, _| {}).is_err(), "flipped at {at}");
    }
    for length in [0, 15, 16, 100, whole.len() / 2, whole.len() - 48, whole.len() - 1] {
        std::fs::write(&bad, &whole[..length]).unwrap();
        assert!(Backup::open(&bad, &mut |_, _| {}).is_err(), "cut at {length}");
    }
    std::fs::write(&bad, [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(Backup::open(&bad, &mut |_, _| {}).is_err(), "something follows");
}
