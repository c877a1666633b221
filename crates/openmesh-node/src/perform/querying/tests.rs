//! Pages against a naive reading of the same log: with an index that ends anywhere, or none; and what is looked up.

use super::page::Filling;
use super::{Beside, Kept, Looked, Querying};
use crate::decided::Decided;
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use openmesh_adapter::{Answers, Asked, Batch, Load, Outbox, Outgoing, Rates};
use openmesh_core::admit::{Familiar, admit};
use openmesh_core::record::{Record, to_json};
use openmesh_core::{
    Config, ConnectionId, Input, Matcher, Partition, Plan, Question, Ticket, View, as_seen_by, may_ask_for,
    may_read,
};
use openmesh_message::frame::{Command, LogFilter, Reply, Retention, Verdict};
use openmesh_message::{
    Address, AgentId, AgentRef, Authority, Custodian, Digest, DomainId, Draft, KeyPair, PartitionId,
    Performative, Target, Timestamp,
};
use openmesh_policy::{DEFAULT_CLOSED, Policy};
use openmesh_store::{EmbeddedLog, LogConfig, open_read_only};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TOKEN: &str = "token";
const NAMES: [&str; 4] = ["ada", "bea", "cid", "dan"];
const TOPICS: [&str; 4] = ["market/a", "market/b/c", "market/b/d", "secret"];
const DENY_SECRET: &str = "
[[rule]]
name = \"secret\"
action = \"read\"
who = \"name:dan\"
to = \"topic:secret\"
verdict = \"deny\"
reason = \"not for dan\"
";

/// A partition, its log on disk, and agents by number.
struct Stage {
    partition: Partition,
    log: EmbeddedLog,
    folder: TempDir,
    keys: Vec<KeyPair>,
    now: Timestamp,
    sent: u64,
}

