//! `kill -9` under load, again and again: nothing accepted is missing, nothing stands twice, state is what the log says.

mod failpoints;
pub(crate) mod model;
mod moving;
mod progress;

use crate::faults::load::Load;
use crate::node::Node;
use model::Model;
use openmesh_core::{Config, Partition};
use openmesh_message::{Custodian, Digest};
use openmesh_policy::Policy;
use openmesh_simulator::history::Figures;
use openmesh_store::{LoadedSnapshot, LogReader, ReadOnlyReport, RecoveryReport, open_read_only};
use progress::Progress;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Kills, unless `OPENMESH_CRASH_KILLS` says otherwise.
const KILLS: usize = 100;
/// Kills of one node: each start has all that it accepted to remember.
const KILLS_PER_NODE: usize = 50;
/// Nodes that are killed at the same time, each in a folder of its own.
const NODES_AT_ONCE: usize = 4;
/// Kills between two lines that say how far it is.
const SHOWN_EVERY: usize = 50;
/// Messages accepted before each kill.
const ACCEPTED_PER_KILL: u64 = 1_050;

/// Reads the log from where the model stands, holds the history to it, and compares the model with the recovered state.
pub(crate) fn check(node: &Node, model: &mut Model, load: &Load) -> RecoveryReport {
    let (log, report) = open(node);
    read_on(&log, model, load);
    model.compare(recovered(node, &log, report.snapshot.as_ref()).state());
    report.report
}

/// The log as it lies there, read without its node.
fn open(node: &Node) -> (LogReader, ReadOnlyReport) {
    let (log, report) = open_read_only(&node.log()).unwrap();
    assert!(report.report.corrupt.is_empty(), "{}", report.report);
    (log, report)
}

fn read_on(log: &LogReader, model: &mut Model, load: &Load) {
    if model.last_seq > 0 {
        let last = log.get(model.last_seq).unwrap().expect("what was read before is still there");
        assert_eq!(Some(last.chain), model.last_chain, "the chain up to there is the same");
    }
    for stored in log.records(model.last_seq + 1) {
        let stored = stored.unwrap();
        model.read(&load.witness.record(&stored));
        model.last_chain = Some(stored.chain);
    }
    load.witness.read_whole();
}

/// The state that a snapshot, or nothing, and the rest of the log lead to.
fn recovered(node: &Node, log: &LogReader, snapshot: Option<&LoadedSnapshot>) -> Partition {
    let config = Config::new(node.endpoint.domain, Digest::ZERO, [0; 32], Custodian::new([0; 32]));
    let (mut partition, after) = match snapshot {
        Some(snapshot) => {
            let restored = Partition::restore(config, Policy::default_closed(), &snapshot.state).unwrap();
            (restored, snapshot.position.seq)
        }
        None => (Partition::new(config, Policy::default_closed()), 0),
    };
    for stored in log.records(after + 1) {
        partition.recover(&model::decode(&stored.unwrap()));
    }
    partition
}

/// Kills one node again and again; panics where a promise is broken.
async fn kill_one_node(kills: usize, name: &str, progress: &Mutex<Progress>) -> Came {
    let mut node = Node::start(&["--pin", "market/**", "--snapshot-records", "700"]);
    let load = Load::prepare(&node, name).await;
    let mut model = Model::default();
    let mut resent = 0;
    for _ in 0..kills {
        load.work_until(&mut node, ACCEPTED_PER_KILL, Node::kill).await;
        check(&node, &mut model, &load);
        node.restart();
        resent += load.resend_unknown(&node).await as u64;
        load.count_inbox(&node).await;
        progress.lock().unwrap().add_and_show_each(SHOWN_EVERY);
    }
    load.read_to_the_end(&node).await;
    node.stop();
    check(&node, &mut model, &load);
    for kind in ["message", "fired", "leased", "settled", "epoch"] {
        assert!(model.kinds[kind] >= kills as u64, "hardly any record of kind {kind}: nothing was tested");
    }
    Came { figures: load.witness.figures(), resent }
}

/// What came of the kills of one node.
struct Came {
    figures: Figures,
    resent: u64,
}

#[test]
fn a_hundred_kills_under_load_lose_nothing_that_was_accepted() {
    let kills =
        std::env::var("OPENMESH_CRASH_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let progress = Mutex::new(Progress::of(kills));
    let nodes: Vec<usize> =
        (0..kills).step_by(KILLS_PER_NODE).map(|first| KILLS_PER_NODE.min(kills - first)).collect();
    let next = AtomicUsize::new(0);
    let one_after_another = || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut came = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(kills) = nodes.get(number) else { return came };
            came.push(runtime.block_on(kill_one_node(*kills, &format!("kills-{number}"), &progress)));
        }
    };
    let came: Vec<Came> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..NODES_AT_ONCE).map(|_| scope.spawn(one_after_another)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|why| resume_unwind(why)))
            .collect()
    });
    let sum = |of: fn(&Came) -> u64| came.iter().map(of).sum::<u64>();
    let (accepted, resent) = (sum(|came| came.figures.accepted), sum(|came| came.resent));
    println!(
        "{kills} kills of {} nodes: {accepted} accepted, {} missing; {} events, {resent} unknown resent, {} replies, \
         {} heard of what is not kept, {} missed of it; {} violations; {:.0} s",
        nodes.len(),
        sum(|came| came.figures.missing),
        sum(|came| came.figures.events),
        sum(|came| came.figures.answers),
        sum(|came| came.figures.heard),
        sum(|came| came.figures.missed),
        sum(|came| came.figures.violations),
        progress.lock().unwrap().seconds()
    );
    assert!(accepted >= kills as u64 * 1_000);
    assert!(sum(|came| came.figures.answers) >= kills as u64, "hardly any reply: nothing was tested");
    assert!(sum(|came| came.figures.heard) >= kills as u64 * 10, "hardly anything heard: nothing was tested");
    assert!(resent > 0, "the kills must have struck in the middle of sends, or nothing was tested");
}
