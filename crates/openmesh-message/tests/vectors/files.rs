//! Which files there are, and whether they still say what this implementation does.

use crate::{control, frames, handshakes, identities, messages, payloads, proofs, receipts, words};
use serde_json::Value;
use std::path::PathBuf;

/// Name and content of every file of vectors.
fn made() -> Vec<(&'static str, Value)> {
    vec![
        ("addresses", words::addresses()),
        ("attributes", control::attributes()),
        ("canonical", messages::canonical()),
        ("certificates", identities::certificates()),
        ("frames", frames::frames()),
        ("handshake", handshakes::handshake()),
        ("identities", identities::identities()),
        ("names", words::names()),
        ("performatives", words::performatives()),
        ("proofs", proofs::proofs()),
        ("receipts", receipts::receipts()),
        ("strict-json", payloads::strict_json()),
        ("times", words::times()),
        ("topics", words::topics()),
    ]
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors").join(format!("{name}.json"))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the vectors are files that other languages read too")]
fn the_vectors_say_what_this_implementation_does() {
    for (name, value) in made() {
        let kept = std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}.json: {error}"));
        let kept: Value = serde_json::from_slice(&kept).unwrap();
        assert!(kept == value, "{name}.json is stale: the wire format changed, or the file did");
    }
}

#[test]
#[ignore = "writes spec/vectors anew"]
#[expect(clippy::disallowed_methods, reason = "the vectors are files that other languages read too")]
fn write() {
    for (name, value) in made() {
        let text = serde_json::to_string_pretty(&value).unwrap();
        std::fs::write(path(name), text + "\n").unwrap();
    }
}
