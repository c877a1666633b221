//! Disks that fail, turn read-only, or take their time; and a folder that two nodes want.

mod full;

use super::load::Load;
use super::machine::{LoopDisk, behind_strace, lacks_strace, not_run};
use crate::crash::check;
use crate::crash::model::Model;
use crate::node::{Node, Way, refused_start};
use std::time::{Duration, Instant};

/// A node whose log failed, or belongs to another process, has ended by then.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const DISK_MIB: u64 = 256;
const ACCEPTED: u64 = 600;
const ACCEPTED_SLOWLY: u64 = 150;
/// What a slow disk adds to each sync.
const SYNC_DELAY: Duration = Duration::from_millis(300);

/// Lets agents work until harm has ended the node.
async fn work_until_it_ends(node: &mut Node, load: &std::sync::Arc<Load>, harm: impl FnOnce(&mut Node)) {
    let die = |node: &mut Node| {
        harm(node);
        let ended = node.ended_within(ENDS_WITHIN).expect("a node whose log failed ends by itself");
        assert!(!ended.success(), "and says that it failed");
    };
    load.work_until(node, ACCEPTED, die).await;
}

/// Starts the node again the plain way, and holds everything to what clients saw.
async fn check_after(mut node: Node, load: &Load) {
    let mut model = Model::default();
    check(&node, &mut model, load);
    node.way.prefix.clear();
    node.restart();
    load.resend_unknown(&node).await;
    load.count_inbox(&node).await;
    load.read_to_the_end(&node).await;
    node.stop();
    check(&node, &mut model, load);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_the_node_and_is_never_tried_again() {
    if let Some(why) = lacks_strace() {
        return not_run("fsync error", why);
    }
    let mut runs = 0;
    for when in [12, 60] {
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
        check_after(node, &load).await;
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
    let (_, mesh) = node.agent("patient").await;
    // Whoever asks for nothing that is kept does not wait for the disk.
    let asking = tokio::spawn(async move {
        let (mut slowest, until) = (Duration::ZERO, Instant::now() + Duration::from_secs(3));
        while Instant::now() < until {
            let Ok(took) = mesh.ping().await else { break };
            slowest = slowest.max(took);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        slowest
    });
    load.work_until(&mut node, ACCEPTED_SLOWLY, Node::kill).await;
    let slowest = asking.await.unwrap();
    assert!(slowest < SYNC_DELAY, "what does not wait for the disk took {slowest:?}");
    check_after(node, &load).await;
    println!(
        "slow disk: 1 run, 1 fault, {} operations, {SYNC_DELAY:?} a sync, slowest answer besides {slowest:?}, 0 violations",
        load.witness.figures().events
    );
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
    check_after(node, &load).await;
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
