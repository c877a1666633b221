//! The log as a whole stays as small as it is to be: mail that ended is compacted, bodies are erased, old segments go; and
//! the node stays as right as it was, also when it starts again without snapshots.

mod dying;

use crate::node::Node;
use openmesh_sdk::{KeyPair, LogFilter, Mesh, Performative, SdkError, SignedReceipt};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
/// About what the upkeep of the log may take, in seconds, unless `OPENMESH_UPKEEP_WAIT_S` says otherwise.
const UPKEEP_WAIT_S: u64 = 90;
/// Records of the log that stay at least.
const KEPT: u64 = 400;
const MAIL_BYTES: usize = 400 * 1024;
const SECRET: &str = "the secret of the north tower";

/// Leaves mail; its id and receipt.
async fn leave(sender: &Mesh, text: &str, bytes: usize) -> (String, SignedReceipt) {
    let draft = sender.draft("inbox:receiver", &Performative::Inform).unwrap();
    let envelope = sender.sign(draft.payload("text/plain", format!("{text}{}", "x".repeat(bytes)))).unwrap();
    let id = envelope.attributes.get("id").unwrap().to_owned();
    (id, sender.send(envelope).await.unwrap().accepted().unwrap())
}

/// Leaves large mail and has all of it acknowledged.
async fn exchange(sender: &Mesh, receiver: &Mesh, count: usize) -> Vec<(String, SignedReceipt)> {
    let mut left = Vec::new();
    for n in 0..count {
        left.push(leave(sender, &format!("{n} "), MAIL_BYTES).await);
        let leased = receiver.inbox().lease(1, 60 * SECOND, 10 * SECOND).await.unwrap();
        receiver.inbox().ack(leased[0].token, &[]).await.unwrap();
    }
    left
}

fn log_bytes(node: &Node) -> u64 {
    std::fs::read_dir(node.log())
        .unwrap()
        .map(|file| file.unwrap().metadata().map_or(0, |about| about.len()))
        .sum()
}

fn holds(folder: &Path, needle: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let holds = |bytes: Vec<u8>| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        if path.is_dir() { self::holds(&path, needle) } else { std::fs::read(path).is_ok_and(holds) }
    })
}

