//! Writes down what clients see, and holds it to the promises as it comes.

use openmesh_core::record::Record;
use openmesh_message::frame::InboxCounts;
use openmesh_sdk::{AgentId, Envelope, Item, Leased, Sent};
use openmesh_simulator::history::{self, Checker, Event, Figures, Handed, Outcome};
use openmesh_store::StoredRecord;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder in which each history is written to a file, to be checked by hand.
const HISTORY_FOLDER: &str = "OPENMESH_HISTORY_FOLDER";

/// One history.
pub(crate) struct Witness {
    seen: Mutex<Seen>,
    connections: AtomicU64,
}

struct Seen {
    checker: Checker,
    file: Option<BufWriter<File>>,
}

impl Witness {
    /// Begins a history; where the environment names a folder, it is written to a file of this name there.
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::var_os(HISTORY_FOLDER).map(PathBuf::from);
        let file = folder.map(|folder| {
            std::fs::create_dir_all(&folder).unwrap();
            BufWriter::new(File::create(folder.join(format!("{name}.jsonl"))).unwrap())
        });
        Self { seen: Mutex::new(Seen { checker: Checker::default(), file }), connections: AtomicU64::new(0) }
    }

    pub(crate) fn note(&self, event: &Event) {
        let mut seen = self.seen.lock().unwrap();
        if let Some(file) = &mut seen.file {
            serde_json::to_writer(&mut *file, event).unwrap();
            file.write_all(b"\n").unwrap();
        }
        seen.checker.note(event);
    }

    /// A number for a connection that is opened.
    pub(crate) fn connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn sent(&self, connection: u64, envelope: &Envelope) {
        self.note(&history::sent(connection, envelope));
    }

    pub(crate) fn outcome(&self, envelope: &Envelope, outcome: &Sent) {
        let sender = envelope.attributes.get("source").unwrap().to_owned();
        let id = envelope.attributes.get("id").unwrap().to_owned();
        let event = match outcome {
            Sent::Accepted(receipt) => history::accepted(envelope, &receipt.receipt).unwrap(),
            Sent::Rejected(problem) => Event::Refused { sender, id, code: problem.code.clone() },
            Sent::Unknown | Sent::Passed => Event::Unknown { sender, id },
        };
        self.note(&event);
    }

    pub(crate) fn delivered(&self, consumer: &str, item: &Item) {
        match item {
            Item::Message { envelope, .. } => {
                self.note(&history::delivered(consumer, envelope).expect("what is kept says where"));
            }
            other => panic!("a pinned topic is read from the log, and was {other:?}"),
        }
    }

    pub(crate) fn leased(&self, agent: &AgentId, leased: &[Leased]) {
        let Some(first) = leased.first() else { return };
        let handed = leased.iter().map(|message| Handed {
            number: message.number,
            sender: message.envelope.attributes.get("source").unwrap().to_owned(),
            id: message.envelope.attributes.get("id").unwrap().to_owned(),
        });
        // What the node itself tells is rendered anew: it is in no record as a message.
        let handed = handed.filter(|message| !message.id.starts_with("notice-")).collect();
        self.note(&Event::Leased { agent: agent.to_string(), token: first.token, messages: handed });
    }

    pub(crate) fn acknowledged(&self, agent: &AgentId, numbers: &[u64], outcome: Outcome) {
        let (agent, numbers) = (agent.to_string(), numbers.to_vec());
        self.note(&Event::Acknowledged { agent, numbers, outcome });
    }

    pub(crate) fn counts(&self, agent: &AgentId, counts: &InboxCounts) {
        self.note(&history::counts(agent, counts));
    }

    /// Reads a record of the log.
    pub(crate) fn record(&self, stored: &StoredRecord) -> Record {
        let record = Record::decode(&stored.header, &stored.salt, &stored.body).unwrap();
        self.note(&history::record(&record));
        record
    }

    pub(crate) fn figures(&self) -> Figures {
        self.seen.lock().unwrap().checker.figures()
    }

    /// Everything was read: no promise may be broken.
    pub(crate) fn read_whole(&self) {
        self.note(&Event::Head {});
        self.assert_kept();
    }

    /// The violations found so far, as text.
    pub(crate) fn violations(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.checker.violations().iter().map(ToString::to_string).collect()
    }

    pub(crate) fn assert_kept(&self) {
        if let Some(file) = &mut self.seen.lock().unwrap().file {
            file.flush().unwrap();
        }
        let found = self.violations();
        assert!(
            found.is_empty(),
            "{} promises broken, first: {:#?}",
            found.len(),
            &found[..found.len().min(5)]
        );
    }
}

/// What a client is told of a command, as a history has it.
pub(crate) fn told<T>(result: &Result<T, openmesh_sdk::SdkError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(openmesh_sdk::SdkError::Refused(_)) => Outcome::Refused,
        Err(_) => Outcome::Unknown,
    }
}
