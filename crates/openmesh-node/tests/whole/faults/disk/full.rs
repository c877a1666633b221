//! A full disk: what cannot be kept is refused before anything is promised, all else goes on, and room is used again at once.

use crate::crash::check;
use crate::crash::model::Model;
use crate::faults::load::Load;
use crate::faults::machine::{MemoryDisk, not_run};
use crate::faults::witness::told;
use crate::node::{Node, Way};
use openmesh_sdk::{LogFilter, Mesh, Performative, Sent};
use std::process::Command;
use std::time::{Duration, Instant};

/// The disk that is to fill up, what of it is taken by something else, and files small enough for it.
const DISK_MIB: u64 = 64;
const BALLAST_MIB: u64 = 24;
const SEGMENT_BYTES: &str = "4194304";
const BODY_BYTES: usize = 16 * 1024;
const BATCH: usize = 32;
/// Within this time after there is room again, it is used.
const RESUMES_WITHIN: Duration = Duration::from_secs(20);

/// Sends batches until one is refused for want of room; how many were accepted.
async fn fill(mesh: &Mesh, load: &Load) -> u64 {
    let (connection, mut accepted) = (load.witness.connection(), 0);
    loop {
        let draft = || mesh.draft("topic:market/load", &Performative::Inform).unwrap();
        let drafts = (0..BATCH).map(|_| draft().payload("text/plain", vec![b'x'; BODY_BYTES])).collect();
        let envelopes = mesh.sign_batch(drafts).unwrap();
        for envelope in &envelopes {
            load.witness.sent(connection, envelope);
        }
        let sent = mesh.send_batch(envelopes.clone()).await.unwrap();
        for (envelope, sent) in envelopes.iter().zip(&sent) {
            load.witness.outcome(envelope, sent);
            match sent {
                Sent::Accepted(_) => accepted += 1,
                Sent::Rejected(problem) => {
                    assert_eq!(problem.code, "store.full");
                    return accepted;
                }
                other => panic!("a full disk is said, and was {other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_it_cannot_keep_and_goes_on_with_all_else() {
    let folder = tempfile::tempdir().unwrap();
    let disk = match MemoryDisk::new(&folder.path().join("disk"), DISK_MIB) {
        Ok(disk) => disk,
        Err(why) => return not_run("disk full", &why),
    };
    let ballast = disk.mount.join("ballast");
    std::fs::write(&ballast, vec![1; (BALLAST_MIB << 20) as usize]).unwrap();
    let errors = Some(folder.path().join("node.stderr"));
    let arguments = ["--pin", "market/**", "--segment-bytes", SEGMENT_BYTES];
    let mut node = Node::start_in(&disk.mount, Way { errors, ..Way::with(&arguments) });
    let load = Load::prepare(&node, "disk-full").await;
    let (_, mesh) = node.agent("filler").await;
    mail(&mesh, &load, 8).await;
    let accepted = fill(&mesh, &load).await;
    // Reads, acks and the audit go on.
    let worker = node.connect(&load.agents.worker).await;
    let leased = worker.inbox().lease(8, Duration::from_secs(30), Duration::from_secs(1)).await.unwrap();
    assert_eq!(leased.len(), 8);
    load.witness.leased(&worker.id(), &leased);
    let numbers: Vec<_> = leased.iter().map(|message| message.number).collect();
    let acknowledged = worker.inbox().ack(leased[0].token, &numbers).await;
    load.witness.acknowledged(&worker.id(), &numbers, told(&acknowledged));
    acknowledged.unwrap();
    let found = mesh.query_log(LogFilter::default()).newest_first().collect(20).await.unwrap();
    assert_eq!(found.len(), 20, "questions are answered");
    audit(&node);
    // With room again it takes messages again, and was never restarted.
    std::fs::remove_file(&ballast).unwrap();
    let begun = Instant::now();
    while mail(&mesh, &load, 1).await == 0 {
        assert!(begun.elapsed() < RESUMES_WITHIN, "there is room and nothing is taken in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let resumed = begun.elapsed();
    let again = fill(&mesh, &load).await;
    load.read_to_the_end(&node).await;
    node.stop();
    let mut model = Model::default();
    check(&node, &mut model, &load);
    println!(
        "disk full: 1 run, 2 times full, {} operations: {accepted} accepted before, {again} after room came back \
         ({resumed:?}), 0 violations",
        load.witness.figures().events
    );
}

/// Sends mail to the worker; how much was accepted.
async fn mail(mesh: &Mesh, load: &Load, count: usize) -> usize {
    let connection = load.witness.connection();
    let draft = || mesh.draft("inbox:worker", &Performative::Inform).unwrap().json(b"{}".to_vec());
    let envelopes = mesh.sign_batch((0..count).map(|_| draft()).collect()).unwrap();
    for envelope in &envelopes {
        load.witness.sent(connection, envelope);
    }
    let sent = mesh.send_batch(envelopes.clone()).await.unwrap();
    for (envelope, sent) in envelopes.iter().zip(&sent) {
        load.witness.outcome(envelope, sent);
    }
    sent.iter().filter(|sent| sent.is_accepted()).count()
}

/// Has `openmesh log verify` read all of the log beside the running node.
fn audit(node: &Node) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openmesh"));
    let ended = command.args(["log", "verify", "--data"]).arg(node.folder()).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()));
}
