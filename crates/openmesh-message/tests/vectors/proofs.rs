//! Proofs, single and batch: those that hold and those that must not.

use crate::fixture::{cbor_hex, digest, flipped, key};
use openmesh_message::{Digest, Proof, ProofError, Signature};
use serde_json::{Value, json};

/// The order of the curve's subgroup, little-endian: adding it to a signature's second half makes another
/// encoding of the same signature, which must be refused.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub(crate) fn proofs() -> Value {
    let mut cases = Vec::new();
    single(&mut cases);
    batches(&mut cases);
    json!({
        "what": "a proof (CBOR) over a message digest, who is said to have signed, and whether it holds",
        "contexts": {
            "single": "openmesh proof v1",
            "leaf": "openmesh proof leaf v1",
            "root": "openmesh proof root v1",
        },
        "seed": "32 times the byte 04; the other signer's is 32 times 05",
        "cases": cases,
    })
}

fn case(what: &str, proof: &Proof, message: &Digest, holds: Result<(), ProofError>) -> Value {
    let signer = key(4).id();
    assert_eq!(proof.verify(&signer, message), holds, "{what}");
    json!({
        "what": what, "signer": signer, "digest": digest(message), "proof": cbor_hex(proof), "holds": holds.is_ok(),
    })
}

fn single(cases: &mut Vec<Value>) {
    let (message, signer) = (Digest::of(b"message"), key(4));
    let proof = Proof::sign(&signer, &message);
    let Proof::Single { keyid, signature } = &proof else { panic!("a single proof") };
    let (keyid, signature) = (*keyid, *signature.as_bytes());
    let with =
        |bytes: &[u8]| Proof::Single { keyid, signature: Signature::from_bytes(bytes.try_into().unwrap()) };
    let invalid = Err(ProofError::Invalid);
    cases.push(case("single", &proof, &message, Ok(())));
    cases.push(case("single, of another message", &proof, &Digest::of(b"other"), invalid));
    cases.push(case("single, a bit of R flipped", &with(&flipped(&signature, 0)), &message, invalid));
    cases.push(case("single, a bit of S flipped", &with(&flipped(&signature, 32)), &message, invalid));
    cases.push(case("single, S not reduced", &with(&varied(&signature)), &message, invalid));
    cases.push(case("single, of zeros", &with(&[0; 64]), &message, invalid));
    let foreign = Proof::sign(&key(5), &message);
    cases.push(case("single, of another key", &foreign, &message, Err(ProofError::ForeignKey)));
    let plain = signer.sign("another context", message.as_bytes());
    cases.push(case("single, signed in another context", &with(plain.as_bytes()), &message, invalid));
}

fn varied(signature: &[u8; 64]) -> Vec<u8> {
    let mut carry = 0;
    let mut varied = signature.to_vec();
    for (byte, order) in varied.iter_mut().skip(32).zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_be_bytes()[1];
        carry = sum >> 8;
    }
    varied
}

fn batches(cases: &mut Vec<Value>) {
    let signer = key(4);
    for size in [1_u32, 2, 3, 5, 256] {
        let messages: Vec<_> = (0..size).map(|number| Digest::of(&number.to_be_bytes())).collect();
        let proofs = Proof::sign_batch(&signer, &messages);
        for index in [0, size / 2, size - 1] {
            let index = index as usize;
            let what = format!("leaf {index} of a batch of {size}");
            cases.push(case(&what, &proofs[index], &messages[index], Ok(())));
        }
    }
    let messages: Vec<_> = (0..4_u32).map(|number| Digest::of(&number.to_be_bytes())).collect();
    let proof = Proof::sign_batch(&signer, &messages).remove(1);
    let Proof::Batch { keyid, signature, path, .. } = &proof else { panic!("a batch proof") };
    let with = |index, path: &[Digest]| Proof::Batch {
        keyid: *keyid,
        signature: *signature,
        index,
        path: path.to_vec(),
    };
    let message = &messages[1];
    cases.push(case("a batch's, of another leaf", &proof, &messages[2], Err(ProofError::Invalid)));
    cases.push(case("a batch's, at another index", &with(0, path), message, Err(ProofError::Invalid)));
    cases.push(case("a batch's, index outside the tree", &with(5, path), message, Err(ProofError::Path)));
    cases.push(case("a batch's, path cut short", &with(1, &path[..1]), message, Err(ProofError::Invalid)));
    let long = [&path[..], &[Digest::ZERO; 7]].concat();
    cases.push(case("a batch's, path of nine", &with(1, &long), message, Err(ProofError::Path)));
    let mut swapped = path.clone();
    swapped.reverse();
    cases.push(case("a batch's, path reversed", &with(1, &swapped), message, Err(ProofError::Invalid)));
}
