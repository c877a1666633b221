//! Folders that move: a backup of a running node and what is made of it, copies, a second process, and a folder that the
//! first version wrote.

use crate::node::{Node, Way};
use openmesh_sdk::{LogFilter, Mesh, Performative};
use openmesh_store::{failpoint, open_read_only};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const SIGABRT: i32 = 6;
/// Lower epochs than this are the original's.
const FAR_EPOCH: u32 = 1 << 16;

fn openmesh(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openmesh"));
    command.args(arguments).envs(environment.iter().copied()).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `openmesh up` where it must not begin; what it says.
fn refused(folder: &Path, more: &[&str]) -> String {
    let folder = folder.to_str().unwrap();
    // One that is taken in ends at once.
    let always = ["up", "--data", folder, "--listen", "127.0.0.1:0", "--no-http", "--until-stdin-closes"];
    let arguments = [&always[..], more].concat();
    let output = openmesh(&arguments, &[]);
    assert!(!output.status.success());
    errors(&output)
}

async fn publish(mesh: &Mesh, count: usize) -> Vec<(u32, u64)> {
    let drafts = (0..count).map(|n| {
        let to = if n % 2 == 0 { "topic:market/load" } else { "inbox:reader" };
        mesh.draft(to, &Performative::Inform).unwrap().payload("text/plain", vec![b'x'; 2_000])
    });
    let sent = mesh.send_batch(mesh.sign_batch(drafts.collect()).unwrap()).await.unwrap();
    let position = |sent: &openmesh_sdk::Sent| sent.receipt().unwrap().receipt.position.unwrap();
    sent.iter().map(|sent| (position(sent).epoch, position(sent).seq)).collect()
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_node_is_a_node_again_and_no_crash_leaves_half_a_log() {
    let way = Way::with(&["--pin", "market/**", "--segment-bytes", "65536", "--snapshot-records", "40"]);
    let home = tempfile::tempdir().unwrap();
    let node = Node::start_in(home.path(), way.clone());
    let (reader, _) = node.agent("reader").await;
    let (writer, mesh) = node.agent("writer").await;
    let before = publish(&mesh, 100).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let file = home.path().join("node.backup");
    let (file, data) = (file.to_str().unwrap(), node.folder());
    let export = ["log", "export", "--format", "backup", "--to", file, "--data", data.to_str().unwrap()];
    let taken = openmesh(&[&export[..], &["--with-keys", "-o", "json"]].concat(), &[]);
    assert!(taken.status.success(), "{}", errors(&taken));
    let taken: Value = serde_json::from_slice(&taken.stdout).unwrap();
    assert!(taken["last_seq"].as_u64() >= before.last().map(|last| last.1), "{taken}");
    let after = publish(&mesh, 10).await;

    let restored = tempfile::tempdir().unwrap();
    let folder = restored.path().join("node");
    let import = ["log", "import", file, "--data", folder.to_str().unwrap()];
    let places = failpoint::NAMES.iter().filter(|place| place.starts_with("import."));
    let mut crashes = 0;
    for place in places {
        let _ = std::fs::remove_dir_all(&folder);
        let died = openmesh(&import, &[(failpoint::VARIABLE, place)]);
        assert_eq!(died.status.signal(), Some(SIGABRT), "{place}");
        crashes += 1;
        if *place == "import.renamed" {
            continue;
        }
        assert!(!folder.join("log").exists(), "{place} left a log");
        assert!(refused(&folder, &[]).contains("was not finished"), "{place}");
        let again = openmesh(&import, &[]);
        assert!(again.status.success(), "after {place}: {}", errors(&again));
        let twice = openmesh(&import, &[]);
        assert!(errors(&twice).contains("there is a log"), "{}", errors(&twice));
    }
    println!("import: {crashes} crashes, 0 half logs");

    let twin = Node::start_in(restored.path(), way);
    assert_eq!(twin.endpoint.domain, node.endpoint.domain, "it is the same node");
    let mesh = twin.connect(&writer).await;
    let filter = LogFilter { topic: Some("market/load".to_owned()), ..LogFilter::default() };
    assert_eq!(mesh.query_log(filter).collect(1_000).await.unwrap().len(), 50);
    let counts = twin.connect(&reader).await.inbox().counts().await.unwrap();
    assert_eq!((counts.accepted, counts.pending), (50, 50));
    let on = publish(&mesh, 10).await;
    assert!(on.iter().all(|(epoch, _)| *epoch > FAR_EPOCH), "{on:?}");
    assert!(on.iter().all(|position| !after.contains(position)), "a position is used by both");
    let (log, _) = open_read_only(&twin.log()).unwrap();
    assert_eq!(log.get(before[0].1).unwrap().unwrap().position.epoch, before[0].0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_folder_and_a_second_process_are_refused_and_a_copy_taken_over_begins_a_far_epoch() {
    let mut node = Node::start(&["--pin", "market/**"]);
    let (writer, mesh) = node.agent("writer").await;
    node.agent("reader").await;
    let before = publish(&mesh, 10).await;
    let second = refused(&node.folder(), &[]);
    assert!(
        second.contains("another process (") && second.contains("a node runs from that folder"),
        "{second}"
    );
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    copy(&node.folder(), homes[0].path());
    node.stop();
    copy(&node.folder(), homes[1].path());
    for home in &homes {
        let copied = home.path().join("node");
        let said = refused(&copied, &[]);
        assert!(said.contains("written in another folder") && said.contains("--adopt-folder"), "{said}");
        let mut way = Way::with(&["--pin", "market/**", "--adopt-folder"]);
        let mut taken = Node::start_in(home.path(), way.clone());
        let on = publish(&taken.connect(&writer).await, 2).await;
        assert!(on[0].0 > FAR_EPOCH && on[0].1 > before[9].1, "{on:?}");
        taken.stop();
        way.arguments.pop();
        let taken = Node::start_in(home.path(), way);
        let again = publish(&taken.connect(&writer).await, 1).await;
        assert_eq!(again[0].0, on[0].0, "it is at home from then on");
    }
    node.restart();
    let own = publish(&node.connect(&writer).await, 1).await;
    assert!(own[0].0 < FAR_EPOCH, "the original goes on as it was");
    // An older state put back into its own place.
    node.stop();
    std::fs::remove_dir_all(node.log()).unwrap();
    copy(&homes[0].path().join("node/log"), &node.folder());
    assert!(refused(&node.folder(), &[]).contains("--adopt-folder"));
}

/// A folder that the first version of the formats wrote: segments 1, records 2, state 2.
fn written_by_format_1(home: &Path) {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1"), &home.join("node"));
    let node = home.join("node");
    for key in ["node", "custodian"] {
        let path = node.join(format!("{key}.key"));
        std::fs::rename(node.join(format!("{key}.test-key")), &path).unwrap();
        let status = Command::new("chmod").arg("600").arg(&path).status().unwrap();
        assert!(status.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_the_first_format_opens_goes_on_and_survives_a_crash_at_each_place() {
    let places = failpoint::NAMES.iter().filter(|place| {
        ["open.", "append.", "sync.", "roll.", "close."].iter().any(|scene| place.starts_with(scene))
    });
    let mut crashes = 0;
    for place in places {
        let home = tempfile::tempdir().unwrap();
        written_by_format_1(home.path());
        let node = home.path().join("node");
        let data = node.to_str().unwrap();
        let (old, report) = open_read_only(&node.join("log")).unwrap();
        assert!(report.report.is_clean() && report.clean);
        let head = report.head.unwrap();
        let arguments =
            ["up", "--data", data, "--listen", "127.0.0.1:0", "--no-http", "--until-stdin-closes"];
        // Standard input is at its end: the node stops as soon as it is ready.
        let died = openmesh(&arguments, &[(failpoint::VARIABLE, place)]);
        crashes += usize::from(died.status.signal() == Some(SIGABRT));
        let mut node = Node::start_in(home.path(), Way::default());
        let mesh = node.connect(&crate::node::new_key()).await;
        mesh.register("newcomer", Some(&node.admin_token())).await.unwrap();
        mesh.close().await;
        node.stop();
        let (log, report) = open_read_only(&node.log()).unwrap();
        assert!(report.report.corrupt.is_empty(), "{place}: {}", report.report);
        assert!(report.head.unwrap().seq > head.seq, "{place}: it goes on");
        for seq in 1..=head.seq {
            assert_eq!(log.get(seq).unwrap(), old.get(seq).unwrap(), "{place}: record {seq} is as it was");
        }
        let verified = openmesh(&["log", "verify", "--data", data], &[]);
        assert!(verified.status.success(), "{place}: {}", errors(&verified));
    }
    println!("a folder of format 1: {crashes} crashes, 0 that did not open");
    assert!(crashes >= 8, "{crashes}");
}

#[test]
fn a_folder_of_a_later_format_is_refused_by_name_and_number() {
    let home = tempfile::tempdir().unwrap();
    written_by_format_1(home.path());
    let log = home.path().join("node/log");
    let segment = log.join("segment-0000000002.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    for copy in [0, 512] {
        bytes[copy + 8..copy + 12].copy_from_slice(&99_u32.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[copy..copy + 12]);
        bytes[copy + 12..copy + 16].copy_from_slice(&checksum.to_le_bytes());
    }
    std::fs::write(&segment, &bytes).unwrap();
    let said = refused(&home.path().join("node"), &[]);
    assert!(
        said.contains("segment-0000000002.log has format version 99, this program reads up to"),
        "{said}"
    );
    assert_eq!(std::fs::read(&segment).unwrap(), bytes, "it is left as it was");
}
