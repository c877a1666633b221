//! What steps work on: a partition with agents, topics and rules, and messages for it, the same each time.

use super::MESSAGES;
use anyhow::{Context, Result, bail, ensure};
use openmesh_core::admit::{Familiar, admit};
use openmesh_core::{Admitted, Config, ConnectionId, Effect, Input, Partition, Plan, Ticket, View};
use openmesh_message::frame::{ClientFrame, Command, FrameDecoder, FrameEncoder, Start};
use openmesh_message::{
    Address, AgentId, AgentRef, Authority, ConversationId, Custodian, Digest, DomainId, Draft, Envelope,
    KeyPair, Performative, PinnedName, Proof, Target, Timestamp, TopicPath,
};
use openmesh_policy::Policy;

/// 2026-10-01T13:20:00Z.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_790_860_800_000);
/// A topic that is kept, and one that is not and has a subscriber.
const KEPT: &str = "bench/kept";
const LIVE: &str = "bench/live";
/// Payload of what is kept, and of what is not.
const KEPT_BYTES: usize = 512;
const LIVE_BYTES: usize = 128;
/// A call for proposals as market/rfp has it, of about 512 bytes.
const RFP: &str = include_str!("rfp.json");
/// A bid as market/proposal has it, of about 512 bytes.
const BID: &str = include_str!("bid.json");

/// What a frame begins with: its length.
pub(super) const LENGTH_BYTES: usize = 4;

/// The sender's connection, and that of the other, which listens.
pub(super) const SENDING: ConnectionId = ConnectionId(1);
const LISTENING: ConnectionId = ConnectionId(2);

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// 512 bytes to a pinned topic, signed in a batch.
    Kept,
    /// 128 bytes to a topic that is not kept, vouched for by the connection.
    Ephemeral,
    /// JSON with a schema to a pinned topic, signed in a batch.
    Typed,
    /// A bid with a schema in a contract net of its own, signed in a batch.
    Act,
}

/// A partition, and who talks in it.
pub(super) struct Scene {
    pub(super) partition: Partition,
    domain: DomainId,
    sender: KeyPair,
    other: KeyPair,
    /// A connection's way in: messages share what they were decoded with.
    wire: (FrameEncoder, FrameDecoder),
    familiar: Familiar,
    made: usize,
}

impl Scene {
    /// One with the rules of an open domain.
    pub(super) fn new() -> Result<Self> {
        Self::ruled(Policy::default_open())
    }

    /// One with `count` rules.
    pub(super) fn with_rules(count: usize) -> Result<Self> {
        Self::ruled(policy(count)?)
    }

    fn ruled(policy: Policy) -> Result<Self> {
        let domain = DomainId::from_bytes([1; 32]);
        let config = Config {
            subscriptions_max: 1 << 20,
            ..Config::new(domain, Digest::ZERO, [7; 32], Custodian::new([8; 32]))
        };
        let (sender, other) = (KeyPair::from_seed(&[3; 32])?, KeyPair::from_seed(&[4; 32])?);
        let partition = Partition::new(config, policy);
        let mut scene = Self {
            partition,
            domain,
            sender,
            other,
            wire: Default::default(),
            familiar: Familiar::default(),
            made: 0,
        };
        for (connection, agent, name) in
            [(SENDING, scene.sender.id(), "writer"), (LISTENING, scene.other.id(), "reader")]
        {
            scene.handle(Input::Connected { connection, agent, receives: true })?;
            scene.command(connection, Command::Register { name: name.to_owned(), token: None })?;
        }
        scene.partition.pin(KEPT.parse()?, NOW);
        scene.subscribe(1, LIVE)?;
        Ok(scene)
    }

    pub(super) fn view(&self) -> View {
        self.partition.view()
    }

    pub(super) fn sender(&self) -> &KeyPair {
        &self.sender
    }

    /// The other listens to what is kept, too.
    pub(super) fn listen_to_kept(&mut self) -> Result<()> {
        self.subscribe(2, KEPT)
    }

    /// The other listens to a pattern.
    pub(super) fn subscribe(&mut self, subscription: u64, pattern: &str) -> Result<()> {
        let pattern = format!("topic:{pattern}");
        self.command(LISTENING, Command::Subscribe { subscription, pattern, start: Start::Next })
    }

