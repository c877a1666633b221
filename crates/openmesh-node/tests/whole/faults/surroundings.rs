//! What is around a node and not its disk: a clock that jumps, memory that is short.

use super::check_after;
use super::load::Load;
use super::machine::{ControlGroup, faketime, not_run};
use crate::crash::check;
use crate::crash::model::Model;
use crate::node::{Node, Way};
use openmesh_sdk::Performative;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ACCEPTED: u64 = 400;
/// What the clock says in turn; the last is right.
const JUMPS: [&str; 7] = ["+10y", "-10y", "+0", "+10y", "+0", "-10y", "+0"];
/// Between two jumps, and between two of many.
const CALM: Duration = Duration::from_millis(150);
const STROBE: Duration = Duration::from_millis(7);
const STROBES: usize = 60;
/// What a node may grow by while more than that goes through it.
const MEMORY_MIB: u64 = 96;
const POURED_MIB: usize = 192;
const BODY_BYTES: usize = 16 * 1024;
const BATCH: usize = 32;
/// So little that it may be ended for it.
const GROWTH_MIB: u64 = 6;
const ROUNDS: u32 = 3;

/// Has the clock jump back and forth, slowly and then fast.
fn jump(clock: &Path, stop: &AtomicBool) {
    let set = |to: &str| std::fs::write(clock, to).unwrap();
    for to in JUMPS {
        std::thread::sleep(CALM);
        set(to);
    }
    for to in JUMPS.iter().cycle().take(STROBES) {
        std::thread::sleep(STROBE);
        set(to);
    }
    set("+0");
    stop.store(true, Ordering::Relaxed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ten_years_loses_nothing() {
    let Some(library) = faketime() else {
        return not_run("clock jumps", "there is no faketime");
    };
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    std::fs::write(&clock, "+0").unwrap();
    let way = Way { errors: Some(folder.path().join("node.stderr")), ..Way::with(&["--pin", "market/**"]) };
    let way = way.set("LD_PRELOAD", library.to_str().unwrap()).set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let way = way.set("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()).set("FAKETIME_NO_CACHE", "1");
    let mut node = Node::start_in(folder.path(), way);
    let load = Load::prepare_for(&node, "clock-jumps", "time.").await;
    load.work_until(&mut node, ACCEPTED, |_| {}).await;
    let stop = Arc::new(AtomicBool::new(false));
    let jumping = std::thread::spawn({
        let (clock, stop) = (clock.clone(), Arc::clone(&stop));
        move || jump(&clock, &stop)
    });
    let die = |node: &mut Node| {
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(CALM);
        }
        assert!(!node.has_ended(), "a node lives through it");
    };
    load.work_until(&mut node, ACCEPTED, die).await;
    jumping.join().unwrap();
    // With the right time it serves as before.
    let before = load.witness.figures().accepted;
    load.work_until(&mut node, ACCEPTED, Node::kill).await;
    assert!(load.witness.figures().accepted >= before + ACCEPTED, "it takes in what it did before");
    check_after(node, &load, Model::default()).await;
    println!(
        "clock jumps: 1 run, {} faults, {} operations, {} refused meanwhile, 0 violations",
        JUMPS.len() + STROBES,
        load.witness.figures().events,
        load.witness.figures().refused
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_short_of_memory_loses_nothing_that_it_accepted() {
    let made = |mebibytes| ControlGroup::with_memory(&format!("openmesh-test-{mebibytes}"), mebibytes);
    let (enough, short) = match made(MEMORY_MIB).and_then(|enough| Ok((enough, made(GROWTH_MIB)?))) {
        Ok(limits) => limits,
        Err(why) => return not_run("memory limit", &why),
    };
    let folder = tempfile::tempdir().unwrap();
    let errors = Some(folder.path().join("node.stderr"));
    let way = Way { errors, ..Way::with(&["--pin", "market/**", "--snapshot-records", "1000"]) };
    let mut node = Node::start_in(folder.path(), way);
    let load = Load::prepare_for(&node, "memory", "node.busy").await;
    enough.hold(node.endpoint.pid);
    pour(&node, &load).await;
    assert!(!node.has_ended(), "{MEMORY_MIB} MiB are enough, however much goes through it");
    let mut model = Model::default();
    let mut ended = 0;
    for _ in 0..ROUNDS {
        short.hold(node.endpoint.pid);
        let die = |node: &mut Node| {
            ended += u32::from(node.has_ended());
            node.kill();
        };
        load.work_until(&mut node, ACCEPTED, die).await;
        check(&node, &mut model, &load);
        node.restart();
        load.resend_unknown(&node).await;
        load.count_inbox(&node).await;
    }
    load.read_to_the_end(&node).await;
    node.stop();
    check(&node, &mut model, &load);
    println!(
        "memory limit: {POURED_MIB} MiB through a node that grows by {MEMORY_MIB} MiB, {ROUNDS} runs of {GROWTH_MIB} MiB, {ended} \
         ended for it, {} operations, 0 violations",
        load.witness.figures().events
    );
}

/// Sends more than the node has memory.
async fn pour(node: &Node, load: &Load) {
    let mesh = node.agent("pourer").await.1;
    let connection = load.witness.connection();
    for _ in 0..(POURED_MIB << 20) / (BODY_BYTES * BATCH) {
        let draft = || mesh.draft("topic:market/poured", &Performative::Inform).unwrap();
        let drafts = (0..BATCH).map(|_| draft().payload("text/plain", vec![b'x'; BODY_BYTES]));
        let envelopes = mesh.sign_batch(drafts.collect()).unwrap();
        envelopes.iter().for_each(|envelope| load.witness.sent(connection, envelope));
        let sent = mesh.send_batch(envelopes.clone()).await.unwrap();
        envelopes.iter().zip(&sent).for_each(|(envelope, sent)| load.witness.outcome(envelope, sent));
        let other = sent.iter().find(|sent| !sent.is_accepted());
        assert!(other.is_none(), "a node with enough memory takes in all of it, and was {other:?}");
    }
}