impl Stage {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let domain = DomainId::from_bytes([1; 32]);
        let config = Config::new(domain, Digest::of(TOKEN.as_bytes()), [9; 32], Custodian::new([7; 32]));
        let policy =
            Policy::parse(&format!("{DEFAULT_CLOSED}{DENY_SECRET}"), Authority::Domain(domain)).unwrap();
        let log_config = LogConfig { cache_bytes: 64 * 1024, ..LogConfig::new(PartitionId(0)) };
        let (log, _) = EmbeddedLog::open(&folder.path().join("log"), &log_config).unwrap();
        let keys =
            NAMES.iter().map(|name| KeyPair::from_seed(Digest::of(name.as_bytes()).as_bytes()).unwrap());
        let (partition, keys) = (Partition::new(config, policy), keys.collect());
        let mut stage =
            Self { partition, log, folder, keys, now: Timestamp::from_millis(1_800_000_000_000), sent: 0 };
        for (agent, name) in NAMES.into_iter().enumerate() {
            let connection = ConnectionId(agent as u64);
            let id = stage.id(agent);
            stage.take(Input::Connected { connection, agent: id, receives: true });
            stage.command(agent, Command::Register { name: name.to_owned(), token: Some(TOKEN.to_owned()) });
        }
        let topic = "topic:**".to_owned();
        stage.command(0, Command::ConfigureTopic { topic, pinned: true, token: Some(TOKEN.to_owned()) });
        stage
    }

    fn id(&self, agent: usize) -> AgentId {
        self.keys[agent].id()
    }

    fn view(&self) -> View {
        self.partition.view()
    }

    fn take(&mut self, input: Input) -> Plan {
        self.now = self.now.plus_ms(7);
        let plan = self.partition.handle(input, self.now);
        self.log.append(&Decided::from(plan.clone()).records).unwrap();
        self.log.sync().unwrap();
        plan
    }

    fn command(&mut self, agent: usize, command: Command) {
        let ticket = Ticket { connection: ConnectionId(agent as u64), tag: 0 };
        self.take(Input::Command { ticket, command: Box::new(command) });
    }

    /// What looks random but is the same each time: mail, topics, refusals, leases.
    fn act(&mut self, draw: u64) {
        let (from, kind) = (draw as usize % NAMES.len(), draw / 4 % 8);
        self.sent += 1;
        let id = format!("m-{}", self.sent);
        let domain = self.view().domain;
        let target = match kind {
            0..=3 => Target::Topic(TOPICS[kind as usize].parse().unwrap()),
            4 => {
                return self.command(
                    from,
                    Command::Lease { messages_max: 2, visibility_ms: 60_000, wait_ms: 0, least: None },
                );
            }
            5 => Target::Agent(AgentRef::Name("nobody".parse().unwrap())),
            _ => Target::Inbox(AgentRef::Name(NAMES[draw as usize / 32 % NAMES.len()].parse().unwrap())),
        };
        let performative = if draw.is_multiple_of(3) { Performative::Inform } else { Performative::Propose };
        let kind = if draw.is_multiple_of(5) { "odd" } else { "note" };
        let draft = Draft::new(&id, self.now, &Address::new(domain, target), &performative).kind(kind);
        let envelope = draft.ack_level("durable").sign(&self.keys[from]).unwrap();
        let ticket = Ticket { connection: ConnectionId(from as u64), tag: 0 };
        let admitted = admit(envelope, self.id(from), &self.view(), &mut Familiar::default(), self.now);
        self.take(match admitted {
            Ok(admitted) => Input::Message { ticket, admitted: Box::new(admitted) },
            Err(refused) => Input::Refused { ticket, refused },
        });
    }

    fn act_often(&mut self, times: u64, seed: u64) {
        let mut state = seed;
        for _ in 0..times {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.act(state >> 33);
        }
    }

    /// The log as it grows, and an index that ends where the log ends at this moment.
    fn kept(&self) -> Kept {
        let name = format!("projection-{}", self.log.next_seq());
        let (frozen, _) = open_read_only(&self.folder.path().join("log")).unwrap();
        let head_seq = frozen.head_seq();
        let index = super::index(&self.folder.path().join(name), frozen).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while index.covered_seq() < head_seq {
            assert!(Instant::now() < until, "the index does not come to its end");
            std::thread::sleep(Duration::from_millis(5));
        }
        Kept { log: self.log.reader(), index: Arc::new(index) }
    }

    fn records(&self) -> Vec<Record> {
        let records = self.log.reader().records(1).map(|stored| {
            let stored = stored.unwrap();
            Record::decode(&stored.header, &stored.salt, &stored.body).unwrap()
        });
        records.collect()
    }

    fn filters(&self) -> Vec<LogFilter> {
        let none = LogFilter::default;
        let text = |text: &str| Some(text.to_owned());
        vec![
            none(),
            LogFilter { id: text("m-7"), ..none() },
            LogFilter { agent: Some(self.id(1)), ..none() },
            LogFilter { agent: Some(self.id(3)), ..none() },
            LogFilter { topic: text("market/a"), ..none() },
            LogFilter { topic: text("market/**"), ..none() },
            LogFilter { topic: text("market/*/d"), ..none() },
            LogFilter { topic: text("secret"), ..none() },
            LogFilter { kind: text("leased"), ..none() },
            LogFilter { kind: text("registered"), ..none() },
            LogFilter { message_type: text("odd"), ..none() },
            LogFilter { performative: text("inform"), ..none() },
            LogFilter { verdict: Some(Verdict::Refused), ..none() },
            LogFilter { since: Some(self.now.plus_ms(-400)), ..none() },
            LogFilter { until: Some(self.now.plus_ms(-900)), performative: text("propose"), ..none() },
            LogFilter {
                agent: Some(self.id(2)),
                topic: text("market/**"),
                message_type: text("odd"),
                ..none()
            },
            LogFilter { agent: Some(self.id(0)), verdict: Some(Verdict::Accepted), ..none() },
            LogFilter { id: text("nothing"), ..none() },
        ]
    }
}

/// Every page of a question, one after the other.
fn pages(view: &View, kept: &Kept, mut question: Question) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let Looked { page, .. } = Filling::new(view, &question).fill(kept).unwrap();
        assert!(page.records.len() <= question.records_max as usize);
        for record in &page.records {
            let record: Value = serde_json::from_str(record).unwrap();
            found.push(record["seq"].as_u64().unwrap());
        }
        match page.next_after_seq {
            Some(next) => question.after_seq = next,
            None => return found,
        }
    }
}

