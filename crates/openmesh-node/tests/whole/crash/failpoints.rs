//! A node dies at each place where it could, between append, sync, snapshot, index and receipt: nothing accepted is
//! missing, no position is used twice, and log, snapshot, index and the running node say the same.

mod witness;

use crate::crash::model::Model;
use crate::crash::progress::Progress;
use crate::faults::load::{Load, Manner};
use crate::node::Node;
use openmesh_store::failpoint::{self, NAMES};
use openmesh_store::planted::{self, Planted};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SIGABRT: i32 = 6;
/// Longest that a node under load takes to come to a place.
const REACHED_WITHIN: Duration = Duration::from_secs(180);
/// How long a node works before it is told to stop.
const WORK: Duration = Duration::from_millis(600);
/// A log of so many records gives way to a fresh one: each crash has all of it read again.
const RECORDS_MAX: u64 = 4_000;
const ARGUMENTS: &[&str] =
    &["--pin", "market/**", "--snapshot-records", "60", "--segment-bytes", "262144", "--no-http"];

/// The pass at which the node dies.
type Pass = u64;

/// A node, and those who work with it.
struct Crew {
    node: Node,
    load: Arc<Load>,
    model: Model,
}

impl Crew {
    /// In a fresh folder; the node is stopped.
    async fn start(place: &str) -> Self {
        let mut node = Node::start(ARGUMENTS);
        // Only the first file of a log is small.
        let manner = if place.starts_with("roll.") { Manner::BULKY_BURSTS } else { Manner::BURSTS };
        let load = Load::prepare_in(&node, &format!("failpoints-{place}"), manner).await;
        node.stop();
        Self { node, load, model: Model::default() }
    }

    /// Has the node die at a place and come back; what it then says is compared.
    async fn die_at(&mut self, place: &str, pass: Pass, bug: Option<Planted>) {
        let told = told(place, pass);
        let bug = bug.map(Planted::name);
        let mut environment = vec![(failpoint::VARIABLE, told.as_str())];
        environment.extend(bug.as_deref().map(|bug| (planted::VARIABLE, bug)));
        let status = match self.node.restart_under(&environment) {
            Err(status) => status,
            Ok(()) => {
                let work = if at_the_end(place) { WORK } else { REACHED_WITHIN };
                self.load.work_until_it_dies(&mut self.node, work).await;
                if at_the_end(place) {
                    self.node.terminate();
                }
                self.node.ended_within(REACHED_WITHIN).unwrap_or_else(|| panic!("{told} was not reached"))
            }
        };
        assert_eq!(status.signal(), Some(SIGABRT), "{told} was not reached: {status}");
        self.compare_log();
        self.node.restart();
        self.load.resend_unknown(&self.node).await;
        self.compare_answers().await;
        self.node.stop();
    }
}

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

/// What a node is told to die at.
fn told(place: &str, pass: Pass) -> String {
    if once_a_run(place) { place.to_owned() } else { format!("{place}:{pass}") }
}

fn scene(place: &str) -> Option<&str> {
    place.split('.').next()
}

/// Every place at each of the passes, one folder for those of a scene while its log is short.
async fn die_everywhere(passes: impl Fn(&str) -> Vec<Pass>) {
    let places = places();
    let crashes_max = places.iter().map(|place| passes(place).len()).sum();
    let mut progress = Progress::of(crashes_max);
    let mut crew: Option<Crew> = None;
    let mut last = None;
    for place in &places {
        for pass in passes(place) {
            let begun = Instant::now();
            // A later file of the log takes long to fill.
            let stays = last == scene(place) && last != Some("roll");
            let kept = crew.take().filter(|crew| stays && crew.model.last_seq < RECORDS_MAX);
            let mut working = match kept {
                Some(crew) => crew,
                None => Crew::start(place).await,
            };
            working.die_at(place, pass, None).await;
            progress.add();
            println!("{progress} {}: {:.1} s", told(place, pass), begun.elapsed().as_secs_f64());
            (crew, last) = (Some(working), scene(place));
        }
    }
    println!(
        "failpoints: {}, crashes: {crashes_max}, divergences: 0, {:.0} s",
        places.len(),
        progress.seconds()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_place_leaves_log_snapshot_index_and_node_of_one_mind() {
    if !cfg!(debug_assertions) {
        println!("not run: failpoints: a build without debug assertions has none");
        return;
    }
    let told = std::env::var("OPENMESH_FAILPOINT_PASSES").ok().and_then(|passes| passes.parse().ok());
    die_everywhere(|place| match told {
        Some(passes) => (1..=passes).collect(),
        None if scene(place) == Some("roll") => vec![1],
        None => vec![2],
    })
    .await;
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
                let mut crew = Crew::start(place).await;
                for pass in 1..10 {
                    crew.die_at(place, pass, Some(*bug)).await;
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
