//! Connections of a partition: frames of any kind, time that passes, agents that come and go. Whatever happened, its
//! records lead a recovery to the same state, with a snapshot and without.

use super::stage::{Made, Stage, config, policy};
use crate::cast::{AGENTS, NOW, contract, named, proposal, rfp, schema, topic};
use crate::feed::{Feed, Script};
use crate::targets::{Met, Seed};
use openmesh_core::Partition;
use openmesh_core::record::{Record, to_json};
use openmesh_message::frame::{ClientFrame, Command, FrameEncoder, Start};
use openmesh_message::{ConversationId, Draft, Envelope, Performative, PinnedName};
use openmesh_schema::Catalog;
use serde_json::Value;

const STEPS_MAX: usize = 32;
const WAITS_MS: [i64; 5] = [1, 1_000, 30_000, 600_000, 86_400_000];
const MADE: [Made; 3] = [Made::Signed, Made::Completed, Made::AsItIs];
/// What a step does, by its first byte.
const WAIT: u8 = 0;
const COME_OR_GO: u8 = 1;
const SNAPSHOT: u8 = 2;
const FRAME: u8 = 3;
const STEPS: usize = 8;

/// Steps.
pub fn target(input: &[u8]) -> Met {
    let mut stage = Stage::set();
    let (met, snapshot) = play(&mut stage, &mut Feed::new(input));
    recover(&stage, snapshot);
    met
}

/// A snapshot and how many records it covers.
type Snapshot = (usize, Vec<u8>);

/// Plays steps; tells whether a frame was read, and the last snapshot on the way.
pub(super) fn play(stage: &mut Stage, feed: &mut Feed<'_>) -> (Met, Option<Snapshot>) {
    let (mut met, mut snapshot) = (Met::Refused, None);
    for _ in 0..STEPS_MAX {
        if feed.is_empty() {
            break;
        }
        match feed.choice(STEPS) as u8 {
            WAIT => stage.wait(WAITS_MS[feed.choice(WAITS_MS.len())]),
            COME_OR_GO => match (feed.byte() % AGENTS, feed.choice(2)) {
                (index, 0) => stage.disconnect(index),
                (index, _) => stage.connect(index),
            },
            SNAPSHOT => snapshot = Some((stage.records.len(), stage.partition.snapshot().unwrap())),
            _ => {
                let (index, made) = (feed.byte() % AGENTS, MADE[feed.choice(MADE.len())]);
                if stage.read(index, made, feed.part()) {
                    met = Met::Taken;
                }
            }
        }
    }
    (met, snapshot)
}

fn recover(stage: &Stage, snapshot: Option<Snapshot>) {
    let play = |mut partition: Partition, records: &[Record]| {
        for record in records {
            partition.recover(record);
        }
        assert!(partition.state() == stage.partition.state(), "recovery leads to another state");
        assert_eq!(partition.next_seq(), stage.partition.next_seq());
    };
    play(Partition::new(config(), policy()), &stage.records);
    if let Some((length, bytes)) = snapshot {
        play(Partition::restore(config(), policy(), &bytes).unwrap(), &stage.records[length..]);
    }
    assert!(stage.records.iter().all(|record| to_json(record).is_object()));
}

/// Writes steps for a seed; each agent's frames refer to its earlier ones.
struct Writer {
    script: Script,
    encoders: Vec<FrameEncoder>,
}

impl Writer {
    fn new() -> Self {
        Self { script: Script::default(), encoders: (0..AGENTS).map(|_| FrameEncoder::default()).collect() }
    }

    fn wait(mut self, index: u8) -> Self {
        self.script = self.script.byte(WAIT).byte(index);
        self
    }

    fn snapshot(mut self) -> Self {
        self.script = self.script.byte(SNAPSHOT);
        self
    }

    fn frame(mut self, index: u8, frame: &ClientFrame) -> Self {
        let mut bytes = Vec::new();
        self.encoders[usize::from(index)].encode_client(frame, &mut bytes).unwrap();
        self.script = self.script.byte(FRAME).byte(index).byte(0).part(&bytes[4..]);
        self
    }

    fn command(self, index: u8, command: Command) -> Self {
        self.frame(index, &ClientFrame::Command(1, command))
    }

    fn send(self, index: u8, envelope: Envelope) -> Self {
        self.frame(index, &ClientFrame::Send(vec![(1, envelope)]))
    }
}

/// Publish and subscribe, mail that is leased and settled, a request with its answer, definitions, a negotiation.
pub fn seeds() -> Vec<Seed> {
    let done = |name: &str, writer: Writer| Seed::new(name, writer.script.done());
    vec![
        done("topics", topics()),
        done("mail", mail()),
        done("request", request()),
        done("definitions", definitions()),
        done("negotiation", negotiation()),
    ]
}