fn ask(agent: AgentId, filter: LogFilter) -> Question {
    Question { agent, filter, after_seq: 0, records_max: 1_000, wait_ms: 0, newest_first: false }
}

/// What a reader of the whole log would find.
fn naive(stage: &Stage, records: &[Record], question: &Question) -> Vec<u64> {
    let (view, matcher) = (stage.view(), Matcher::new(&question.filter));
    let topic = question.filter.topic.as_ref().and_then(|topic| topic.parse().ok());
    if topic.is_some_and(|topic| !may_ask_for(&view, &question.agent, topic)) {
        return Vec::new();
    }
    let reader = &question.agent;
    let fits = |record: &&Record| {
        may_read(&view, reader, record, stage.now) && matcher.matches(&as_seen_by(&view, reader, record))
    };
    records.iter().filter(fits).map(|record| record.header.position.seq).collect()
}

#[test]
fn pages_hold_what_a_naive_reader_finds_wherever_the_index_ends() {
    let mut stage = Stage::new();
    let mut kept = vec![stage.kept()];
    stage.act_often(60, 1);
    kept.push(stage.kept());
    stage.act_often(140, 2);
    kept.push(stage.kept());
    stage.act_often(1, 3);
    let (view, records) = (stage.view(), stage.records());
    for filter in stage.filters() {
        for agent in [0, 3] {
            let question = ask(stage.id(agent), filter.clone());
            let expected = naive(&stage, &records, &question);
            for kept in &kept {
                for (records_max, newest_first) in
                    [(1_000, false), (1_000, true), (3, false), (3, true), (1, true)]
                {
                    let mut found =
                        pages(&view, kept, Question { records_max, newest_first, ..question.clone() });
                    if newest_first {
                        found.reverse();
                    }
                    let covered = kept.index.covered_seq();
                    assert_eq!(
                        found, expected,
                        "{filter:?} of {agent}, {records_max} a page, covered {covered}"
                    );
                }
            }
        }
    }
}

#[test]
fn each_record_is_shown_as_its_reader_sees_it() {
    let mut stage = Stage::new();
    stage.act_often(200, 6);
    let (kept, view, records) = (stage.kept(), stage.view(), stage.records());
    for agent in 0..NAMES.len() {
        let reader = stage.id(agent);
        let Looked { page, .. } =
            Filling::new(&view, &ask(reader, LogFilter::default())).fill(&kept).unwrap();
        let shown: Vec<Value> =
            page.records.iter().map(|record| serde_json::from_str(record).unwrap()).collect();
        let readable = records.iter().filter(|record| may_read(&view, &reader, record, stage.now));
        let expected: Vec<Value> =
            readable.map(|record| to_json(&as_seen_by(&view, &reader, record))).collect();
        assert_eq!(shown, expected);
        assert!(shown.iter().any(|record| record.get("message").is_some()));
    }
}

#[test]
fn pages_neither_repeat_nor_lose_a_record_while_others_come() {
    let mut stage = Stage::new();
    stage.act_often(80, 4);
    let kept = stage.kept();
    let filter = LogFilter { topic: Some("market/**".to_owned()), ..LogFilter::default() };
    for newest_first in [false, true] {
        let mut question = Question { records_max: 5, newest_first, ..ask(stage.id(0), filter.clone()) };
        let before = naive(&stage, &stage.records(), &question);
        let mut found = Vec::new();
        for round in 0.. {
            let Looked { page, .. } = Filling::new(&stage.view(), &question).fill(&kept).unwrap();
            let seq =
                |record: &String| serde_json::from_str::<Value>(record).unwrap()["seq"].as_u64().unwrap();
            found.extend(page.records.iter().map(seq));
            let Some(next) = page.next_after_seq else { break };
            question.after_seq = next;
            if round < 10 {
                stage.act_often(3, 50 + round);
            }
        }
        let mut expected = if newest_first { before } else { naive(&stage, &stage.records(), &question) };
        if newest_first {
            expected.reverse();
        }
        assert_eq!(found, expected);
    }
}