async fn wait_for(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let told = std::env::var("OPENMESH_UPKEEP_WAIT_S").ok().and_then(|seconds| seconds.parse().ok());
    let until = Instant::now() + Duration::from_secs(told.unwrap_or(UPKEEP_WAIT_S));
    while !is_so().await {
        assert!(Instant::now() < until, "{what} takes too long");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn verify(node: &Node) -> Value {
    let data = node.folder();
    let verified = Command::new(env!("CARGO_BIN_EXE_openmesh"))
        .args(["log", "verify", "-o", "json", "--data"])
        .arg(data)
        .output()
        .unwrap();
    let row: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert!(verified.status.success() && row["ok"] == true, "{row}");
    row
}

fn remove(node: &Node, prefix: &str) {
    for file in std::fs::read_dir(node.log()).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with(prefix) {
            std::fs::remove_file(path).unwrap();
        }
    }
}

async fn records(mesh: &Mesh, filter: LogFilter) -> Vec<Value> {
    mesh.query_log(filter).collect(100_000).await.unwrap()
}

fn code(error: SdkError) -> String {
    match error {
        SdkError::Refused(problem) => problem.code,
        other => panic!("{other}"),
    }
}

/// A node and two agents.
struct Cast {
    node: Node,
    keys: [Arc<KeyPair>; 2],
    sender: Mesh,
    receiver: Mesh,
}

impl Cast {
    /// The node starts again without its snapshots.
    async fn restart(&mut self, kills: bool) {
        let before = self.receiver.inbox().counts().await.unwrap();
        if kills {
            self.node.kill()
        } else {
            self.node.stop()
        }
        remove(&self.node, "snapshot-");
        self.node.restart();
        self.connect().await;
        assert_eq!(self.receiver.inbox().counts().await.unwrap(), before);
    }

    async fn connect(&mut self) {
        self.sender = self.node.connect(&self.keys[0]).await;
        self.receiver = self.node.connect(&self.keys[1]).await;
    }
}

fn of_kind(kind: &str) -> LogFilter {
    LogFilter { kind: Some(kind.to_owned()), ..LogFilter::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_compacted_erased_from_and_let_go_of_and_the_node_stays_right() {
    let small = ["--segment-bytes", "1048576", "--snapshot-records", "100"];
    let kept = KEPT.to_string();
    let node = Node::start(&[small.as_slice(), &["--keep-records", &kept, "--compact-mail"]].concat());
    let ((sender_key, sender), (receiver_key, receiver)) =
        (node.agent("sender").await, node.agent("receiver").await);
    let mut cast = Cast { node, keys: [sender_key, receiver_key], sender, receiver };
    let (id, receipt) = compacts(&cast).await;
    erases(&cast).await;
    cast.restart(true).await;
    lets_go(&cast, &id, &receipt).await;
    cast.node.stop();
    assert_eq!(verify(&cast.node)["clean"], true);
    std::fs::remove_dir_all(cast.node.folder().join("projection")).unwrap();
    cast.node.restart();
    cast.connect().await;
    cast.restart(false).await;
    assert_eq!(cast.sender.agents().await.unwrap().len(), 2);
    exchange(&cast.sender, &cast.receiver, 1).await;
    verify(&cast.node);
    cast.node.stop();
}

/// What was acknowledged goes from sealed segments, what waits stays, and receipts are still given.
async fn compacts(Cast { node, sender, receiver, .. }: &Cast) -> (String, SignedReceipt) {
    let (waiting_id, _) = leave(sender, "wait for me", 0).await;
    let waiting = receiver.inbox().lease(1, 600 * SECOND, SECOND).await.unwrap();
    let left = exchange(sender, receiver, 60).await;
    let written = 60 * MAIL_BYTES as u64;
    wait_for("compaction", async || verify(node)["erased"].as_u64().unwrap() > 20).await;
    assert!(log_bytes(node) < written + 20_000_000, "{} bytes", log_bytes(node));
    // Readers find the file a moment after it has its name.
    let is_erased = |row: &Value| row["erased"] == true;
    let erased =
        async || records(sender, of_kind("message")).await.iter().filter(|row| is_erased(row)).count();
    wait_for("its being shown", async || erased().await > 20).await;
    let rows = records(sender, of_kind("message")).await;
    assert!(rows.iter().any(|row| row["message"]["attributes"]["id"] == waiting_id.as_str()));
    let (id, receipt) = left[0].clone();
    let again = sender.receipt(&receipt.receipt.digest, &id).await.unwrap().unwrap();
    assert_eq!(again.receipt.position, receipt.receipt.position);
    receiver.inbox().ack(waiting[0].token, &[]).await.unwrap();
    (id, receipt)
}

/// From the files, from memory, from what waits; who and why stays.
async fn erases(Cast { node, sender, receiver, .. }: &Cast) {
    let token = node.admin_token();
    let (id, receipt) = leave(sender, SECRET, 0).await;
    assert!(holds(&node.folder(), SECRET));
    assert_eq!(code(sender.erase(&id, "no right to", None).await.unwrap_err()), "policy.denied");
    assert_eq!(code(sender.erase("nothing", "-", Some(&token)).await.unwrap_err()), "not_found");
    assert_eq!(code(sender.erase("1", "-", Some(&token)).await.unwrap_err()), "erase.impossible");
    let row = sender.erase(&id, "was said in error", Some(&token)).await.unwrap();
    assert_eq!(row["mail_ended"], 1);
    wait_for("erasure", async || !holds(&node.folder(), SECRET)).await;
    wait_for("its record", async || !records(sender, of_kind("erasure_done")).await.is_empty()).await;
    assert!(receiver.inbox().peek(0, 9).await.unwrap().entries.is_empty());
    let counts = receiver.inbox().counts().await.unwrap();
    assert_eq!((counts.is_conserved(), counts.pending, counts.recalled), (true, 0, 1));
    let kept = records(sender, of_kind("erased")).await;
    assert_eq!(kept[0]["outcome"]["reason"], "was said in error");
    let by_id = LogFilter { id: Some(id.clone()), ..LogFilter::default() };
    assert!(records(sender, by_id).await.is_empty(), "nobody finds it by what it said");
    let seq = receipt.receipt.position.unwrap().seq;
    let mut page = sender.query_log(LogFilter::default()).after(seq - 1).page_records_max(1);
    let shown = page.next_page().await.unwrap().unwrap();
    assert_eq!((&shown[0]["erased"], &shown[0]["message"]), (&Value::Bool(true), &Value::Null));
    assert_eq!(
        code(sender.erase(&seq.to_string(), "-", Some(&token)).await.unwrap_err()),
        "erase.impossible"
    );
}

/// The oldest segments go, and what is asked of them is answered with their absence.
async fn lets_go(Cast { node, sender, receiver, .. }: &Cast, id: &str, receipt: &SignedReceipt) {
    exchange(sender, receiver, 130).await;
    wait_for("retention", async || verify(node)["first_seq"].as_u64().unwrap() > 1).await;
    let row = verify(node);
    let first_seq = row["first_seq"].as_u64().unwrap();
    assert!(row["records"].as_u64().unwrap() >= KEPT, "{row}");
    let rows = records(sender, LogFilter::default()).await;
    assert!(rows.iter().all(|row| row["seq"].as_u64().unwrap() >= first_seq) && !rows.is_empty());
    let mut late = sender.query_log(LogFilter::default()).after(1);
    assert_eq!(code(late.next_page().await.unwrap_err()), "log.let_go");
    assert_eq!(code(sender.receipt(&receipt.receipt.digest, id).await.unwrap_err()), "log.let_go");
}
