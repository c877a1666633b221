//! What is accepted: every kind of payload, attribute, destination and proof.

use super::{Case, Corpus, Expected};
use crate::doors::maker::Maker;
use openmesh_message::{Draft, Envelope, Proof};
use openmesh_sdk::{Performative, now};

const HOUR_MS: i64 = 60 * 60 * 1000;

const JSON: [(&str, &str); 17] = [
    ("an object", "{}"),
    ("a list", "[1,2,3]"),
    ("a text", "\"hello\""),
    ("a number", "42"),
    ("a fraction", "0.1"),
    ("true", "true"),
    ("null", "null"),
    ("another script", r#"{"größe":"5 €","名":"値"}"#),
    ("escapes", r#"{"a":"\u0041\n\t\"\\"}"#),
    ("spaces", "{ \"b\" : 1 ,\n \"a\" : 2 }"),
    ("keys out of order", r#"{"b":1,"a":2}"#),
    ("a number written long", "1.000e2"),
    ("the largest number", "9007199254740991"),
    ("an empty text", "\"\""),
    ("the smallest number", "-9007199254740991"),
    ("minus nothing", "-0"),
    ("beyond the basic plane", r#""\ud83d\ude00 😀""#),
];

const PERFORMATIVES: [Performative; 10] = [
    Performative::Inform,
    Performative::Request,
    Performative::QueryIf,
    Performative::QueryRef,
    Performative::Agree,
    Performative::Refuse,
    Performative::Failure,
    Performative::Confirm,
    Performative::Disconfirm,
    Performative::NotUnderstood,
];

const ATTRIBUTES: [(&str, &str); 14] = [
    ("subject", "50 % \"off\", ünïcode / slashes?&= +"),
    ("subject", "€ \u{1F600} 日本"),
    ("priority", "critical"),
    ("priority", "bulk"),
    ("tags", "spot,urgent"),
    ("ontology", "https://example.org/ontology#term"),
    ("sequence", "000042"),
    ("partitionkey", "a b c"),
    ("causationid", "order-17"),
    ("acmecolour", "blue; green, \\ red"),
    ("idempotencykey", "pay-once"),
    ("inreplyto", "made-0"),
    ("more", "true"),
    ("critical", "type,id"),
];

impl Corpus {
    pub(super) fn good(&self, maker: &mut Maker) -> Vec<Case> {
        let mut cases = json(maker);
        cases.extend(bytes(maker));
        cases.extend(attributes(maker));
        cases.extend(batch(maker));
        cases.extend(self.destinations(maker));
        cases
    }

    fn destinations(&self, maker: &mut Maker) -> Vec<Case> {
        let mut made = |text: &str, change: &dyn Fn(Draft) -> Draft| {
            let draft = maker.draft_to(&self.address(text), &Performative::Inform, now());
            change(draft.payload("text/plain", "hello")).sign(&self.key).unwrap()
        };
        let kept = |draft: Draft| draft.ack_level("durable");
        let receiver = format!("agent:{}", self.receiver);
        let mut cases = vec![
            Case::accepted("mail to an inbox", made("inbox:receiver", &|draft| draft)),
            Case::accepted("mail to an agent by name", made("agent:receiver", &kept)),
            Case::accepted("mail to an agent by id", made(&receiver, &kept)),
            Case::accepted(
                "mail that expires",
                made("inbox:receiver", &|draft| draft.expires(now().plus_ms(HOUR_MS))),
            ),
            Case::accepted("an edge level", made("agent:receiver", &|draft| draft.ack_level("edge"))),
            Case::accepted(
                "a request with a deadline",
                made("inbox:receiver", &|draft| draft.reply_by(now().plus_ms(HOUR_MS))),
            ),
            Case::accepted(
                "ephemeral with a receipt",
                made("topic:weather/now", &|draft| draft.ack_level("received")),
            ),
            Case::new("ephemeral and signed", made("topic:weather/now", &|draft| draft), Expected::Passed),
        ];
        let valid = maker.draft().schema(&self.order).json(r#"{"item":"tea","count":2}"#);
        let valid = valid.sign(&self.key).unwrap();
        cases.push(Case::accepted("valid under its schema", valid));
        let draft = maker.draft_to(&self.address("topic:weather/now"), &Performative::Inform, now());
        let unsigned = draft.json("{}").unsigned(&self.key.id()).unwrap();
        cases.push(Case::new("ephemeral and unsigned", unsigned, Expected::Passed));
        let again = cases[0].envelope.clone();
        cases.push(Case::accepted("sent again", again));
        cases
    }
}

fn json(maker: &mut Maker) -> Vec<Case> {
    let case = |(name, payload): &(&str, &str)| Case::accepted(format!("JSON: {name}"), maker.json(*payload));
    JSON.iter().map(case).collect()
}

fn bytes(maker: &mut Maker) -> Vec<Case> {
    let mut made = |name: &str, kind: &str, payload: Vec<u8>| {
        let envelope = maker.draft().payload(kind, payload).sign(&maker.key).unwrap();
        Case::accepted(format!("bytes: {name}"), envelope)
    };
    let mut cases = vec![
        made("text", "text/plain", b"hello".to_vec()),
        made("text with a parameter", "text/plain; charset=utf-8", "grüße".into()),
        made("every byte", "application/octet-stream", (0..=255).collect()),
        made("JSON under another name", "application/vnd.acme+json", br#"{ "a" : 1 }"#.to_vec()),
        made("not JSON under a JSON name", "application/vnd.acme+json", b"{".to_vec()),
        made("line ends", "text/plain", b"\r\n\r\n0\r\n\r\n".to_vec()),
        made("large", "application/octet-stream", vec![0xA5; 100 * 1024]),
        made("as large as it gets", "text/plain", vec![b'x'; openmesh_message::limits::PAYLOAD_BYTES_MAX]),
    ];
    let empty = maker.draft().sign(&maker.key).unwrap();
    cases.push(Case::accepted("bytes: none at all", empty));
    cases
}

fn attributes(maker: &mut Maker) -> Vec<Case> {
    let with =
        |(name, value): &(&str, &str)| Case::accepted(format!("{name}={value}"), maker.with(name, value));
    let mut cases: Vec<_> = ATTRIBUTES.iter().map(with).collect();
    let to = maker.to.clone();
    for performative in &PERFORMATIVES {
        let envelope = maker.draft_to(&to, performative, now()).json("{}").sign(&maker.key).unwrap();
        cases.push(Case::accepted(format!("performative {performative}"), envelope));
    }
    cases
}

/// Messages that share one signature.
fn batch(maker: &mut Maker) -> Vec<Case> {
    let key = std::sync::Arc::clone(&maker.key);
    let mut envelopes: Vec<Envelope> =
        (0..5).map(|n| maker.draft().json(format!("{n}")).unsigned(&key.id()).unwrap()).collect();
    let digests: Vec<_> = envelopes.iter().map(Envelope::digest).collect();
    for (envelope, proof) in envelopes.iter_mut().zip(Proof::sign_batch(&key, &digests)) {
        envelope.proof = Some(proof);
    }
    let case = |(n, envelope)| Case::accepted(format!("signed in a batch: {n}"), envelope);
    envelopes.into_iter().enumerate().map(case).collect()
}
