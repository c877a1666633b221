//! A test that cannot fail is believed and proves nothing: for each class of faults a bug is planted into the program, and
//! the test of that class must find it.

use openmesh_adapter::planted::Planted as Live;
use openmesh_store::planted::{self, Planted};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// Tries all of the table; else only as many as a test run has time for.
const ALL: &str = "OPENMESH_PLANT_ALL";
const SAMPLE: usize = 3;
/// A few rounds show each bug.
const FEW: [(&str, &str); 3] =
    [("OPENMESH_CRASH_KILLS", "3"), ("OPENMESH_POWER_CUTS", "2"), ("OPENMESH_UPKEEP_WAIT_S", "30")];
/// Longest that a test takes; one that hangs has found nothing.
const TEST_MAX: Duration = Duration::from_secs(300);
/// Plants bugs of its own into the places where a node dies, and says of each that it was caught.
const AT_PLACES: &str = "crash::failpoints::a_crash_at_a_place_shows";
/// Of what a test said when it failed.
const SAID_MAX: usize = 160;

/// A class of faults, a bug that it brings to light, and the test that must find it.
const TABLE: &[(&str, Planted, &str)] = &[
    ("two processes on one folder", Planted::NoFolderLock, "disk::a_second_node"),
    ("fsync error", Planted::IgnoreSyncError, "disk::a_failed_sync"),
    ("bit flips", Planted::SkipChecksum, "rot::whatever_rots"),
    ("fsync error, tried again", Planted::RetrySync, "disk::a_failed_sync"),
    ("kill -9", Planted::AckBeforeSync, "crash::a_hundred_kills"),
    ("torn tails, positions", Planted::ReusePosition, "rot::whatever_rots"),
    ("kill -9, snapshots", Planted::TrustStaleSnapshot, "crash::a_hundred_kills"),
    ("power cut", Planted::SkipSync, "power_cut::power_cuts"),
    ("torn tails", Planted::KeepTornTail, "rot::whatever_rots"),
    ("zeroed pages", Planted::EndAtZeros, "rot::whatever_rots"),
    ("swapped pages", Planted::UnboundChecksum, "rot::whatever_rots"),
    ("stale pages", Planted::TrustStalePage, "rot::whatever_rots"),
    ("index and snapshots deleted", Planted::IndexFromHead, "rot::others::without_its_index"),
    ("disk full", Planted::ForgetReserve, "disk::full"),
    ("read-only remount", Planted::TrustReadOnlyDisk, "disk::a_disk_that_turns_read_only"),
    ("slow disk", Planted::WaitForDisk, "disk::a_slow_disk"),
    ("crash during compaction", Planted::ForgetHeader, "keeping::upkeep::dying"),
    ("crash during a checkpoint", Planted::KeepNoCheckpoint, "keeping::upkeep::dying"),
    ("erasure", Planted::KeepErasedBody, "keeping::upkeep::the_log_is"),
    ("retention", Planted::LetGoTooMuch, "keeping::upkeep::the_log_is"),
    ("crash during an import", Planted::ImportInPlace, "crash::moving::a_backup"),
    ("crash during an upgrade", Planted::MisplaceFirstFormat, "crash::moving::a_folder_of_the_first"),
    ("cloned folder", Planted::TrustCopy, "crash::moving::a_copied"),
    ("restored old backup", Planted::NearEpoch, "crash::moving::a_backup"),
    ("clock jumps", Planted::FearClock, "surroundings::a_clock"),
    ("memory limit", Planted::KeepEveryBatch, "surroundings::a_node_short"),
    ("kill -9, requests", Planted::DeliverTwice, "crash::a_hundred_kills"),
    ("questions in their order", Planted::OvertakeOwn, "reads::a_question_overtakes"),
    ("streams", Planted::LoseStreamItem, "streams::cuts::a_stream_that_is_cut"),
    ("overload, order", Planted::ShedKeptFirst, "overload::flood"),
    ("overload, acknowledgements", Planted::ShedAcks, "overload::flood"),
    ("overload, memory", Planted::ForgetCeiling, "overload::slow"),
    ("overload, turns", Planted::TakeInOrder, "overload::hot"),
];

/// The same for bugs on the ways in and out, shortcuts among them.
const LIVE_TABLE: &[(&str, Live, &str)] = &[
    ("shortcuts, who listens", Live::OutliveListeners, "patterns::shortcuts::whoever_begins"),
    ("shortcuts, rules", Live::OutliveRules, "patterns::shortcuts::rules::rules_that_change"),
    ("shortcuts, topics", Live::OutliveRules, "patterns::shortcuts::rules::a_topic"),
    ("shortcuts, forms", Live::TakeAnyShortcut, "patterns::shortcuts::forms::what_differs"),
    ("shortcuts, what asks for more", Live::TakeAnyShortcut, "patterns::shortcuts::forms::what_asks"),
    ("subscriptions that end", Live::HandToEnded, "patterns::shortcuts::ended"),
    ("slow readers", Live::ForgetMissed, "slow_reader::one_that_never_reads"),
    ("credit of streams", Live::IgnoreCredit, "streams::stalled::a_writer_that_ignores"),
];

