//! Messages that differ in one attribute are not alike, however many others of each kind came before them.

use super::{SOME, SOON};
use crate::node::Node;
use openmesh_sdk::{Draft, Item, Mesh, Performative, Sent, Start, Subscription};
use tokio::time::timeout;

/// What messages differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    OtherTopic,
    Subject,
    Urgent,
    OtherType,
}

const KINDS: [Kind; 5] = [Kind::Plain, Kind::OtherTopic, Kind::Subject, Kind::Urgent, Kind::OtherType];

impl Kind {
    fn draft(self, writer: &Mesh, payload: String) -> Draft {
        let topic = if self == Self::OtherTopic { "topic:ticks/slow" } else { "topic:ticks/fast" };
        let media_type = if self == Self::OtherType { "text/markdown" } else { "text/plain" };
        let draft = writer.draft(topic, &Performative::Inform).unwrap().payload(media_type, payload);
        match self {
            Self::Subject => draft.extension("subject", "pencils"),
            Self::Urgent => draft.extension("priority", "urgent"),
            _ => draft,
        }
    }
}

/// What came of one kind, in order, as a reader tells it from the others.
async fn expect(reader: &mut Subscription, kinds: &[Kind], rounds: u32) {
    let mut next = vec![0; kinds.len()];
    for _ in 0..rounds * kinds.len() as u32 {
        let item = timeout(SOON, reader.next()).await.expect("in time").expect("connected");
        let Item::Message { envelope, .. } = item else { panic!("{item:?}") };
        let attribute = |name: &str| envelope.attributes.get(name);
        let kind = match (attribute("subject"), attribute("priority"), attribute("datacontenttype")) {
            (Some("pencils"), None, Some("text/plain")) => Kind::Subject,
            (None, Some("urgent"), Some("text/plain")) => Kind::Urgent,
            (None, None, Some("text/markdown")) => Kind::OtherType,
            (None, None, Some("text/plain")) if attribute("to").unwrap().ends_with("slow") => {
                Kind::OtherTopic
            }
            (None, None, Some("text/plain")) => Kind::Plain,
            other => panic!("{other:?}"),
        };
        let place = kinds.iter().position(|one| *one == kind).unwrap_or_else(|| panic!("{kind:?} came here"));
        assert_eq!(envelope.payload, format!("{kind:?} {}", next[place]));
        next[place] += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_in_one_attribute_goes_its_own_way() {
    let node = Node::start(&[]);
    let (_, writer) = node.agent("writer").await;
    let (_, reader) = node.agent("reader").await;
    let (_, other) = node.agent("other").await;
    let mut fast = reader.subscribe("topic:ticks/fast", Start::Next).await.unwrap();
    let mut slow = other.subscribe("topic:ticks/slow", Start::Next).await.unwrap();
    for round in 0..SOME {
        for kind in KINDS {
            let draft = kind.draft(&writer, format!("{kind:?} {round}"));
            let sent = writer.send(writer.unsigned(draft).unwrap()).await.unwrap();
            assert!(matches!(sent, Sent::Passed), "{sent:?}");
        }
    }
    expect(&mut fast, &[Kind::Plain, Kind::Subject, Kind::Urgent, Kind::OtherType], SOME).await;
    expect(&mut slow, &[Kind::OtherTopic], SOME).await;
}

/// Alike but for what asks for more than a shortcut gives.
#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_more_is_decided_however_many_did_not() {
    let node = Node::start(&[]);
    let (_, writer) = node.agent("writer").await;
    let (_, reader) = node.agent("reader").await;
    let mut fast = reader.subscribe("topic:ticks/fast", Start::Next).await.unwrap();
    let plain = || Kind::Plain.draft(&writer, "x".to_owned());
    let long_ago = openmesh_sdk::now().plus_ms(-1_000);
    let mut passed = 0;
    for _ in 0..SOME {
        let json = writer.draft("topic:ticks/fast", &Performative::Inform).unwrap();
        let json = json.payload("application/json", "{\"n\":");
        for (draft, code) in [
            (plain(), None),
            (plain().expires(long_ago), Some("message.expired")),
            (json, Some("json.malformed")),
            (plain().ack_level("durable"), Some("topic.ephemeral")),
        ] {
            let sent = writer.send(writer.unsigned(draft).unwrap()).await.unwrap();
            assert_eq!(sent.problem().map(|problem| problem.code.as_ref()), code, "{sent:?}");
            passed += u64::from(code.is_none());
        }
    }
    for expected in 1..=passed {
        let item = timeout(SOON, fast.next()).await.expect("in time").expect("connected");
        assert!(matches!(item, Item::Message { number, .. } if number == expected), "{item:?}");
    }
}
