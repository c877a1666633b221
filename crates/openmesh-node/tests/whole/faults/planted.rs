//! A test that cannot fail is believed and proves nothing: for each class of faults a bug is planted into the program, and
//! the test of that class must find it.

use openmesh_store::planted::{self, Planted};
use std::process::{Command, Stdio};

/// Tries all of the table; else only as many as a test run has time for.
const ALL: &str = "OPENMESH_PLANT_ALL";
const SAMPLE: usize = 3;
/// A few rounds show each bug.
const FEW: [(&str, &str); 2] = [("OPENMESH_CRASH_KILLS", "3"), ("OPENMESH_POWER_CUTS", "2")];

/// A class of faults, a bug that it brings to light, and the test that must find it.
const TABLE: &[(&str, Planted, &str)] = &[
    ("two processes on one folder", Planted::NoFolderLock, "disk::a_second_node"),
    ("fsync error", Planted::IgnoreSyncError, "disk::a_failed_sync"),
    ("rotten bits", Planted::SkipChecksum, "rot::whatever_rots"),
    ("fsync error, tried again", Planted::RetrySync, "disk::a_failed_sync"),
    ("kill -9", Planted::AckBeforeSync, "crash::a_hundred_kills"),
    ("kill -9, positions", Planted::ReusePosition, "crash::a_hundred_kills"),
    ("power cut", Planted::SkipSync, "power_cut::power_cuts"),
    ("torn tail", Planted::KeepTornTail, "rot::whatever_rots"),
    ("disk full", Planted::ForgetReserve, "disk::full"),
    ("read-only disk", Planted::AckBeforeSync, "disk::a_disk_that_turns_read_only"),
    ("slow disk", Planted::AckBeforeSync, "disk::a_slow_disk"),
    ("memory limit", Planted::AckBeforeSync, "surroundings::a_node_short_of_memory"),
    ("clock jumps", Planted::AckBeforeSync, "surroundings::a_clock"),
    ("stale snapshot", Planted::TrustStaleSnapshot, "crash::a_hundred_kills"),
];

/// Whether the test finds the bug; `None` where it could not run.
fn finds(bug: Planted, test: &str) -> Option<bool> {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args([test, "--nocapture", "--test-threads", "1"])
        .envs(FEW)
        .env(planted::VARIABLE, bug.name())
        .env("RUST_BACKTRACE", "0")
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(!said.contains("running 0 tests"), "{test} is no test");
    if said.lines().any(|line| line.contains("not run: ")) { None } else { Some(!ended.status.success()) }
}

#[test]
fn each_class_of_faults_has_a_bug_that_its_test_finds() {
    if !cfg!(debug_assertions) {
        return super::machine::not_run("planted bugs", "a build without debug assertions has none");
    }
    let all = std::env::var_os(ALL).is_some();
    let (mut caught, mut planted) = (0, 0);
    let mut missed: Vec<&str> = Vec::new();
    for (class, bug, test) in TABLE.iter().take(if all { TABLE.len() } else { SAMPLE }) {
        match finds(*bug, test) {
            None => super::machine::not_run(class, "its test could not run"),
            Some(is_found) => {
                planted += 1;
                caught += u32::from(is_found);
                println!("{class}: {} planted, {}", bug.name(), if is_found { "caught" } else { "MISSED" });
                missed.extend((!is_found).then_some(*class));
            }
        }
    }
    println!("planted bugs: {caught}/{planted} caught, of {} classes", TABLE.len());
    assert!(missed.is_empty(), "{missed:?}");
}
