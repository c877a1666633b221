//! Attributes in their canonical form, beside an encoder of RFC 8949 §4.2.1 that knows nothing of ours.

use crate::cast::message;
use crate::form::reads;
use crate::targets::{Met, Seed};
use openmesh_message::limits::{ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX};
use openmesh_message::{Attributes, Digest};

/// Encoded attributes.
pub fn target(input: &[u8]) -> Met {
    let Some(attributes) = reads::<Attributes>(input) else {
        return Met::Refused;
    };
    let entries: Vec<(String, String)> =
        attributes.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let bytes: usize = entries.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(entries.len() <= ATTRIBUTES_MAX && attributes.bytes() <= ATTRIBUTES_BYTES_MAX);
    assert_eq!(attributes.bytes(), bytes);
    assert_eq!(minicbor::to_vec(&attributes).unwrap(), naive_map(&entries));

    let mut backwards = Attributes::default();
    for (name, value) in entries.iter().rev() {
        assert_eq!(attributes.get(name), Some(value.as_str()));
        backwards.set(name, value).unwrap();
        assert!(backwards.set(name, value).is_err(), "set twice");
    }
    assert_eq!(backwards, attributes);
    assert_eq!(backwards.digest(input), attributes.digest(input));
    let signed: (Attributes, Digest) = minicbor::decode(&attributes.canonical_bytes(input)).unwrap();
    assert_eq!(signed, (attributes, Digest::of(input)));
    Met::Taken
}

/// A map of texts, its entries in the bytewise order of their encoded keys.
fn naive_map(entries: &[(String, String)]) -> Vec<u8> {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> =
        entries.iter().map(|(name, value)| (naive_text(name), naive_text(value))).collect();
    pairs.sort();
    let mut map = head(5, pairs.len());
    map.extend(pairs.into_iter().flat_map(|(name, value)| [name, value].concat()));
    map
}

fn naive_text(text: &str) -> Vec<u8> {
    [head(3, text.len()), text.as_bytes().to_vec()].concat()
}

/// The shortest head of a major type and an argument.
fn head(major: u8, argument: usize) -> Vec<u8> {
    let major = major << 5;
    match argument {
        0..24 => vec![major | argument as u8],
        24..0x100 => vec![major | 24, argument as u8],
        _ => [vec![major | 25], (argument as u16).to_be_bytes().to_vec()].concat(),
    }
}

/// The attributes of messages, and of none.
pub fn seeds() -> Vec<Seed> {
    let mut long = Attributes::default();
    long.set("subject", &"a subject of some length ".repeat(12)).unwrap();
    long.set("a", "ä").unwrap();
    let of = |attributes: &Attributes| minicbor::to_vec(attributes).unwrap();
    vec![
        Seed::new("message", of(&message("m-1").attributes)),
        Seed::new("none", of(&Attributes::default())),
        Seed::new("long", of(&long)),
    ]
}
