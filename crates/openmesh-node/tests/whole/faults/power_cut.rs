//! Power cuts under load: a node on an ext4 file system that stops in the middle of everything. What was accepted is there
//! when the power is back.

mod nats;

use super::load::Load;
use super::machine::{LoopDisk, not_run};
use crate::crash::check;
use crate::crash::model::Model;
use crate::node::{Node, Way};
use std::path::Path;
use std::time::Instant;

/// Cuts, unless `OPENMESH_POWER_CUTS` says otherwise.
const CUTS: u64 = 20;
/// Cuts of one domain: the disk holds their log.
const CUTS_PER_DISK: u64 = 20;
/// Messages accepted before each cut.
const ACCEPTED_PER_CUT: u64 = 1_050;
const DISK_MIB: u64 = 256;

fn cuts() -> u64 {
    std::env::var("OPENMESH_POWER_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(CUTS)
}

/// What came of the cuts of one disk.
#[derive(Default)]
struct Came {
    accepted: u64,
    missing: u64,
    operations: u64,
    resent: u64,
    torn: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cuts_under_load_lose_nothing_that_was_accepted() {
    let folder = tempfile::tempdir().unwrap();
    if let Err(why) = LoopDisk::new(folder.path(), DISK_MIB) {
        return not_run("power cut", &why);
    }
    let (begun, cuts) = (Instant::now(), cuts());
    let mut all = Came::default();
    let mut left = cuts;
    while left > 0 {
        let some = left.min(CUTS_PER_DISK);
        let came = cut_one_disk(some, Way::with(&["--pin", "market/**"])).await;
        all.accepted += came.accepted;
        all.missing += came.missing;
        all.operations += came.operations;
        all.resent += came.resent;
        all.torn += came.torn;
        left -= some;
    }
    println!(
        "power cut: {cuts} runs, {cuts} cuts, {} operations, {} torn tails dropped, {} unknown resent, 0 violations, {:.0} s",
        all.operations,
        all.torn,
        all.resent,
        begun.elapsed().as_secs_f64()
    );
    println!("openmesh at its defaults: {} accepted, {} missing", all.accepted, all.missing);
    assert!(all.accepted >= cuts * 1_000);
    assert_eq!(all.missing, 0);
}

/// Cuts the power of one domain again and again; panics where a promise is broken.
async fn cut_one_disk(cuts: u64, way: Way) -> Came {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = LoopDisk::new(folder.path(), DISK_MIB).unwrap();
    let errors = Some(folder.path().join("node.stderr"));
    let mut node = Node::start_in(&disk.mount, Way { errors, ..way });
    let load = Load::prepare(&node, "power-cuts").await;
    let mut model = Model::default();
    let mut came = Came::default();
    for _ in 0..cuts {
        let die = |node: &mut Node| {
            // Without power nobody says anything: a sync that the shutdown overtakes is reported as done by some kernels,
            // although what it wrote is lost.
            node.freeze();
            disk.cut();
            node.kill();
        };
        load.work_until(&mut node, ACCEPTED_PER_CUT, die).await;
        disk.restore();
        forget_the_run_of_the_machine(&node.folder());
        came.torn += u64::from(check(&node, &mut model, &load).dropped.is_some());
        node.restart();
        came.resent += load.resend_unknown(&node).await as u64;
        load.count_inbox(&node).await;
    }
    load.read_to_the_end(&node).await;
    node.stop();
    check(&node, &mut model, &load);
    let figures = load.witness.figures();
    (came.accepted, came.missing, came.operations) = (figures.accepted, figures.missing, figures.events);
    came
}

/// After a real loss of power the machine runs anew under another name: the index knows by it that it may be torn.
fn forget_the_run_of_the_machine(folder: &Path) {
    let marker = folder.join("projection").join("being-written");
    if marker.exists() {
        std::fs::write(marker, "the run before the power was cut\n").unwrap();
    }
}
