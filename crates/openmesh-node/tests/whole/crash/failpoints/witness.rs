//! What is compared after a crash: the log with what senders were told, the state that snapshot and tail lead to with
//! that of the log alone, and both with what the running node answers.

use super::load::{Crew, Key, key_of};
use openmesh_core::record::Record;
use openmesh_core::{Config, Matcher, Partition};
use openmesh_message::{AgentId, Custodian, Digest, DomainId, Position};
use openmesh_policy::Policy;
use openmesh_sdk::{LogFilter, Mesh, Verdict};
use openmesh_store::{LogReader, ReadOnlyReport, open_read_only};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::sleep;

/// Looks at a node whose timers go on meanwhile.
const LOOKS_MAX: usize = 60;

/// What a node says of its state.
#[derive(Debug, PartialEq)]
struct Answers {
    counts: openmesh_sdk::InboxCounts,
    mail: BTreeSet<u64>,
    conversations: BTreeMap<String, String>,
    found: Vec<Vec<u64>>,
}

impl Crew {
    /// The log as it lies there, read without its node.
    pub(super) fn compare_log(&mut self) {
        let (log, report) = open(&self.node.log());
        if self.model.last_seq > 0 {
            let last = log.get(self.model.last_seq).unwrap().expect("what was read before is still there");
            assert_eq!(Some(last.chain), self.model.last_chain, "the chain up to there is the same");
        }
        for stored in log.records(self.model.last_seq + 1) {
            let stored = stored.unwrap();
            self.model.read(&Record::decode(&stored.header, &stored.salt, &stored.body).unwrap());
            self.model.last_chain = Some(stored.chain);
        }
        let ledger = self.ledger.lock().unwrap();
        let kept = messages(&log);
        for (key, position) in &ledger.accepted {
            let found =
                kept.get(key).unwrap_or_else(|| panic!("{key:?} was accepted at {position} and is missing"));
            assert_eq!(*found, (ledger.sent[key], *position));
        }
        let unsent = kept.keys().find(|key| !ledger.sent.contains_key(*key));
        assert_eq!(unsent, None, "what was never sent is in the log");
        let (quick, alone) = states(&log, &report, self.node.endpoint.domain);
        let pending: BTreeSet<u64> = pending(self, &alone).collect();
        let back: Vec<_> = ledger.acknowledged.intersection(&pending).collect();
        assert!(back.is_empty(), "{back:?} were acknowledged and are back");
        drop(ledger);
        assert!(quick.state() == alone.state(), "snapshot and tail lead to another state than the log");
        self.model.compare(alone.state());
    }

