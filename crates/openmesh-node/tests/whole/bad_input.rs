//! Each kind of bad input has its own stable code, and nothing of it is kept but the refusal.

use crate::doors::maker::Maker;
use crate::node::{Node, new_key};
use crate::raw_agent::RawAgent;
use openmesh_message::frame::{SendOutcome, ServerFrame};
use openmesh_message::limits::{FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use openmesh_message::{Address, Attributes, Digest, Envelope, PinnedName, Proof};
use openmesh_sdk::KeyPair;
use std::sync::Arc;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// One message of each kind of mistake, with the code it is refused with.
pub(crate) fn bad_messages(maker: &mut Maker, other: &KeyPair) -> Vec<(&'static str, Envelope)> {
    let now = openmesh_sdk::now();
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let keys: Vec<_> = (0..10_001).map(|n| format!("\"k{n}\":0")).collect();
    let rfp: PinnedName = format!("openmesh/market/rfp@v1.0.0#sha256-{}", Digest::ZERO).parse().unwrap();
    let mut forged = maker.json("{}");
    forged.payload = "{ }".into();
    let mut foreign = maker.json("{}");
    foreign.proof = Some(Proof::sign(other, &foreign.digest()));
    let source_of_other = maker.with("source", &other.id().to_string());
    let missing = {
        let mut attributes = Attributes::default();
        attributes.set("specversion", "1.0").unwrap();
        maker.sign(attributes, "x".into())
    };
    let abroad =
        maker.to.to_string().replacen(&maker.to.domain.to_string(), &format!("b{}", "a".repeat(52)), 1);
    vec![
        ("message.too_large", maker.json(vec![b' '; PAYLOAD_BYTES_MAX + 1])),
        ("json.too_deep", maker.json(deep)),
        ("json.too_many_keys", maker.json(format!("{{{}}}", keys.join(",")))),
        ("json.duplicate_key", maker.json(r#"{"a":1,"a":1}"#)),
        ("json.not_utf8", maker.json(b"\"\xc3\x28\"".to_vec())),
        ("json.number_out_of_range", maker.json("9007199254740993")),
        ("json.malformed", maker.json("{")),
        ("schema.unknown", maker.draft().schema(&rfp).json("{}").sign(&maker.key).unwrap()),
        ("signature.invalid", forged),
        ("signature.foreign_key", foreign),
        ("source.mismatch", source_of_other),
        ("signature.required", maker.draft().json("{}").unsigned(&maker.key.id()).unwrap()),
        ("message.expired", maker.draft().json("{}").expires(now.plus_ms(-1)).sign(&maker.key).unwrap()),
        (
            "time.outside_window",
            maker.draft_at(now.plus_ms(-25 * HOUR_MS)).json("{}").sign(&maker.key).unwrap(),
        ),
        ("time.ahead", maker.draft_at(now.plus_ms(HOUR_MS)).json("{}").sign(&maker.key).unwrap()),
        ("address.relative", maker.with("to", "topic:market/news")),
        ("address.foreign_domain", maker.with("to", &abroad)),
        ("attribute.unsupported", maker.with("critical", "frobnicate")),
        ("attribute.unsupported", maker.with("budget", "3")),
        ("attribute.malformed", maker.with("priority", "yesterday")),
        ("attribute.missing", missing),
        ("topic.ephemeral", maker.with("to", &maker.to.to_string().replace("market/news", "weather/now"))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_bad_message_is_refused_with_its_own_code_and_kept_only_as_a_refusal() {
    let node = Node::start(&["--pin", "market/**"]);
    let (other, _) = node.agent("other").await;
    let mut agent = RawAgent::connect(&node, "sender").await;
    let to = Address::expand("topic:market/news", node.endpoint.domain).unwrap();
    let mut maker = Maker::new(Arc::clone(&agent.key), to);
    let mut codes = Vec::new();
    for (expected, envelope) in bad_messages(&mut maker, &other) {
        let envelope = if expected == "topic.ephemeral" { durable(&maker, &envelope) } else { envelope };
        let digest = envelope.digest();
        match agent.send(envelope).await {
            Ok(SendOutcome::Rejected(problem)) => assert_eq!(problem.code, expected, "{}", problem.detail),
            other => panic!("{expected}: {other:?}"),
        }
        codes.push((expected, digest));
    }
    let good = maker.json("{}");
    assert!(
        matches!(agent.send(good).await, Ok(SendOutcome::Accepted(_))),
        "the connection is as good as before"
    );
    let key = Arc::clone(&agent.key);
    let kept =
        node.connect(&key).await.query_log(openmesh_sdk::LogFilter::default()).collect(1_000).await.unwrap();
    let of_kind = |kind: &str| kept.iter().filter(|record| record["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(of_kind("message").len(), 1);
    let refused = of_kind("refused");
    for (code, digest) in codes {
        let digest = digest.to_string();
        let found = refused
            .iter()
            .any(|record| record["outcome"]["code"] == code && record["refused"]["digest"] == digest);
        assert!(found, "the log has the refusal {code} of {digest}");
    }
}

/// The same message, asking to be kept.
pub(crate) fn durable(maker: &Maker, envelope: &Envelope) -> Envelope {
    let mut attributes = envelope.attributes.clone();
    attributes.set("acklevel", "durable").unwrap();
    maker.sign(attributes, envelope.payload.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_too_large_or_no_frame_ends_its_connection_and_no_other() {
    let node = Node::start(&[]);
    let (_, bystander) = node.agent("bystander").await;
    let too_large = (FRAME_BYTES_MAX as u32 + 1).to_be_bytes().to_vec();
    let nonsense = [4_u32.to_be_bytes().as_slice(), &[0xff; 4]].concat();
    for bytes in [too_large, nonsense] {
        let mut agent = RawAgent::connect_as(&node, new_key()).await;
        agent.write_bytes(&bytes).await;
        let ServerFrame::Goodbye(problem) = agent.read_frame().await else {
            panic!("the node says why it ends the connection");
        };
        assert_eq!(problem.code, "frame.malformed");
    }
    bystander.ping().await.unwrap();
}