    /// So many agents listen to what is not kept, each on a connection of its own.
    pub(super) fn gather(&mut self, readers: u64) -> Result<()> {
        for number in 1..=readers {
            let mut seed = [5; 32];
            seed.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
            let connection = ConnectionId(LISTENING.0 + number);
            let agent = KeyPair::from_seed(&seed)?.id();
            self.handle(Input::Connected { connection, agent, receives: true })?;
            let name = format!("reader-{number}");
            self.command(connection, Command::Register { name, token: None })?;
            let pattern = format!("topic:{LIVE}");
            self.command(connection, Command::Subscribe { subscription: 1, pattern, start: Start::Next })?;
        }
        Ok(())
    }

    /// Further messages.
    pub(super) fn envelopes(&mut self, kind: Kind) -> Result<Vec<Envelope>> {
        let first = self.made;
        self.made += MESSAGES;
        if kind == Kind::Act {
            self.call_for_bids(first)?;
        }
        let drafts = (first..first + MESSAGES)
            .map(|number| Ok(self.draft(kind, number)?.unsigned(&self.sender.id())?));
        let envelopes = drafts.collect::<Result<Vec<_>>>()?;
        self.arrive(if kind == Kind::Ephemeral { envelopes } else { signed(&self.sender, envelopes) })
    }

    /// Messages as they come out of a frame.
    fn arrive(&mut self, envelopes: Vec<Envelope>) -> Result<Vec<Envelope>> {
        let (encoder, decoder) = &mut self.wire;
        let mut frame = Vec::new();
        encoder.encode_client(&ClientFrame::Send((0..).zip(envelopes).collect()), &mut frame)?;
        match decoder.decode_client(frame.get(LENGTH_BYTES..).unwrap_or_default())? {
            ClientFrame::Send(messages) => Ok(messages.into_iter().map(|(_, envelope)| envelope).collect()),
            other => bail!("messages became {other:?}"),
        }
    }

    /// Further messages, admitted on one connection.
    pub(super) fn admitted(&mut self, kind: Kind) -> Result<Vec<Admitted>> {
        let envelopes = self.envelopes(kind)?;
        let (view, agent) = (self.view(), self.sender.id());
        admit_all(envelopes, agent, &view, &mut self.familiar)
    }

    /// Further messages, as the owner takes them.
    pub(super) fn inputs(&mut self, kind: Kind) -> Result<Vec<Input>> {
        let admitted = self.admitted(kind)?;
        let input =
            |(tag, admitted)| Input::Message { ticket: ticket(SENDING, tag), admitted: Box::new(admitted) };
        Ok((0..).zip(admitted).map(input).collect())
    }

    /// What is planned for further messages.
    pub(super) fn plans(&mut self, kind: Kind) -> Result<Vec<Plan>> {
        self.inputs(kind)?.into_iter().map(|input| self.handle(input)).collect()
    }

    /// Takes an input that nothing speaks against.
    pub(super) fn handle(&mut self, input: Input) -> Result<Plan> {
        let plan = self.partition.handle(input, NOW);
        for effect in &plan.effects {
            if let Effect::Reject(_, rejection) | Effect::Reply(_, Err(rejection)) = effect {
                bail!("refused: {rejection:?}");
            }
        }
        Ok(plan)
    }

    fn command(&mut self, connection: ConnectionId, command: Command) -> Result<()> {
        let input = Input::Command { ticket: ticket(connection, 0), command: Box::new(command) };
        self.handle(input).map(drop)
    }

    fn draft(&self, kind: Kind, number: usize) -> Result<Draft> {
        let draft = |target, performative| {
            Draft::new(format!("m{number}"), NOW, &Address::new(self.domain, target), performative)
        };
        let to_topic =
            |path: &str| Ok::<_, anyhow::Error>(draft(Target::Topic(path.parse()?), &Performative::Inform));
        Ok(match kind {
            Kind::Kept => to_topic(KEPT)?.payload("application/octet-stream", vec![b'x'; KEPT_BYTES]),
            Kind::Ephemeral => to_topic(LIVE)?.payload("application/octet-stream", vec![b'x'; LIVE_BYTES]),
            Kind::Typed => to_topic(KEPT)?.json(payload(RFP)).schema(&self.schema("market/rfp")?),
            Kind::Act => draft(Target::Agent(AgentRef::Id(self.other.id())), &Performative::Propose)
                .conversation(&self.protocol()?, &conversation(number)?)
                .json(payload(BID))
                .schema(&self.schema("market/proposal")?),
        })
    }

