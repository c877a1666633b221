//! Receipts of one commit, and changed ones.

use crate::fixture::{TIME, cbor_hex, digest, key};
use openmesh_message::{Digest, Level, LogName, LogSeq, PartitionId, Position, Receipt, SignedReceipt};
use serde_json::{Value, json};

type Change = fn(&mut SignedReceipt);

pub(crate) fn receipts() -> Value {
    let receipts = vec![kept(7), kept(8), passed(), Receipt { duplicate: true, ..kept(7) }, kept(9)];
    let signed = SignedReceipt::sign_all(&key(3), receipts);
    let mut cases: Vec<_> = signed.iter().map(|one| case("of a commit of five", one, true)).collect();
    let alone = SignedReceipt::sign_all(&key(3), vec![kept(7)]);
    cases.push(case("alone in its commit: an empty path", &alone[0], true));
    let changed = |change: Change| {
        let mut one = signed[1].clone();
        change(&mut one);
        one
    };
    let bad: [(&str, Change); 5] = [
        ("with another position", |one| one.receipt.position = kept(9).position),
        ("with another digest", |one| one.receipt.digest = Digest::ZERO),
        ("said to be a duplicate", |one| one.receipt.duplicate = true),
        ("at another index", |one| one.proof.index ^= 1),
        ("with a path cut short", |one| one.proof.path.truncate(1)),
    ];
    cases.extend(bad.map(|(what, change)| case(what, &changed(change), false)));
    let foreign = SignedReceipt::sign_all(&key(5), vec![kept(7)]);
    cases.push(case("of another node", &foreign[0], false));
    json!({
        "what": "signed receipts (CBOR), the node that should have signed, and whether it did",
        "contexts": {"leaf": "openmesh receipt leaf v1", "root": "openmesh receipt root v1"},
        "node": key(3).id(),
        "cases": cases,
    })
}

fn kept(seq: u64) -> Receipt {
    let log = |log: &str, seq| LogSeq { log: LogName(log.into()), seq };
    Receipt {
        digest: Digest::of(&seq.to_be_bytes()),
        level: Level::Durable,
        position: Some(Position { partition: PartitionId(0), epoch: 2, seq }),
        logs: vec![log("topic/market/rfp", seq), log("conversation/0190c9a0-0000-7000-8000-000000000001", 1)],
        duplicate: false,
        policy_version: Digest::of(b"policy"),
        at: TIME,
    }
}

fn passed() -> Receipt {
    Receipt { level: Level::Received, position: None, logs: Vec::new(), ..kept(1) }
}

fn case(what: &str, signed: &SignedReceipt, holds: bool) -> Value {
    assert_eq!(signed.verifies(&key(3).id()), holds, "{what}");
    let receipt = &signed.receipt;
    json!({
        "what": what,
        "signed receipt": cbor_hex(signed),
        "digest": digest(&receipt.digest),
        "level": receipt.level,
        "position": receipt.position.map(|position| position.to_string()),
        "logs": receipt.logs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "duplicate": receipt.duplicate,
        "at": receipt.at.millis(),
        "holds": holds,
    })
}
