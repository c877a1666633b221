//! A node dies at each step of a checkpoint, of rewriting and of letting go: what was asked for is done after the next
//! start, and nothing else is missing.

use super::{Cast, SECRET, code, exchange, holds, leave, of_kind, records, verify, wait_for};
use crate::node::Node;
use openmesh_sdk::{InboxCounts, Mesh, Performative, Sent, SignedReceipt};
use openmesh_store::failpoint::{self, NAMES};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

const SIGABRT: i32 = 6;
const REACHED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_of_upkeep_is_made_good_by_the_next_start() {
    if !cfg!(debug_assertions) {
        println!("not run: failpoints of upkeep: a build without debug assertions has none");
        return;
    }
    let node = Node::start(&["--segment-bytes", "65536", "--keep-records", "1"]);
    let ((sender_key, sender), (receiver_key, receiver)) =
        (node.agent("sender").await, node.agent("receiver").await);
    let mut cast = Cast { node, keys: [sender_key, receiver_key], sender, receiver };
    let is_upkeep = |place: &&&str| place.starts_with("checkpoint.") || place.starts_with("compact.");
    let places: Vec<&str> = NAMES.iter().filter(is_upkeep).copied().collect();
    for (round, place) in places.iter().enumerate() {
        die_at(&mut cast, place, &format!("{SECRET} {round}")).await;
    }
    println!("failpoints: {}, crashes: {}, divergences: 0", places.len(), places.len());
}

async fn die_at(cast: &mut Cast, place: &str, secret: &str) {
    // So that there is an earlier checkpoint, and an earlier segment.
    erase(cast, &format!("before {secret}")).await;
    cast.node.stop();
    if let Err(status) = cast.node.restart_under(&[(failpoint::VARIABLE, place)]) {
        // What was left to do of the erasure before brought it there.
        assert_eq!(status.signal(), Some(SIGABRT), "{place}: {status}");
        verify(&cast.node);
        cast.node.restart();
        return cast.connect().await;
    }
    let asked = ask(cast, secret).await;
    let status = cast.node.ended_within(REACHED_WITHIN).unwrap_or_else(|| panic!("{place} was not reached"));
    assert_eq!(status.signal(), Some(SIGABRT), "{place}: {status}");
    verify(&cast.node);
    cast.node.restart();
    cast.connect().await;
    // It may have come to the place by what was left to do before.
    let Some(Asked { before, id, receipt, is_erased }) = asked else { return };
    if !is_erased {
        // Kept or not: asked for again it is done, or was.
        let again = cast.sender.erase(&id, "a test", Some(&cast.node.admin_token())).await;
        assert!(
            again.is_ok()
                || ["erase.impossible", "not_found", "log.let_go"]
                    .contains(&code(again.unwrap_err()).as_str())
        );
    }
    wait_for(place, async || !holds(&cast.node.folder(), secret)).await;
    let counts = cast.receiver.inbox().counts().await.unwrap();
    assert_eq!(
        (counts.accepted, counts.pending, counts.recalled),
        (before.accepted + 1, 0, before.recalled + 1)
    );
    let seq = receipt.receipt.position.unwrap().seq;
    assert!(verify(&cast.node)["head"].as_str().is_some() && seq > 0);
    exchange(&cast.sender, &cast.receiver, 1).await;
}

/// What was asked of a node that is to die of it.
struct Asked {
    before: InboxCounts,
    id: String,
    receipt: SignedReceipt,
    is_erased: bool,
}

/// Leaves mail and has it erased; `None` where the node died before.
async fn ask(cast: &Cast, secret: &str) -> Option<Asked> {
    let [sender, receiver] = &cast.keys;
    let sender = Mesh::connect(&cast.node.options(sender)).await.ok()?;
    let receiver = Mesh::connect(&cast.node.options(receiver)).await.ok()?;
    let before = receiver.inbox().counts().await.ok()?;
    let draft = sender.draft("inbox:receiver", &Performative::Inform).unwrap();
    let envelope = sender.sign(draft.payload("text/plain", secret.to_owned())).unwrap();
    let id = envelope.attributes.get("id").unwrap().to_owned();
    let Sent::Accepted(receipt) = sender.send(envelope).await.ok()? else { return None };
    let token = cast.node.admin_token();
    // It may die before it answers, or be known to have died only later.
    let is_erased = sender.erase(&id, "a test", Some(&token)).await.is_ok();
    Some(Asked { before, id, receipt, is_erased })
}

async fn erase(cast: &mut Cast, secret: &str) {
    let (id, _) = leave(&cast.sender, secret, 0).await;
    let token = cast.node.admin_token();
    cast.sender.erase(&id, "a test", Some(&token)).await.unwrap();
    wait_for("an erasure", async || !holds(&cast.node.folder(), secret)).await;
    wait_for("its record", async || !records(&cast.sender, of_kind("erasure_done")).await.is_empty()).await;
}
