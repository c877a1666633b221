//! What is compared after a crash, besides the history: the state that snapshot and tail lead to with that of the log alone,
//! and both with what the running node answers.

use super::Crew;
use crate::crash::{model, open, read_on, recovered};
use openmesh_core::record::Record;
use openmesh_core::{Inbox, Matcher, Partition};
use openmesh_message::AgentId;
use openmesh_sdk::{LogFilter, Mesh, Verdict};
use openmesh_store::LogReader;
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
    /// The log as it lies there, read without its node, and the state that it leads to.
    pub(super) fn compare_log(&mut self) -> (LogReader, Partition) {
        let (log, report) = open(&self.node);
        read_on(&log, &mut self.model, &self.load);
        let alone = recovered(&self.node, &log, None);
        let quick = recovered(&self.node, &log, report.snapshot.as_ref());
        assert!(quick.state() == alone.state(), "snapshot and tail lead to another state than the log");
        self.model.compare(alone.state());
        (log, alone)
    }

    /// What the running node answers, once nothing changes while it is asked.
    pub(super) async fn compare_answers(&mut self) {
        let agents = &self.load.agents;
        let (worker, sender) = (&agents.worker, &agents.senders[0]);
        let (worker, sender) = (self.node.connect(worker).await, self.node.connect(sender).await);
        let asker = self.node.connect(&agents.asker).await;
        for _ in 0..LOOKS_MAX {
            let (before, _) = open(&self.node);
            let filters = filters(&before, sender.id());
            let answers = ask(&worker, &sender, &asker, &filters).await;
            let (log, alone) = self.compare_log();
            if log.head_seq() == before.head_seq() {
                assert_eq!(
                    answers,
                    expect(worker.id(), &log, &alone, &filters),
                    "the node and its log differ"
                );
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

fn records(log: &LogReader) -> impl Iterator<Item = Record> {
    log.records(1).map(|stored| model::decode(&stored.unwrap()))
}

/// Everything that is asked of the log, the sender's last message among it.
fn filters(log: &LogReader, sender: AgentId) -> Vec<LogFilter> {
    let topic = |topic: &str| LogFilter { topic: Some(topic.to_owned()), ..LogFilter::default() };
    let source = sender.to_string();
    let own = records(log).filter_map(|record| {
        let attributes = &record.message()?.attributes;
        (attributes.get("source") == Some(&source)).then(|| attributes.get("id").map(ToOwned::to_owned))?
    });
    vec![
        topic("market/load"),
        topic("market/**"),
        LogFilter { agent: Some(sender), verdict: Some(Verdict::Accepted), ..topic("market/*") },
        LogFilter { id: own.last(), ..LogFilter::default() },
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

/// The same answers, worked out from the log.
fn expect(worker: AgentId, log: &LogReader, alone: &Partition, filters: &[LogFilter]) -> Answers {
    let state = alone.state();
    let inbox = state.inboxes().find(|(agent, _)| **agent == worker).map(|(_, inbox)| inbox);
    let mail = inbox.into_iter().flat_map(Inbox::entries).map(|(number, _)| number);
    let conversations = state
        .conversations()
        .map(|(id, conversation)| (id.to_string(), conversation.round.state.to_string()));
    let matchers: Vec<_> = filters.iter().map(Matcher::new).collect();
    let mut found = vec![BTreeSet::new(); matchers.len()];
    for record in records(log) {
        for (matcher, seqs) in matchers.iter().zip(&mut found) {
            if matcher.matches(&record) {
                seqs.insert(record.header.position.seq);
            }
        }
    }
    Answers {
        counts: inbox.map(Inbox::counts).unwrap_or_default(),
        mail: mail.collect(),
        conversations: conversations.collect(),
        found: found.into_iter().map(|seqs| seqs.into_iter().collect()).collect(),
    }
}
