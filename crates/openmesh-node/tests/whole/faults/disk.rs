//! Disks that fail, turn read-only, or take their time; and a folder that two nodes want.

mod full;

use super::check_after;
use super::load::Load;
use super::machine::{LoopDisk, behind_strace, lacks_strace, not_run};
use crate::crash::model::Model;
use crate::node::{Node, Way, refused_start};
use openmesh_message::frame::Start;
use openmesh_sdk::{Mesh, Performative, Sent};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A node whose log failed, or belongs to another process, has ended by then.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const DISK_MIB: u64 = 256;
const ACCEPTED: u64 = 600;
const ACCEPTED_SLOWLY: u64 = 1_000;
/// Syncs that fail, counted from the node's start: more than letting agents in takes, with a quiet marker after each.
const FAILING_SYNCS: [u32; 2] = [30, 90];
/// What a slow disk adds to each sync.
const SYNC_DELAY: Duration = Duration::from_millis(300);

/// Lets agents work until harm has ended the node.
async fn work_until_it_ends(node: &mut Node, load: &Arc<Load>, harm: impl FnOnce(&mut Node)) {
    let die = |node: &mut Node| {
        harm(node);
        let ended = node.ended_within(ENDS_WITHIN).expect("a node whose log failed ends by itself");
        assert!(!ended.success(), "and says that it failed");
    };
    load.work_until(node, ACCEPTED, die).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_the_node_and_is_never_tried_again() {
    if let Some(why) = lacks_strace() {
        return not_run("fsync error", why);
    }
    let mut runs = 0;
    for when in FAILING_SYNCS {
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("trace");
        let prefix = behind_strace(&trace, &format!("error=EIO:when={when}"));
        let errors = Some(folder.path().join("node.stderr"));
        let way = Way { prefix, errors, ..Way::with(&["--pin", "market/**"]) };
        let mut node = Node::start_in(folder.path(), way);
        let load = Load::prepare(&node, "fsync-error").await;
        work_until_it_ends(&mut node, &load, |_| {}).await;
        let traced = std::fs::read_to_string(&trace).unwrap();
        let syncs: Vec<_> = traced.lines().filter(|line| line.contains("fdatasync(")).collect();
        let failed = syncs.iter().position(|line| line.contains("INJECTED")).expect("one sync failed");
        assert_eq!(failed + 1, syncs.len(), "a sync after the failed one: {:?}", &syncs[failed..]);
        check_after(node, &load, Model::default()).await;
        runs += load.witness.figures().events;
    }
    println!("fsync error: 2 runs, 2 faults, {runs} operations, 0 syncs tried again, 0 violations");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_makes_receipts_slow_and_nothing_else() {
    if let Some(why) = lacks_strace() {
        return not_run("slow disk", why);
    }
    let folder = tempfile::tempdir().unwrap();
    let prefix =
        behind_strace(&folder.path().join("trace"), &format!("delay_enter={}", SYNC_DELAY.as_micros()));
    let errors = Some(folder.path().join("node.stderr"));
    let mut node =
        Node::start_in(folder.path(), Way { prefix, errors, ..Way::with(&["--pin", "market/**"]) });
    let load = Load::prepare(&node, "slow-disk").await;
    let (talker, listener) = (node.agent("talker").await.1, node.agent("listener").await.1);
    let talking = tokio::spawn(talk(talker, listener, Arc::clone(&load)));
    load.work_until(&mut node, ACCEPTED_SLOWLY, Node::kill).await;
    let mut times = talking.await.unwrap();
    assert!(times.len() >= 3, "hardly anything was said: nothing was tested");
    times.sort_unstable();
    // Of the slowest a busy machine may be the cause.
    let median = times[times.len() / 2];
    assert!(median < SYNC_DELAY / 2, "what does not wait for the disk takes {median:?}");
    check_after(node, &load, Model::default()).await;
    println!(
        "slow disk: 1 run, 1 fault, {} operations, {SYNC_DELAY:?} a sync, {} messages that are not kept in {median:?} \
         (median), 0 violations",
        load.witness.figures().events,
        times.len()
    );
}

/// Says things that are not kept, once the disk has something to do and until the node dies; how long each took to be
/// heard.
async fn talk(talker: Mesh, listener: Mesh, load: Arc<Load>) -> Vec<Duration> {
    let mut heard = listener.subscribe("topic:weather/**", Start::Next).await.unwrap();
    let mut times = Vec::new();
    while load.witness.figures().accepted == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    loop {
        let said = Instant::now();
        let draft = talker.draft("topic:weather/berlin", &Performative::Inform).unwrap();
        // JSON, which takes no shortcut past the owner.
        let envelope = talker.unsigned(draft.payload("application/json", "\"sun\"")).unwrap();
        if !matches!(talker.send(envelope).await, Ok(Sent::Passed)) || heard.next().await.is_none() {
            return times;
        }
        times.push(said.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_ends_the_node_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = match LoopDisk::new(folder.path(), DISK_MIB) {
        Ok(disk) => disk,
        Err(why) => return not_run("read-only disk", &why),
    };
    let errors = Some(folder.path().join("node.stderr"));
    let mut node = Node::start_in(&disk.mount, Way { errors, ..Way::with(&["--pin", "market/**"]) });
    let load = Load::prepare(&node, "read-only").await;
    work_until_it_ends(&mut node, &load, |_| disk.make_read_only().unwrap()).await;
    let refused = refused_start(&disk.mount, &Way { errors: None, ..node.way.clone() });
    assert!(refused.expect("nothing can be written").contains("Read-only"), "and says why");
    disk.restore();
    check_after(node, &load, Model::default()).await;
    println!("read-only disk: 1 run, 1 fault, {} operations, 0 violations", load.witness.figures().events);
}

#[test]
fn a_second_node_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::start_in(home.path(), Way::with(&[]));
    let mut second = std::process::Command::new(env!("CARGO_BIN_EXE_openmesh"))
        .args(["up", "--listen", "127.0.0.1:0", "--data"])
        .arg(node.folder())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + ENDS_WITHIN;
    while second.try_wait().unwrap().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    // One that was taken in would run for ever.
    let _ = second.kill();
    let ended = second.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code().is_some_and(|code| code != 0) && said.contains("process"), "{said}");
    assert!(std::net::TcpStream::connect(node.endpoint.address).is_ok(), "the first goes on");
    assert!(node.folder().join("endpoint.json").exists(), "and is found");
}