fn draft(to: &openmesh_message::Address, performative: Performative) -> Draft {
    Draft::new("m", NOW, to, &performative)
}

/// Source, id, time and proof are the target's to put in.
fn bare(draft: Draft) -> Envelope {
    let envelope = draft.unsigned(&crate::cast::agent(0)).unwrap();
    let mut attributes = openmesh_message::Attributes::default();
    for (name, value) in
        envelope.attributes.iter().filter(|(name, _)| !["source", "time", "id"].contains(name))
    {
        attributes.set(name, value).unwrap();
    }
    Envelope { attributes, ..envelope }
}

fn topics() -> Writer {
    let subscribe = |pattern: &str, start| Command::Subscribe {
        subscription: 1,
        pattern: format!("mesh://{}/topic/{pattern}", crate::cast::home()),
        start,
    };
    Writer::new()
        .command(1, subscribe("market/*", Start::Next))
        .send(0, bare(draft(&topic("market/news"), Performative::Inform).json("{}")))
        .send(0, bare(draft(&topic("weather"), Performative::Inform)))
        .command(2, subscribe("market/**", Start::At(1)))
        .command(1, Command::Unsubscribe { subscription: 1 })
}

fn mail() -> Writer {
    let lease = Command::Lease { messages_max: 5, visibility_ms: 20_000, wait_ms: 0, least: None };
    Writer::new()
        .send(0, bare(draft(&named("seller"), Performative::Inform).ack_level("durable")))
        .send(
            0,
            bare(
                draft(&named("seller"), Performative::Inform)
                    .ack_level("durable")
                    .extension("priority", "bulk"),
            ),
        )
        .command(1, lease.clone())
        .command(1, Command::Nack { token: 1, numbers: vec![2], delay_ms: 1_000 })
        .snapshot()
        .command(1, Command::Ack { token: 1, numbers: vec![] })
        .wait(2)
        .command(1, lease)
        .wait(3)
        .command(1, Command::CountInbox)
}

fn request() -> Writer {
    let asked = draft(&named("seller"), Performative::Request).reply_by(NOW.plus_ms(20_000));
    let answer = draft(&named("buyer"), Performative::Inform).in_reply_to("made-6");
    Writer::new().send(0, bare(asked)).send(1, bare(answer.clone())).wait(3).send(1, bare(answer))
}

fn definitions() -> Writer {
    let schema = Command::PublishSchema {
        name: "acme/bid@v1.0.0".to_owned(),
        definition: r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#.to_owned(),
    };
    let protocol = Command::PublishProtocol {
        definition: crate::definition::small_protocol().replace("acme/tiny", "acme/own"),
    };
    let pinned = |pinned| Command::ConfigureTopic {
        topic: "topic:news/**".to_owned(),
        pinned,
        token: Some(super::stage::TOKEN.to_owned()),
    };
    Writer::new()
        .command(0, schema)
        .command(0, protocol)
        .snapshot()
        .command(1, Command::GetSchema { name: "acme/bid@^1".to_owned() })
        .command(1, pinned(true))
        .command(1, Command::ListDefinitions)
}

fn negotiation() -> Writer {
    let protocols: Vec<PinnedName> =
        Catalog::builtin().protocols().map(|protocol| protocol.pinned().clone()).collect();
    let market = protocols.into_iter().find(|pinned| pinned.versioned.name.name == "negotiation").unwrap();
    let id = ConversationId::from_bytes([7; 16]);
    let act = |to: &openmesh_message::Address, performative, payload: Option<(&str, Value)>| {
        let draft = draft(to, performative).conversation(&market, &id);
        bare(match payload {
            Some((name, payload)) => draft.schema(&schema(name)).json(payload.to_string()),
            None => draft,
        })
    };
    let offer = |amount| Some(("market/proposal@^1", proposal(amount)));
    Writer::new()
        .send(0, act(&topic("market/rfp"), Performative::Cfp, Some(("market/rfp@^1", rfp()))))
        .send(1, act(&named("buyer"), Performative::Propose, offer(50)))
        .send(2, act(&named("buyer"), Performative::Propose, offer(60)))
        .snapshot()
        .send(0, act(&named("rival"), Performative::RejectProposal, None))
        .send(0, act(&named("seller"), Performative::AcceptProposal, None))
        .send(0, act(&named("seller"), Performative::Inform, Some(("market/contract@^2", contract(50)))))
        .command(0, Command::ShowConversation { conversation: id.to_string() })
        .wait(3)
        .wait(4)
}
