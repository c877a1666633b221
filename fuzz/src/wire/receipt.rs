//! Receipts with their proofs; only those that the node signed hold.

use super::said::receipts;
use crate::cast::{key, node};
use crate::form::reads;
use crate::targets::{Met, Seed};
use openmesh_message::{ReceiptRun, SignedReceipt};
use std::sync::LazyLock;

/// An encoded signed receipt, or a run of them.
pub fn target(input: &[u8]) -> Met {
    if let Some(receipt) = reads::<SignedReceipt>(input) {
        judge(&receipt);
        return Met::Taken;
    }
    let Some(opened) = reads::<ReceiptRun>(input).and_then(ReceiptRun::open) else {
        return Met::Refused;
    };
    for (_, receipt) in &opened.receipts {
        assert_eq!(receipt.root(), Some(opened.root), "a receipt's own path leads elsewhere");
        judge(receipt);
    }
    Met::Taken
}

fn judge(receipt: &SignedReceipt) {
    static GENUINE: LazyLock<Vec<SignedReceipt>> = LazyLock::new(|| [receipts(), others()].concat());
    let signer = receipt.proof.node;
    if receipt.verifies(&signer) {
        assert!(receipt.root().is_some());
        assert!(GENUINE.contains(receipt), "a receipt that nobody gave holds");
    }
    if signer != node().id() {
        assert!(!receipt.verifies(&node().id()));
    }
}

/// What another key signed.
fn others() -> Vec<SignedReceipt> {
    SignedReceipt::sign_all(&key(77), vec![receipts()[0].receipt.clone()])
}

/// The last two of the three, side by side.
fn run() -> ReceiptRun {
    let tagged: Vec<_> = (1..).zip(receipts()).map(|(tag, signed)| (tag, signed.receipt)).collect();
    let (first, later) = tagged.split_at(1);
    ReceiptRun::sign_all(&node(), vec![first.to_vec(), later.to_vec()]).remove(1)
}

/// The three of one commit, two of them as a run, and one that another key signed.
pub fn seeds() -> Vec<Seed> {
    let receipts = receipts();
    let of = |receipt: &SignedReceipt| minicbor::to_vec(receipt).unwrap();
    let mut seeds = vec![Seed::new("other-node", of(&others()[0]))];
    seeds.push(Seed::new("run", minicbor::to_vec(run()).unwrap()));
    let names = ["first", "second", "third"];
    seeds.extend(names.iter().zip(&receipts).map(|(name, receipt)| Seed::new(*name, of(receipt))));
    seeds
}