    /// What the running node answers, once nothing changes while it is asked.
    pub(super) async fn compare_answers(&mut self) {
        let (worker, sender) = (self.node.connect(&self.worker).await, self.node.connect(&self.sender).await);
        let asker = self.node.connect(&self.asker).await;
        for _ in 0..LOOKS_MAX {
            let before = open(&self.node.log()).1.head;
            let answers = ask(&worker, &sender, &asker, &filters(self)).await;
            let (log, report) = open(&self.node.log());
            if report.head == before {
                let (_, alone) = states(&log, &report, self.node.endpoint.domain);
                let expected = expect(self, &log, &alone);
                assert_eq!(answers, expected, "what the node says is not what the log says");
                self.compare_log();
                for mesh in [worker, sender, asker] {
                    mesh.close().await;
                }
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the node never rests");
    }
}

fn open(folder: &std::path::Path) -> (LogReader, ReadOnlyReport) {
    let (log, report) = open_read_only(folder).unwrap();
    assert!(report.report.corrupt.is_empty(), "{}", report.report);
    (log, report)
}

/// Every message in the log, each of which stands there once.
fn messages(log: &LogReader) -> BTreeMap<Key, (Digest, Position)> {
    let mut kept = BTreeMap::new();
    for stored in log.records(1) {
        let stored = stored.unwrap();
        let record = Record::decode(&stored.header, &stored.salt, &stored.body).unwrap();
        let Some(message) = record.message() else { continue };
        let key = key_of(message);
        let before = kept.insert(key.clone(), (message.digest(), stored.position));
        assert_eq!(before, None, "{key:?} stands twice");
    }
    kept
}

/// The state by way of the last snapshot, and that of the log alone.
fn states(log: &LogReader, report: &ReadOnlyReport, domain: DomainId) -> (Partition, Partition) {
    let config = || Config::new(domain, Digest::ZERO, [0; 32], Custodian::new([0; 32]));
    let mut alone = Partition::new(config(), Policy::default_closed());
    let (mut quick, after) = match &report.snapshot {
        Some(snapshot) => {
            let restored = Partition::restore(config(), Policy::default_closed(), &snapshot.state).unwrap();
            (restored, snapshot.position.seq)
        }
        None => (Partition::new(config(), Policy::default_closed()), 0),
    };
    for stored in log.records(1) {
        let stored = stored.unwrap();
        let record = Record::decode(&stored.header, &stored.salt, &stored.body).unwrap();
        alone.recover(&record);
        if stored.position.seq > after {
            quick.recover(&record);
        }
    }
    (quick, alone)
}

fn filters(crew: &Crew) -> Vec<LogFilter> {
    let topic = |topic: &str| LogFilter { topic: Some(topic.to_owned()), ..LogFilter::default() };
    let ledger = crew.ledger.lock().unwrap();
    let own = ledger.accepted.keys().rfind(|(sender, _)| *sender == crew.sender.id());
    vec![
        topic("market/load"),
        topic("market/**"),
        LogFilter { agent: Some(crew.sender.id()), verdict: Some(Verdict::Accepted), ..topic("market/*") },
        LogFilter { id: own.map(|(_, id)| id.clone()), ..LogFilter::default() },
        LogFilter { performative: Some("cfp".to_owned()), ..LogFilter::default() },
    ]
}

async fn ask(worker: &Mesh, sender: &Mesh, asker: &Mesh, filters: &[LogFilter]) -> Answers {
    let counts = worker.inbox().counts().await.unwrap();
    let mut mail = BTreeSet::new();
    let mut after = 0;
    loop {
        let page = worker.inbox().peek(after, 100).await.unwrap();
        mail.extend(page.entries.iter().map(|held| held.number));
        match page.next_after_number {
            Some(next) => after = next,
            None => break,
        }
    }
    let rows = asker.conversations().await.unwrap();
    let conversations = rows.iter().map(|row| {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (text("conversation"), text("state"))
    });
    let mut found = Vec::new();
    for filter in filters {
        let records =
            sender.query_log(filter.clone()).page_records_max(1_000).collect(1_000_000).await.unwrap();
        found.push(records.iter().map(|record| record["seq"].as_u64().unwrap()).collect());
    }
    Answers { counts, mail, conversations: conversations.collect(), found }
}

/// The numbers of the worker's mail.
fn pending<'a>(crew: &Crew, alone: &'a Partition) -> impl Iterator<Item = u64> + use<'a> {
    let worker = crew.worker.id();
    let inboxes = alone.state().inboxes().filter(move |(agent, _)| **agent == worker);
    inboxes.flat_map(|(_, inbox)| inbox.entries()).map(|(number, _)| number)
}

fn expect(crew: &Crew, log: &LogReader, alone: &Partition) -> Answers {
    let worker: AgentId = crew.worker.id();
    let state = alone.state();
    let inbox = state.inboxes().find(|(agent, _)| **agent == worker).map(|(_, inbox)| inbox);
    let counts = inbox.map(openmesh_core::Inbox::counts).unwrap_or_default();
    let conversations =
        state.conversations().map(|(id, conversation)| (id.to_string(), conversation.round.state.clone()));
    let matchers: Vec<_> = filters(crew).iter().map(Matcher::new).collect();
    let mut found = vec![BTreeSet::new(); matchers.len()];
    for stored in log.records(1) {
        let stored = stored.unwrap();
        let record = Record::decode(&stored.header, &stored.salt, &stored.body).unwrap();
        for (matcher, seqs) in matchers.iter().zip(&mut found) {
            if matcher.matches(&record) {
                seqs.insert(stored.position.seq);
            }
        }
    }
    let found = found.into_iter().map(|seqs| seqs.into_iter().collect()).collect();
    Answers { counts, mail: pending(crew, alone).collect(), conversations: conversations.collect(), found }
}