/// A row of either table: the class of faults, the bug's name, the test.
type Row = (&'static str, String, &'static str);

fn table() -> Vec<Row> {
    let kept = TABLE.iter().map(|(class, bug, test)| (*class, bug.name(), *test));
    kept.chain(LIVE_TABLE.iter().map(|(class, bug, test)| (*class, bug.name(), *test))).collect()
}

/// What came of a test.
enum Came {
    Passed(String),
    Failed(String),
    NotRun,
    Hung,
}

/// Runs one of this program's tests, with a bug planted or without.
fn run(test: &str, bug: Option<&str>) -> Came {
    let folder = tempfile::tempdir().unwrap();
    let (out, errors) = (folder.path().join("out"), folder.path().join("errors"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--nocapture", "--test-threads", "1"]).envs(FEW).env("RUST_BACKTRACE", "0");
    command.env_remove("OPENMESH_ROT_ALL").env_remove(ALL);
    if let Some(bug) = bug {
        command.env(planted::VARIABLE, bug);
    }
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&errors).unwrap());
    let ended = ended_in_time(&mut command);
    let said = read(&out);
    assert!(!said.contains("running 0 tests"), "{test} is no test");
    match ended {
        None => Came::Hung,
        Some(_) if said.lines().any(|line| line.contains("not run: ")) => Came::NotRun,
        Some(status) if status.success() => Came::Passed(said),
        Some(_) => Came::Failed(why(&read(&errors))),
    }
}

fn ended_in_time(command: &mut Command) -> Option<ExitStatus> {
    let (mut child, until) = (command.spawn().unwrap(), Instant::now() + TEST_MAX);
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

/// What a test said first when it failed.
fn why(errors: &str) -> String {
    let mut lines = errors.lines().skip_while(|line| !line.contains("panicked at"));
    lines.nth(1).unwrap_or("it said nothing").chars().take(SAID_MAX).collect()
}

#[test]
fn each_class_of_faults_has_a_bug_that_its_test_finds() {
    if !cfg!(debug_assertions) {
        return super::machine::not_run("planted bugs", "a build without debug assertions has none");
    }
    let all = std::env::var_os(ALL).is_some();
    let mut rows = table();
    let classes = rows.len();
    rows.truncate(if all { classes } else { SAMPLE });
    let rows = &rows[..];
    if all {
        finds_nothing_where_nothing_is(rows);
    }
    let (mut caught, mut planted) = (0, 0);
    let mut missed: Vec<&str> = Vec::new();
    for &(class, ref bug, test) in rows {
        let is_caught = match run(test, Some(bug)) {
            Came::NotRun => {
                super::machine::not_run(class, "its test could not run");
                continue;
            }
            Came::Failed(why) => {
                println!("{class}: {bug} planted, caught: {why}");
                true
            }
            Came::Passed(_) | Came::Hung => {
                println!("{class}: {bug} planted, MISSED");
                false
            }
        };
        planted += 1;
        caught += u32::from(is_caught);
        missed.extend((!is_caught).then_some(class));
    }
    if all && let Came::Passed(said) = run(AT_PLACES, None) {
        for line in said.lines().filter_map(|line| line.find("crash at ").and_then(|at| line.get(at..))) {
            println!("{line}");
            (planted, caught) = (planted + 1, caught + 1);
        }
    } else if all {
        missed.push(AT_PLACES);
    }
    println!("planted bugs: {caught}/{planted} caught, of {classes} classes");
    assert!(missed.is_empty(), "{missed:?}");
}

/// The tests pass without the bugs, or they would find what is not there.
fn finds_nothing_where_nothing_is(rows: &[Row]) {
    let tests: BTreeSet<&str> = rows.iter().map(|(_, _, test)| *test).collect();
    let mut failed = BTreeMap::new();
    for test in &tests {
        match run(test, None) {
            Came::Failed(why) => drop(failed.insert(*test, why)),
            Came::Hung => drop(failed.insert(*test, "it hung".to_owned())),
            Came::Passed(_) | Came::NotRun => {}
        }
    }
    println!("without a bug {} of {} tests pass", tests.len() - failed.len(), tests.len());
    assert!(failed.is_empty(), "{failed:?}");
}
