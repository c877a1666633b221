//! Questions about a large log while messages come in, and while its index is built anew.
//!
//! `OPENMESH_QUERY_RECORDS` says how large, `OPENMESH_QUERY_RATE` how many messages a second come in,
//! `OPENMESH_QUERY_LIMIT_MS` how long the 99th percentile of first pages may take. `cargo xtask campaign queries` runs it large.

use crate::node::Node;
use openmesh_sdk::{
    KeyPair, LogFilter, Mesh, Pending, Performative, Sent, Timestamp, Verdict, new_conversation_id,
};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const RECORDS: u64 = 6_000;
const RATE: u64 = 500;
/// Generous, since debug builds and busy machines run this too; the campaign sets the limit that is promised.
const LIMIT_MS: u64 = 500;
const QUESTIONS: usize = 200;
const PAGE_RECORDS: u32 = 100;
const WRITERS: usize = 20;
const TOPICS: u64 = 50;
const TYPES: u64 = 10;
/// One record in so many begins a conversation, is mail, is refused.
const RARE: u64 = 100;
/// How long what was sent before may still be worked on: the index, a snapshot.
const SETTLING: Duration = Duration::from_secs(3);
/// Sends whose outcomes are awaited together.
const IN_FLIGHT: usize = 2_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Taken in or refused, but answered.
async fn settle(pending: Pending) {
    assert!(!matches!(pending.await, Sent::Unknown), "a send is not answered");
}

struct Crowd {
    writers: Vec<Mesh>,
    protocol: openmesh_sdk::PinnedName,
    sent: u64,
    conversations: Vec<String>,
    ids: Vec<String>,
}

impl Crowd {
    async fn enter(node: &Node) -> (Arc<KeyPair>, Self) {
        let (key, first) = node.agent("writer-0").await;
        let protocol = first.get_protocol("fipa/request").await.unwrap().name;
        let mut writers = vec![first];
        for number in 1..WRITERS {
            writers.push(node.agent(&format!("writer-{number}")).await.1);
        }
        (key, Self { writers, protocol, sent: 0, conversations: Vec::new(), ids: Vec::new() })
    }

    /// Sends the next message; what looks random is the same each time.
    async fn send(&mut self) -> Pending {
        self.sent += 1;
        let draw = self.sent.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let writer = &self.writers[(draw % WRITERS as u64) as usize];
        let topic = format!("topic:market/t{}", draw / 32 % TOPICS);
        let acts = [Performative::Inform, Performative::Propose, Performative::QueryRef];
        let act = &acts[(draw / 7 % 3) as usize];
        let draft = match draw / 64 % RARE {
            0 => {
                let id = new_conversation_id().unwrap();
                self.conversations.push(id.to_string());
                let to = format!("agent:writer-{}", draw / 9 % WRITERS as u64);
                writer.draft(&to, &Performative::Request).unwrap().conversation(&self.protocol, &id)
            }
            1 => writer.draft("inbox:writer-1", act).unwrap(),
            2 => writer.draft("agent:nobody", act).unwrap(),
            _ => writer.draft(&topic, act).unwrap().kind(&format!("kind/k{}", draw / 16 % TYPES)),
        };
        let envelope = writer.sign(draft.payload("text/plain", vec![b'x'; 200])).unwrap();
        if draw.is_multiple_of(RARE) {
            self.ids.push(envelope.attributes.get("id").unwrap().to_owned());
        }
        writer.submit(envelope).await.unwrap()
    }

    async fn fill(&mut self, records: u64) {
        let mut pending = Vec::new();
        for _ in 0..records {
            pending.push(self.send().await);
            if pending.len() >= IN_FLIGHT {
                for pending in pending.drain(..) {
                    settle(pending).await;
                }
            }
        }
        for pending in pending {
            settle(pending).await;
        }
    }

    fn filters(&self, since: Timestamp) -> Vec<(&'static str, LogFilter)> {
        let none = LogFilter::default;
        let text = |text: &str| Some(text.to_owned());
        let of = |list: &[String]| list.get(list.len() / 2).cloned();
        vec![
            ("id", LogFilter { id: of(&self.ids), ..none() }),
            ("id that is not there", LogFilter { id: text("nothing"), ..none() }),
            ("agent", LogFilter { agent: Some(self.writers[3].id()), ..none() }),
            ("recipient", LogFilter { agent: Some(self.writers[1].id()), kind: text("message"), ..none() }),
            ("topic", LogFilter { topic: text("market/t7"), ..none() }),
            ("topic pattern", LogFilter { topic: text("market/*"), ..none() }),
            ("conversation", LogFilter { conversation: of(&self.conversations), ..none() }),
            ("type", LogFilter { message_type: text("kind/k3"), ..none() }),
            ("performative", LogFilter { performative: text("propose"), ..none() }),
            ("verdict refused", LogFilter { verdict: Some(Verdict::Refused), ..none() }),
            ("since", LogFilter { since: Some(since), ..none() }),
            (
                "agent + topic + type",
                LogFilter {
                    agent: Some(self.writers[3].id()),
                    topic: text("market/t7"),
                    message_type: text("kind/k3"),
                    ..none()
                },
            ),
            ("everything", none()),
        ]
    }
}