#[test]
fn forbidden_and_absent_give_the_same_page_and_a_denied_topic_is_not_looked_for() {
    let mut stage = Stage::new();
    stage.act_often(200, 5);
    let kept = stage.kept();
    let (view, dan, records) = (stage.view(), stage.id(3), stage.records());
    let look = |filter: LogFilter| {
        let Looked { page, through_seq } = Filling::new(&view, &ask(dan, filter)).fill(&kept).unwrap();
        (page, through_seq)
    };
    let id = |id: &str| LogFilter { id: Some(id.to_owned()), ..LogFilter::default() };
    let absent = look(id("nothing"));
    assert!(absent.0.records.is_empty());
    let mut forbidden = 0;
    for record in records.iter().filter(|record| !may_read(&view, &dan, record, stage.now)) {
        let Some(of) = record.message().and_then(|message| message.attributes.get("id")) else { continue };
        assert_eq!(look(id(of)), absent);
        forbidden += 1;
    }
    assert!(forbidden > 20, "{forbidden} records are forbidden");
    let counted = Counted::default();
    let topic = |topic: &str| LogFilter { topic: Some(topic.to_owned()), ..LogFilter::default() };
    metrics::with_local_recorder(&counted, || assert_eq!(look(topic("secret")), absent));
    assert_eq!(counted.0.load(Ordering::Relaxed), 0, "nothing is looked up before the decision");
    metrics::with_local_recorder(&counted, || look(topic("market/a")));
    assert!(counted.0.load(Ordering::Relaxed) > 0);
}

/// What is answered beside the owner; `None` where the owner is to answer.
async fn answered_beside(stage: &Stage, agent: AgentId, command: Command) -> Option<Batch> {
    asked_beside(stage, agent, command, false).await
}

async fn asked_beside(stage: &Stage, agent: AgentId, command: Command, overtakes: bool) -> Option<Batch> {
    let (mesh, _intake) = openmesh_adapter::channel(stage.view(), Load::default(), Rates::default());
    let beside = Beside(Querying::new(mesh, stage.kept()));
    let (outbox, mut reader) = Outbox::under(&Arc::default());
    let ticket = Ticket { connection: ConnectionId(0), tag: 5 };
    match beside.answer(Asked { ticket, agent, command, overtakes }, &outbox) {
        Some(given_back) => {
            assert_eq!((given_back.ticket, given_back.agent), (ticket, agent));
            None
        }
        None => reader.next().await,
    }
}

#[tokio::test]
async fn only_a_question_that_a_current_view_decides_is_answered_beside_the_owner() {
    let mut stage = Stage::new();
    stage.act_often(20, 7);
    let query = |wait_ms| Command::QueryLog {
        filter: Box::default(),
        after_seq: 0,
        records_max: 5,
        wait_ms,
        newest_first: false,
    };
    let (ada, stranger) = (stage.id(0), KeyPair::from_seed(&[77; 32]).unwrap().id());
    let answered = answered_beside(&stage, ada, query(0)).await.unwrap();
    assert!(
        matches!(&answered[..], [Outgoing::Reply(5, Ok(Reply::Log(page)))] if page.records.len() == 5),
        "{answered:?}"
    );
    assert!(asked_beside(&stage, ada, query(0), true).await.is_none(), "it would overtake");
    assert!(answered_beside(&stage, ada, query(10)).await.is_none(), "it waits");
    assert!(answered_beside(&stage, ada, Command::CountInbox).await.is_none(), "it is no question");
    assert!(answered_beside(&stage, stranger, query(0)).await.is_none(), "it is refused");
    let retention = Retention { messages: Some(1), ..Retention::UNLIMITED };
    let (topic, token) = ("topic:market/**".to_owned(), Some(TOKEN.to_owned()));
    let set = Command::SetTopic { topic, pinned: true, retention, expected_version: None, token };
    stage.command(0, set);
    assert!(answered_beside(&stage, ada, query(0)).await.is_none(), "its answer changes with each message");
}

/// Adds up every counter.
#[derive(Default)]
struct Counted(Arc<AtomicU64>);

struct Adds(Arc<AtomicU64>);

impl CounterFn for Adds {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }
}

impl Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Adds(Arc::clone(&self.0))))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