    /// The other opens the conversations that bids are made in.
    fn call_for_bids(&mut self, first: usize) -> Result<()> {
        let (view, protocol, caller) = (self.view(), self.protocol()?, self.other.id());
        let to = Address::new(self.domain, Target::Agent(AgentRef::Id(self.sender.id())));
        let call = |number: usize| {
            let draft = Draft::new(format!("c{number}"), NOW, &to, &Performative::Cfp);
            let draft = draft.conversation(&protocol, &conversation(number)?).json(b"{}".to_vec());
            Ok(draft.unsigned(&caller)?)
        };
        let calls = (first..first + MESSAGES).map(call).collect::<Result<Vec<_>>>()?;
        let calls = admit_all(signed(&self.other, calls), caller, &view, &mut Familiar::default())?;
        for admitted in calls {
            self.handle(Input::Message { ticket: ticket(LISTENING, 0), admitted: Box::new(admitted) })?;
        }
        Ok(())
    }

    fn schema(&self, name: &str) -> Result<PinnedName> {
        let catalog = self.view().catalog;
        let mut pinned = catalog.schemas().map(|schema| schema.pinned().clone());
        pinned
            .find(|pinned| pinned.to_string().contains(name))
            .with_context(|| format!("{name} ships with the program"))
    }

    fn protocol(&self) -> Result<PinnedName> {
        let catalog = self.view().catalog;
        let mut pinned = catalog.protocols().map(|protocol| protocol.pinned().clone());
        pinned
            .find(|pinned| pinned.to_string().contains("contract-net"))
            .context("contract nets ship with the program")
    }
}

fn payload(text: &str) -> Vec<u8> {
    text.trim_end().as_bytes().to_vec()
}

/// Admits messages of an agent that nothing speaks against.
pub(super) fn admit_all(
    envelopes: Vec<Envelope>,
    agent: AgentId,
    view: &View,
    familiar: &mut Familiar,
) -> Result<Vec<Admitted>> {
    let mut admitted = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        match admit(envelope, agent, view, familiar, NOW) {
            Ok(one) => admitted.push(one),
            Err(refused) => bail!("refused: {:?}", refused.rejection),
        }
    }
    Ok(admitted)
}

/// The rules of an open domain, and further ones up to `count` that look at senders, topics, schemas and protocols; none of
/// those is about what is sent here.
pub(super) fn policy(count: usize) -> Result<Policy> {
    let home = Authority::Domain(DomainId::from_bytes([1; 32]));
    let mut text = openmesh_policy::DEFAULT_OPEN.to_owned();
    let shipped = Policy::default_open().rules().count();
    for number in shipped..count {
        let conditions = match number % 4 {
            0 => format!("who = \"name:team{number}-*\"\nto = \"topic:team{number}/**\""),
            1 => {
                format!("who = \"any\"\nto = [\"topic:plant/*/line{number}\", \"topic:bench/*/{number}/**\"]")
            }
            2 => format!("who = \"registered\"\nschema = \"market/contract@^{number}\""),
            _ => format!(
                "who = \"registered\"\nprotocol = \"market/negotiation@^{number}\"\nperformative = [\"propose\", \"accept-proposal\"]"
            ),
        };
        text += &format!(
            "\n[[rule]]\nname = \"rule-{number}\"\naction = \"send\"\n{conditions}\nverdict = \"deny\"\nreason = \"rule {number} says so\"\n"
        );
    }
    let policy = Policy::parse(&text, home)?;
    ensure!(policy.rules().count() == count, "{count} rules");
    Ok(policy)
}

/// The topic that is kept.
pub(super) fn kept_topic() -> Result<TopicPath> {
    Ok(KEPT.parse()?)
}

pub(super) fn ticket(connection: ConnectionId, tag: u64) -> Ticket {
    Ticket { connection, tag }
}

fn signed(key: &KeyPair, mut envelopes: Vec<Envelope>) -> Vec<Envelope> {
    let digests: Vec<_> = envelopes.iter().map(Envelope::digest).collect();
    for (envelope, proof) in envelopes.iter_mut().zip(Proof::sign_batch(key, &digests)) {
        envelope.proof = Some(proof);
    }
    envelopes
}

/// A UUID of version 7 that holds a number where the random part would be.
fn conversation(number: usize) -> Result<ConversationId> {
    format!("0190c9a0-0000-7000-8000-{number:012x}").parse().map_err(anyhow::Error::msg)
}