/// Sends so many messages a second until dropped.
fn keep_sending(mut crowd: Crowd, rate: u64) -> tokio::task::JoinHandle<()> {
    let (sender, mut outcomes) = mpsc::channel::<Pending>(IN_FLIGHT);
    tokio::spawn(async move {
        while let Some(pending) = outcomes.recv().await {
            // The node is stopped while some are under way.
            drop(pending.await);
        }
    });
    tokio::spawn(async move {
        let (began, before) = (Instant::now(), crowd.sent);
        loop {
            let due = before + began.elapsed().as_millis() as u64 * rate / 1_000;
            while crowd.sent < due {
                if sender.send(crowd.send().await).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

async fn first_page(reader: &Mesh, filter: &LogFilter, newest_first: bool) -> (Duration, Vec<Value>) {
    let pages = reader.query_log(filter.clone()).page_records_max(PAGE_RECORDS);
    let mut pages = if newest_first { pages.newest_first() } else { pages };
    let began = Instant::now();
    let page = pages.next_page().await.unwrap().unwrap();
    (began.elapsed(), page)
}

/// Waits until the index covers the log.
async fn indexed(reader: &Mesh) -> Duration {
    let began = Instant::now();
    loop {
        let mut pages = reader.query_log(LogFilter::default()).page_records_max(1);
        pages.next_page().await.unwrap();
        if pages.index_building().is_none() {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(1_800), "the index is not built");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs on a thread of its own, as one who asks does not share a runtime with those who send.
fn apart(work: impl AsyncFnOnce() + Send) {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work());
    tokio::task::block_in_place(|| std::thread::scope(|scope| scope.spawn(run).join().unwrap()));
}

async fn measure(reader: &Mesh, filters: &[(&'static str, LogFilter)], limit: Duration) {
    println!("{:<24} {:<7} {:>9} {:>9} {:>8}", "first page of", "order", "p50 ms", "p99 ms", "records");
    let mut slow = Vec::new();
    for (name, filter) in filters {
        for newest_first in [false, true] {
            let (mut times, mut records) = (Vec::with_capacity(QUESTIONS), 0);
            for _ in 0..QUESTIONS {
                let (time, page) = first_page(reader, filter, newest_first).await;
                times.push(time);
                records = page.len();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            times.sort();
            let at = |percent: usize| times[(QUESTIONS * percent / 100).min(QUESTIONS - 1)];
            let (p50, p99) = (at(50), at(99));
            let order = if newest_first { "newest" } else { "oldest" };
            let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
            println!("{name:<24} {order:<7} {:>9.2} {:>9.2} {records:>8}", ms(p50), ms(p99));
            if p99 > limit {
                slow.push(format!("{name} ({order}): {p99:?}"));
            }
        }
    }
    assert!(slow.is_empty(), "over {limit:?}: {}", slow.join(", "));
}

#[tokio::test(flavor = "multi_thread")]
async fn first_pages_come_fast_and_an_index_built_anew_is_honest() {
    let records = setting("OPENMESH_QUERY_RECORDS", RECORDS);
    let limit = Duration::from_millis(setting("OPENMESH_QUERY_LIMIT_MS", LIMIT_MS));
    let mut node = Node::start(&["--pin", "market/**"]);
    let (key, mut crowd) = Crowd::enter(&node).await;
    let began = Instant::now();
    crowd.fill(records * 9 / 10).await;
    let since = openmesh_sdk::now();
    crowd.fill(records / 10).await;
    let rate = records as f64 / began.elapsed().as_secs_f64();
    let (reader_key, reader) = node.agent("reader").await;
    println!(
        "{records} records kept, {rate:.0} a second; indexed {:?} after the last",
        indexed(&reader).await
    );
    let filters = crowd.filters(since);
    let own = crowd.writers[0].query_log(filters[2].1.clone()).collect(50).await.unwrap();
    let sending = keep_sending(crowd, setting("OPENMESH_QUERY_RATE", RATE));
    tokio::time::sleep(SETTLING).await;
    apart(async || measure(&node.connect(&reader_key).await, &filters, limit).await);
    sending.abort();
    node.stop();
    std::fs::remove_dir_all(node.folder().join("projection")).unwrap();
    node.restart();
    let began = Instant::now();
    let again = node.connect(&key).await;
    let honest = again.query_log(filters[2].1.clone()).collect(50).await.unwrap();
    assert_eq!(honest, own, "the same answer while the index is built");
    let (_, newest) = first_page(&again, &filters[10].1, true).await;
    assert!(!newest.is_empty());
    indexed(&again).await;
    println!("the index was built anew in {:?}", began.elapsed());
    assert_eq!(again.query_log(filters[2].1.clone()).collect(50).await.unwrap(), own);
}
