//! A partition in memory with agents connected and registered, and a log beside it.

use crate::cast::{AGENTS, NOW, agent, agent_key, agent_name, home, node};
use openmesh_core::admit::{Familiar, admit};
use openmesh_core::record::Record;
use openmesh_core::{Config, ConnectionId, Effect, Input, Partition, Plan, Rejection, Ticket};
use openmesh_message::frame::{ClientFrame, Command, FrameDecoder};
use openmesh_message::{Attributes, Custodian, Digest, Envelope, Proof, Timestamp};
use openmesh_policy::Policy;
use std::sync::LazyLock;

pub(super) const TOKEN: &str = "admin token";
/// Ticks at one time; more would go on for ever.
const TICKS_MAX: usize = 1_000;

/// How much of a message is made right before it is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// Nothing.
    AsItIs,
    /// Source, time and whatever is missing.
    Completed,
    /// The same, and the proof.
    Signed,
}

/// A partition, its connections, and every record so far.
pub(super) struct Stage {
    pub(super) partition: Partition,
    pub(super) records: Vec<Record>,
    pub(super) now: Timestamp,
    connections: Vec<Option<Connection>>,
    made: u64,
}

struct Connection {
    id: ConnectionId,
    decoder: FrameDecoder,
    familiar: Familiar,
}

/// A configuration without chance.
pub(super) fn config() -> Config {
    static TOKEN_DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::of(TOKEN.as_bytes()));
    Config::new(home(), *TOKEN_DIGEST, [9; 32], Custodian::new([10; 32]))
}

/// The policy of a closed domain.
pub(super) fn policy() -> Policy {
    static POLICY: LazyLock<Policy> = LazyLock::new(Policy::default_closed);
    POLICY.clone()
}

impl Stage {
    /// All agents connected (the last one on a connection that only asks) and registered, and `market/**` pinned.
    pub(super) fn set() -> Self {
        let mut stage = Self {
            partition: Partition::new(config(), policy()),
            records: Vec::new(),
            now: NOW,
            connections: (0..AGENTS).map(|_| None).collect(),
            made: 0,
        };
        let begun = stage.partition.begin_epoch(1, &node(), Digest::ZERO, NOW);
        stage.keep(&begun);
        for index in 0..AGENTS {
            stage.connect(index);
            let token = Some(TOKEN.to_owned());
            stage.command(index, Command::Register { name: agent_name(index).to_owned(), token });
        }
        let pinned = stage.partition.pin("market/**".parse().unwrap(), NOW);
        stage.keep(&pinned);
        stage
    }

    pub(super) fn connect(&mut self, index: u8) {
        self.disconnect(index);
        self.made += 1;
        let connection = Connection {
            id: ConnectionId(self.made),
            decoder: FrameDecoder::default(),
            familiar: Familiar::default(),
        };
        let id = connection.id;
        self.connections[usize::from(index)] = Some(connection);
        self.handle(Input::Connected { connection: id, agent: agent(index), receives: index + 1 < AGENTS });
    }

    pub(super) fn disconnect(&mut self, index: u8) {
        if let Some(connection) = self.connections[usize::from(index)].take() {
            self.handle(Input::Disconnected { connection: connection.id });
        }
    }

    /// Reads a frame off an agent's connection, which ends if it is none; whether it was one.
    pub(super) fn read(&mut self, index: u8, made: Made, body: &[u8]) -> bool {
        let Some(connection) = &mut self.connections[usize::from(index)] else {
            return false;
        };
        match connection.decoder.decode_client(body) {
            Ok(ClientFrame::Send(messages)) => {
                for (tag, envelope) in messages {
                    self.offer(index, tag, made, envelope);
                }
            }
            Ok(ClientFrame::Command(_, command)) => self.command(index, command),
            Ok(ClientFrame::Ping(_)) => {}
            Ok(ClientFrame::Stream(acts)) => {
                let connection = connection.id;
                acts.into_iter().for_each(|act| self.handle(Input::Stream { connection, act }));
            }
            Err(_) => {
                self.disconnect(index);
                return false;
            }
        }
        true
    }

    fn offer(&mut self, index: u8, tag: u64, made: Made, envelope: Envelope) {
        self.made += 1;
        let envelope = complete(envelope, index, made, self.now, self.made);
        let view = self.partition.view();
        let Some(connection) = &mut self.connections[usize::from(index)] else {
            return;
        };
        let ticket = Ticket { connection: connection.id, tag };
        let input = match admit(envelope, agent(index), &view, &mut connection.familiar, self.now) {
            Ok(admitted) => Input::Message { ticket, admitted: Box::new(admitted) },
            Err(refused) => Input::Refused { ticket, refused },
        };
        self.handle(input);
    }

    fn command(&mut self, index: u8, command: Command) {
        if let Some(connection) = &self.connections[usize::from(index)] {
            let ticket = Ticket { connection: connection.id, tag: 0 };
            self.handle(Input::Command { ticket, command: Box::new(command) });
        }
    }

    /// Moves the clock and lets happen what is due.
    pub(super) fn wait(&mut self, ms: i64) {
        self.now = self.now.plus_ms(ms);
        for _ in 0..TICKS_MAX {
            if self.partition.next_deadline().is_none_or(|deadline| deadline > self.now) {
                return;
            }
            self.handle(Input::Tick);
        }
        panic!("something is due for ever");
    }

    fn handle(&mut self, input: Input) {
        let plan = self.partition.handle(input, self.now);
        self.keep(&plan);
        for effect in &plan.effects {
            check_effect(effect);
        }
    }

    fn keep(&mut self, plan: &Plan) {
        for sealed in &plan.records {
            let record = Record::decode(&sealed.header, &sealed.salt, &sealed.body).unwrap();
            assert_eq!(record.header.position, sealed.position);
            assert_eq!(sealed.position.seq, self.records.len() as u64 + 1);
            self.records.push(record);
        }
    }
}

fn check_effect(effect: &Effect) {
    let check = |rejection: &Rejection| {
        let problem = rejection.to_problem();
        assert!(Rejection::codes().any(|code| code == problem.code), "{}", problem.code);
    };
    match effect {
        Effect::Reject(_, rejection) | Effect::Reply(_, Err(rejection)) => check(rejection),
        _ => {}
    }
}

/// A message of that agent at that time; what is missing is put in.
pub(super) fn complete(envelope: Envelope, index: u8, made: Made, now: Timestamp, number: u64) -> Envelope {
    if made == Made::AsItIs {
        return envelope;
    }
    let mut attributes = Attributes::default();
    let mut set = |name: &str, value: &str| {
        let _ = attributes.set(name, value);
    };
    set("source", &agent(index).to_string());
    set("time", &now.to_string());
    // What stands already keeps its value, so that its own comes before the default.
    for (name, value) in envelope.attributes.iter().filter(|(name, _)| *name != "source" && *name != "time") {
        set(name, value);
    }
    for (name, value) in [("specversion", "1.0"), ("type", "note"), ("performative", "inform")] {
        set(name, value);
    }
    set("id", &format!("made-{number}"));
    let digest = attributes.digest(&envelope.payload);
    let proof = (made == Made::Signed).then(|| Proof::sign(&agent_key(index), &digest));
    Envelope { attributes, proof, ..envelope }
}
