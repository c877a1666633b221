//! A node dies at each place where it could, between append, sync, snapshot, index and receipt: nothing accepted is
//! missing, no position is used twice, and log, snapshot, index and the running node say the same.

mod load;
mod witness;

use load::Crew;
use openmesh_store::failpoint::{self, NAMES};
use openmesh_store::planted::{self, Planted};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

const SIGABRT: i32 = 6;
/// Longest that a node under load takes to come to a place.
const REACHED_WITHIN: Duration = Duration::from_secs(180);
/// How long a node works before it is told to stop.
const WORK: Duration = Duration::from_millis(600);

/// What came of the crashes.
#[derive(Default)]
struct Tally {
    places: BTreeSet<&'static str>,
    crashes: u64,
}

/// The pass at which the node dies.
type Pass = u64;

/// Places that a start comes to before it is ready, once in a run.
fn once_a_run(place: &str) -> bool {
    ["open.", "close."].iter().any(|scene| place.starts_with(scene))
        || ["index.marked", "index.before-close", "index.closed"].contains(&place)
}

/// Places that only a node told to stop comes to.
fn at_the_end(place: &str) -> bool {
    place.starts_with("close.") || ["index.before-close", "index.closed"].contains(&place)
}

/// Places that a node which runs under load does not come to: they have tests of their own.
fn elsewhere(place: &str) -> bool {
    ["import.", "upgrade.", "adopt.", "compact.", "checkpoint.", "erase."]
        .iter()
        .any(|scene| place.starts_with(scene))
}

/// The places to die at: all, or those whose names begin as the environment says.
fn places() -> Vec<&'static str> {
    let begin = std::env::var("OPENMESH_FAILPOINT_PLACES").unwrap_or_default();
    NAMES.iter().copied().filter(|place| !elsewhere(place) && place.starts_with(&begin)).collect()
}

/// Has the node die at a place and come back; what it then says is compared.
async fn die_at(crew: &mut Crew, place: &'static str, pass: Pass, bug: Option<Planted>, tally: &mut Tally) {
    let told = if once_a_run(place) { place.to_owned() } else { format!("{place}:{pass}") };
    let bug = bug.map(Planted::name);
    let begun = std::time::Instant::now();
    let mut environment = vec![(failpoint::VARIABLE, told.as_str())];
    environment.extend(bug.as_deref().map(|bug| (planted::VARIABLE, bug)));
    let status = match crew.node.restart_under(&environment) {
        Err(status) => status,
        Ok(()) => {
            let work = if at_the_end(place) { WORK } else { REACHED_WITHIN };
            crew.work_until_it_dies(work).await;
            if at_the_end(place) {
                crew.node.terminate();
            }
            crew.node.ended_within(REACHED_WITHIN).unwrap_or_else(|| panic!("{told} was not reached"))
        }
    };
    assert_eq!(status.signal(), Some(SIGABRT), "{told} was not reached: {status}");
    tally.crashes += 1;
    tally.places.insert(place);
    crew.compare_log();
    crew.node.restart();
    crew.resend_unknown().await;
    crew.compare_answers().await;
    crew.node.stop();
    println!("{told}: {:.1} s", begun.elapsed().as_secs_f64());
}

/// Every place at each of the passes, or at one without, on one folder a scene.
async fn die_everywhere(passes: &[Pass]) -> Tally {
    let mut tally = Tally::default();
    let places = places();
    let scenes: BTreeSet<&str> = places.iter().filter_map(|place| place.split('.').next()).collect();
    for scene in scenes {
        let mut crew = Crew::start().await;
        for place in places.iter().filter(|place| place.split('.').next() == Some(scene)) {
            let quick = [if scene == "roll" { 1 } else { 2 }];
            for pass in if passes.is_empty() { &quick } else { passes } {
                if scene == "roll" {
                    // Only the first file of a log is small.
                    crew = Crew::start().await;
                }
                die_at(&mut crew, place, *pass, None, &mut tally).await;
            }
        }
    }
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_place_leaves_log_snapshot_index_and_node_of_one_mind() {
    if !cfg!(debug_assertions) {
        println!("not run: failpoints: a build without debug assertions has none");
        return;
    }
    let passes = std::env::var("OPENMESH_FAILPOINT_PASSES").ok().and_then(|passes| passes.parse().ok());
    let passes: Vec<Pass> = passes.map_or_else(Vec::new, |passes: Pass| (1..=passes).collect());
    let tally = die_everywhere(&passes).await;
    println!("failpoints: {}, crashes: {}, divergences: 0", tally.places.len(), tally.crashes);
    assert_eq!(tally.places.len(), places().len());
}

/// Where each bug shows.
const SHOWN_AT: &[(Planted, &str)] = &[
    (Planted::AckBeforeSync, "quiet.before-marker"),
    (Planted::SnapshotAheadOfLog, "snapshot.folder-synced"),
    (Planted::TrustStaleSnapshot, "snapshot.folder-synced"),
    (Planted::TrustStaleIndex, "index.before-commit"),
    (Planted::NameBeforeHeader, "roll.header-written"),
];

#[test]
fn a_crash_at_a_place_shows_each_planted_bug() {
    if !cfg!(debug_assertions) {
        println!("not run: planted bugs: a build without debug assertions has none");
        return;
    }
    for (bug, place) in SHOWN_AT {
        let caught = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let mut crew = Crew::start().await;
                for pass in 1..10 {
                    die_at(&mut crew, place, pass, Some(*bug), &mut Tally::default()).await;
                }
            });
        });
        let why = caught.join().expect_err("a planted bug must show");
        let text = why.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let why = text.or_else(|| why.downcast_ref::<String>().cloned()).unwrap_or_default();
        println!(
            "crash at {place}: {} planted, caught: {}",
            bug.name(),
            why.lines().next().unwrap_or_default()
        );
        assert!(!why.contains("was not reached"), "{} shows as what it is: {why}", bug.name());
    }
    println!("planted: {0}, caught: {0}", SHOWN_AT.len());
}
