//! What is written in a form is read back as the same message, whatever it carries.

use bytes::Bytes;
use openmesh_message::cloudevents::{from_batch, from_headers, from_json, to_batch, to_headers, to_json};
use openmesh_message::{
    Attributes, Digest, Envelope, KeyPair, PartitionId, Position, Proof, Timestamp, Transit,
};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        ".{0,40}".prop_map(String::into_bytes),
        Just(br#"{"a":[1,2.5,"x"],"b":null}"#.to_vec()),
        Just(b"5".to_vec()),
        Just(b"{\"b\":1, \"a\":2}".to_vec()),
    ]
}

fn media_types() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        Just(Some("application/json".to_owned())),
        Just(Some("application/json; charset=utf-8".to_owned())),
        Just(Some("text/plain".to_owned())),
        Just(Some("application/vnd.x+json".to_owned())),
        Just(Some("application/octet-stream".to_owned())),
    ]
}

fn transits() -> impl Strategy<Value = Transit> {
    let place = (any::<u32>(), any::<u32>(), any::<u64>());
    (any::<bool>(), place, 0..4_000_000_000_000_i64, prop::option::of("[!-~]{1,55}")).prop_map(
        |(is_kept, (partition, epoch, seq), millis, traceparent)| Transit {
            position: is_kept.then_some(Position { partition: PartitionId(partition), epoch, seq }),
            receivedtime: is_kept.then_some(Timestamp::from_millis(millis)),
            traceparent,
            ..Transit::default()
        },
    )
}

fn envelopes() -> impl Strategy<Value = Envelope> {
    let attributes = prop::collection::btree_map("[a-z][a-z0-9]{0,11}", "[^\\p{Cc}]{1,30}", 0..10);
    (attributes, media_types(), payloads(), transits(), 0..3_u8).prop_map(
        |(entries, media_type, payload, transit, signed)| {
            let mut attributes = Attributes::default();
            for (name, value) in entries.iter().filter(|(name, _)| *name != "datacontenttype") {
                let _ = attributes.set(name, value);
            }
            if let Some(media_type) = media_type {
                attributes.set("datacontenttype", &media_type).unwrap();
            }
            let mut envelope = Envelope { attributes, payload: Bytes::from(payload), proof: None, transit };
            let key = KeyPair::from_seed(&[7; 32]).unwrap();
            envelope.proof = match signed {
                0 => None,
                1 => Some(Proof::sign(&key, &envelope.digest())),
                _ => Proof::sign_batch(&key, &[envelope.digest(), Digest::ZERO, Digest::of(b"x")]).pop(),
            };
            envelope
        },
    )
}

fn through_headers(envelope: &Envelope) -> Envelope {
    let headers = to_headers(envelope);
    for (name, value) in &headers {
        let is_content_type = name == "content-type";
        assert!(is_content_type || value.bytes().all(|byte| byte.is_ascii_graphic()), "{name}: {value}");
    }
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    from_headers(pairs, envelope.payload.clone()).unwrap()
}

proptest! {
    #[test]
    fn every_form_gives_the_message_back(envelope in envelopes()) {
        assert_eq!(from_json(to_json(&envelope).as_bytes()).unwrap(), envelope);
        assert_eq!(through_headers(&envelope), envelope);
        let batch = to_batch([&envelope, &envelope]);
        let read: Result<Vec<_>, _> = from_batch(batch.as_bytes()).unwrap().into_iter().collect();
        assert_eq!(read.unwrap(), [envelope.clone(), envelope]);
    }

    #[test]
    fn arbitrary_input_never_panics(bytes in any::<Vec<u8>>(), text in ".{0,200}") {
        let _ = from_json(&bytes);
        let _ = from_batch(&bytes);
        let _ = from_json(text.as_bytes());
        let _ = from_headers([("ce-id", bytes.as_slice()), ("content-type", text.as_bytes())], Bytes::new());
    }
}

#[test]
fn a_quoted_header_and_percent_signs_are_read_as_the_binding_says() {
    let read = |value: &[u8]| {
        let read = from_headers([("ce-note", value)], Bytes::new());
        read.map(|envelope| envelope.attributes.get("note").unwrap().to_owned())
    };
    assert_eq!(read(b"Euro%20%E2%82%AC%20%F0%9F%98%80").unwrap(), "Euro € 😀");
    assert_eq!(read(br#""a \"quoted\" word""#).unwrap(), "a \"quoted\" word");
    assert_eq!(read(b"plain words").unwrap(), "plain words");
    for bad in [&b"50%"[..], b"%zz", b"%ff", b"\xff"] {
        assert!(read(bad).is_err(), "{bad:?}");
    }
}
