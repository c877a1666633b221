//! Receipts with their proofs; only those that the node signed hold.

use super::said::receipts;
use crate::cast::{key, node};
use crate::form::reads;
use crate::targets::{Met, Seed};
use openmesh_message::SignedReceipt;
use std::sync::LazyLock;

/// An encoded signed receipt.
pub fn target(input: &[u8]) -> Met {
    static GENUINE: LazyLock<Vec<SignedReceipt>> = LazyLock::new(|| [receipts(), others()].concat());
    let Some(receipt) = reads::<SignedReceipt>(input) else {
        return Met::Refused;
    };
    let signer = receipt.proof.node;
    if receipt.verifies(&signer) {
        assert!(receipt.root().is_some());
        assert!(GENUINE.contains(&receipt), "a receipt that nobody gave holds");
    }
    if signer != node().id() {
        assert!(!receipt.verifies(&node().id()));
    }
    Met::Taken
}

/// What another key signed.
fn others() -> Vec<SignedReceipt> {
    SignedReceipt::sign_all(&key(77), vec![receipts()[0].receipt.clone()])
}

/// The three of one commit, and one that another key signed.
pub fn seeds() -> Vec<Seed> {
    let receipts = receipts();
    let of = |receipt: &SignedReceipt| minicbor::to_vec(receipt).unwrap();
    let mut seeds = vec![Seed::new("other-node", of(&others()[0]))];
    let names = ["first", "second", "third"];
    seeds.extend(names.iter().zip(&receipts).map(|(name, receipt)| Seed::new(*name, of(receipt))));
    seeds
}
