//! Proofs. An input is a message's digest and an encoded proof; only those that an agent made hold.

use crate::cast::{agent, agent_key};
use crate::feed::{Feed, Script};
use crate::form::reads;
use crate::targets::{Met, Seed};
use openmesh_message::{Digest, Proof};
use std::sync::LazyLock;

/// A digest, then an encoded proof.
pub fn target(input: &[u8]) -> Met {
    static GENUINE: LazyLock<Vec<(Digest, Proof)>> = LazyLock::new(genuine);
    let mut feed = Feed::new(input);
    let digest = Digest::from_bytes(feed.array());
    let Some(proof) = reads::<Proof>(feed.rest()) else {
        return Met::Refused;
    };
    let signed = proof.signed(&digest);
    let holds = proof.verify(proof.keyid(), &digest);
    if holds.is_ok() {
        assert!(signed.is_ok());
        assert!(GENUINE.contains(&(digest, proof.clone())), "a proof that nobody made holds");
    }
    if *proof.keyid() != agent(1) {
        assert!(proof.verify(&agent(1), &digest).is_err(), "a proof holds for another agent");
    }
    Met::Taken
}

/// One alone, and five of a batch.
fn genuine() -> Vec<(Digest, Proof)> {
    let key = agent_key(0);
    let digests: Vec<_> = (0..5).map(|id: u8| Digest::of(&[id])).collect();
    let alone = Digest::of(b"alone");
    let batch = Proof::sign_batch(&key, &digests);
    std::iter::once((alone, Proof::sign(&key, &alone))).chain(digests.into_iter().zip(batch)).collect()
}

/// The genuine ones, one of them for another message, and one of a batch at another place.
pub fn seeds() -> Vec<Seed> {
    let genuine = genuine();
    let of = |digest: &Digest, proof: &Proof| {
        Script::default().rest(digest.as_bytes()).rest(minicbor::to_vec(proof).unwrap()).done()
    };
    vec![
        Seed::new("single", of(&genuine[0].0, &genuine[0].1)),
        Seed::new("batch", of(&genuine[3].0, &genuine[3].1)),
        Seed::new("batch-last", of(&genuine[5].0, &genuine[5].1)),
        Seed::new("other-message", of(&genuine[1].0, &genuine[0].1)),
        Seed::new("other-place", of(&genuine[1].0, &genuine[2].1)),
    ]
}
