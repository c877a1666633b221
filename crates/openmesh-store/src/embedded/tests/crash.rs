//! Power cuts at random and at every write, against a model: synced records survive, no position is used twice,
//! epochs grow by one.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use proptest::test_runner::{Config, TestCaseError};

use super::{assert_holds, assert_verifies, folder, records, small};
use crate::embedded::disk::Disk;
use crate::embedded::{EmbeddedLog, open_read_only};
use crate::fault::Fault;
use crate::record::EncodedRecord;

const SEGMENT_BYTES: u64 = 4096;

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Sync,
    Quiet,
    Snapshot,
    Close,
    /// The process dies, the machine goes on.
    Kill,
    /// The machine dies: unsynced sectors are lost as the bits say.
    PowerCut(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u64..12).prop_map(Step::Append),
        4 => any::<bool>().prop_map(|_| Step::Sync),
        1 => any::<bool>().prop_map(|_| Step::Quiet),
        1 => any::<bool>().prop_map(|_| Step::Snapshot),
        1 => any::<bool>().prop_map(|_| Step::Close),
        1 => any::<bool>().prop_map(|_| Step::Kill),
        2 => any::<u64>().prop_map(Step::PowerCut),
    ]
}

/// What the log must hold.
#[derive(Default)]
struct Model {
    appended: Vec<EncodedRecord>,
    synced: usize,
    epoch: u32,
    handed_out: BTreeSet<(u32, u64)>,
}

impl Model {
    fn append(&mut self, log: &mut EmbeddedLog, count: u64) -> Result<(), Fault> {
        let batch = records(log, count);
        for record in &batch {
            let fresh = self.handed_out.insert((record.position.epoch, record.position.seq));
            assert!(fresh, "{:?} was used before", record.position);
        }
        // Counted before it is tried: a failed append may still be on disk.
        self.appended.extend(batch.iter().cloned());
        log.append(&batch)
    }

    fn sync(&mut self, log: &mut EmbeddedLog) -> Result<(), Fault> {
        log.sync()?;
        self.synced = self.appended.len();
        Ok(())
    }

    /// The log was opened: checks what came back and takes it over.
    fn check(&mut self, log: &EmbeddedLog, opened: &crate::Opened, clean: bool) {
        let found = usize::try_from(opened.next_seq - 1).unwrap();
        assert!(found >= self.synced, "{found} of {} synced records: {:?}", self.synced, opened.report);
        assert!(found <= self.appended.len());
        assert!(opened.report.corrupt.is_empty(), "{:?}", opened.report);
        self.appended.truncate(found);
        self.synced = found;
        assert_holds(&log.reader(), &self.appended);
        if self.epoch > 0 {
            assert_eq!(opened.epoch, self.epoch + u32::from(!clean));
            assert_eq!(opened.unclean, !clean);
        }
        self.epoch = opened.epoch;
    }
}

fn lose_by(bits: u64) -> impl FnMut() -> bool {
    let mut state = bits | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // All ones: everything unsynced is lost.
        bits == u64::MAX || state.is_multiple_of(2)
    }
}

fn open(disk: &Disk, folder: &Path) -> (EmbeddedLog, crate::Opened) {
    EmbeddedLog::open_on(disk.clone(), folder, &small(SEGMENT_BYTES)).unwrap()
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let (home, disk) = (folder(), Disk::default());
    let (mut log, opened) = open(&disk, home.path());
    let mut model = Model::default();
    model.check(&log, &opened, true);
    for step in steps {
        let clean = matches!(step, Step::Close);
        match step {
            Step::Append(count) => model.append(&mut log, *count).unwrap(),
            Step::Sync => model.sync(&mut log).unwrap(),
            Step::Quiet => {
                log.write_quiet_marker().unwrap();
                model.sync(&mut log).unwrap();
            }
            Step::Snapshot => {
                if let Some(record) = model.appended.get(..model.synced).and_then(<[_]>::last) {
                    log.write_snapshot(record.position, b"state").unwrap();
                }
            }
            Step::Close | Step::Kill | Step::PowerCut(_) => {
                if clean {
                    model.synced = model.appended.len();
                    log.close().unwrap();
                } else {
                    drop(log);
                }
                if let Step::PowerCut(bits) = step {
                    disk.trouble.lock().unwrap().cut_power(lose_by(*bits));
                }
                let (reader, _) = open_read_only(home.path()).unwrap();
                assert!(reader.head_seq() >= model.synced as u64);
                let opened;
                (log, opened) = open(&disk, home.path());
                model.check(&log, &opened, clean);
                assert_verifies(home.path());
            }
        }
    }
    log.close().unwrap();
    assert_verifies(home.path());
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: 300, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_log_under_crashes_agrees_with_its_model(steps in proptest::collection::vec(step(), 1..40)) {
        run(&steps)?;
    }
}

/// Runs, and dies where the disk says.
fn script(disk: &Disk, folder: &Path, model: &mut Model) -> Result<(), Fault> {
    for round in 0..3_u64 {
        let (mut log, opened) = EmbeddedLog::open_on(disk.clone(), folder, &small(SEGMENT_BYTES))?;
        let clean = round != 2;
        model.check(&log, &opened, clean);
        for count in [3, 1, 8, 2, 6] {
            model.append(&mut log, count)?;
            if count != 1 {
                model.sync(&mut log)?;
            }
        }
        log.write_quiet_marker()?;
        model.append(&mut log, 2)?;
        if round == 0 {
            log.close()?;
            model.synced = model.appended.len();
        }
    }
    Ok(())
}

#[test]
fn a_crash_at_any_write_or_sync_also_during_recovery_keeps_what_was_synced() {
    let mut finished = false;
    for crash_after in 0..400 {
        for bits in [u64::MAX, crash_after + 1, 977 * crash_after + 5] {
            let (home, disk) = (folder(), Disk::default());
            let mut model = Model::default();
            disk.trouble.lock().unwrap().crash_after = Some(crash_after);
            finished = script(&disk, home.path(), &mut model).is_ok();
            // Recovery crashes too, a little later each time.
            for recovery_crash in 0..8 {
                disk.trouble.lock().unwrap().cut_power(lose_by(bits));
                disk.trouble.lock().unwrap().crash_after = Some(recovery_crash);
                drop(EmbeddedLog::open_on(disk.clone(), home.path(), &small(SEGMENT_BYTES)));
            }
            disk.trouble.lock().unwrap().cut_power(lose_by(bits));
            disk.trouble.lock().unwrap().crash_after = None;
            let (mut log, opened) = open(&disk, home.path());
            let before = std::mem::take(&mut model.epoch);
            model.check(&log, &opened, false);
            assert!(opened.epoch > before || before == 0);
            model.append(&mut log, 5).unwrap();
            model.sync(&mut log).unwrap();
            log.close().unwrap();
            assert_verifies(home.path());
        }
        if finished {
            break;
        }
    }
    assert!(finished, "the script is longer than the crashes tried");
}
