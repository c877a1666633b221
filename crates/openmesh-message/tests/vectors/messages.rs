//! Canonical bytes and digests, and encodings of attributes that are not canonical.

use crate::fixture::{digest, hex, key, message, topic};
use openmesh_message::{Attributes, Performative, Timestamp};
use serde_json::{Value, json};

type Entries = Vec<(String, String)>;

pub(crate) fn canonical() -> Value {
    json!({
        "what": "canonical bytes and digest of a message; attributes as CBOR that must be refused",
        "contexts": {"message": "openmesh message v1"},
        "good": good(),
        "bad": bad(),
    })
}

fn good() -> Vec<Value> {
    let small = message("m-1");
    let small: Vec<_> = small.attributes.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let unicode = [("id", "ü-1"), ("subject", "東京 🌍"), ("type", "note")];
    let unicode = unicode.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut long = vec![("a".repeat(20), "v".repeat(300)), ("z".to_owned(), "1".to_owned())];
    long.extend((0..30).map(|number| (format!("x{number}"), number.to_string())));
    let full = [
        ("specversion", "1.0"),
        ("id", "1"),
        ("source", &key(4).id().to_string()),
        ("type", "mesh/untyped.v1"),
        ("time", &Timestamp::from_millis(0).to_string()),
        ("to", &topic("a/b").to_string()),
        ("performative", &Performative::CounterPropose.to_string()),
        ("priority", "urgent"),
    ];
    let full = full.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let cases: [(&str, Entries, &[u8]); 5] = [
        ("a message with a JSON payload", small, br#"{"text":"hello"}"#),
        ("values are UTF-8, compared and encoded as they stand", unicode, "\u{e4}".as_bytes()),
        ("many attributes: shorter names stand first, then by bytes", long, &[0, 1, 2, 255]),
        ("an empty payload", full, b""),
        ("nothing at all", Vec::new(), b""),
    ];
    cases.into_iter().map(|(what, entries, payload)| one(what, &entries, payload)).collect()
}

fn one(what: &str, entries: &[(String, String)], payload: &[u8]) -> Value {
    let mut attributes = Attributes::default();
    for (name, value) in entries {
        attributes.set(name, value).unwrap();
    }
    let encoded = minicbor::to_vec(&attributes).unwrap();
    assert_eq!(minicbor::decode::<Attributes>(&encoded).unwrap(), attributes);
    let entries: serde_json::Map<_, _> = entries.iter().cloned().map(|(n, v)| (n, v.into())).collect();
    json!({
        "what": what,
        "attributes": entries,
        "payload": hex(payload),
        "canonical": hex(attributes.canonical_bytes(payload)),
        "digest": digest(&attributes.digest(payload)),
    })
}

fn bad() -> Vec<Value> {
    let text = |text: &str| minicbor::to_vec(text).unwrap();
    let map = |entries: &[(&str, &str)]| {
        let mut bytes = vec![0xa0 + entries.len() as u8];
        for (name, value) in entries {
            bytes.extend(text(name));
            bytes.extend(text(value));
        }
        bytes
    };
    let cases = [
        ("out of order", map(&[("type", "x"), ("id", "1")])),
        ("twice", map(&[("id", "1"), ("id", "1")])),
        ("an upper-case name", map(&[("Id", "1")])),
        ("an empty name", map(&[("", "1")])),
        ("a name of 21 characters", map(&[("aaaaaaaaaaaaaaaaaaaaa", "1")])),
        ("an empty value", map(&[("id", "")])),
        ("a value with a control character", map(&[("id", "a\nb")])),
        ("a name of the transit part", map(&[("hops", "1")])),
        ("the name `data`", map(&[("data", "1")])),
        ("an indefinite map", [&[0xbf][..], &text("id"), &text("1"), &[0xff]].concat()),
        ("a value that is no text", [&[0xa1][..], &text("id"), &[0x01]].concat()),
    ];
    let refused = |(what, bytes): (&str, Vec<u8>)| {
        assert!(minicbor::decode::<Attributes>(&bytes).is_err(), "{what}");
        json!({"what": what, "attributes": hex(bytes)})
    };
    cases.into_iter().map(refused).collect()
}
