//! Questions about a long log whose messages are known: what is asked, and how long the answer takes.

use crate::fill::{CONVERSATION_EVERY, Corpus, TOPICS, topic_path};
use crate::generate::native::Line;
use crate::process::cpu_us;
use crate::statistics::percentile;
use anyhow::{Context, Result, ensure};
use openmesh_message::frame::LogFilter;
use openmesh_message::{DomainId, KeyPair};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Instant;

/// Records of a page.
pub(crate) const PAGE_RECORDS: u32 = 100;
/// Every so many conversations are begun by the same agent as the first one.
const SAME_SENDER: u64 = 8;
/// Spreads questions over the log.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// One message.
    Id,
    /// What an agent sent.
    Agent,
    /// What went to a topic.
    Topic,
    /// A conversation.
    Conversation,
    /// What was decided from a time on.
    Time,
}

/// Each kind, and what the report calls it.
pub(crate) const KINDS: [(Kind, &str); 5] = [
    (Kind::Id, "by id"),
    (Kind::Agent, "by agent"),
    (Kind::Topic, "by topic"),
    (Kind::Conversation, "by conversation"),
    (Kind::Time, "by time"),
];

/// What to ask of which node, whose log `fill records` wrote.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What for; everything in turn when it is not said.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Where the node listens.
    #[arg(long)]
    address: SocketAddr,
    /// Its domain.
    #[arg(long)]
    domain: DomainId,
    /// Its process, whose processor time is read before and after.
    #[arg(long)]
    server: u32,
    /// Messages in the log, as they were filled in.
    #[arg(long)]
    count: u64,
    /// When the corpus begins, as it was filled in.
    #[arg(long, default_value_t = 0)]
    begins_ms: i64,
    /// Milliseconds between two of its records, in thousandths.
    #[arg(long, default_value_t = 1_000)]
    step_us: i64,
    /// Questions of each kind.
    #[arg(long, default_value_t = 500)]
    questions: u64,
}

/// What came of the questions of one kind.
#[derive(Clone, Debug, Serialize)]
struct Answered {
    kind: &'static str,
    p50_us: f64,
    p99_us: f64,
    server_cpu_us: f64,
}

/// Asks, and prints a line of JSON for each kind.
pub(crate) fn run(options: &Options) -> Result<()> {
    let corpus = Corpus::new(options.domain, options.begins_ms, options.step_us, None)?;
    let mut line = connect(options.address, options.domain, &corpus)?;
    let asking = Asking { corpus: &corpus, messages: options.count };
    for (kind, name) in KINDS {
        if options.kind.is_some_and(|asked| asked != kind) {
            continue;
        }
        let before = cpu_us(options.server)?;
        let times = asking.time(options.questions, |index| ask_node(&mut line, &asking, kind, index))?;
        let server_cpu_us = (cpu_us(options.server)? - before) / options.questions as f64;
        let micros = |share| percentile(&times, share) as f64 / 1e3;
        let answered = Answered { kind: name, p50_us: micros(0.5), p99_us: micros(0.99), server_cpu_us };
        println!("{}", serde_json::to_string(&answered)?);
    }
    Ok(())
}

/// Connects as the agent that began the first conversation: others may not read it.
pub(crate) fn connect(address: SocketAddr, domain: DomainId, corpus: &Corpus) -> Result<Line> {
    let seed = corpus.sender(0).context("an agent")?.seed();
    Line::connect_as(address, &domain, KeyPair::from_seed(&seed)?)
}

/// What is asked with.
pub(crate) struct Asking<'a> {
    pub(crate) corpus: &'a Corpus,
    pub(crate) messages: u64,
}

impl Asking<'_> {
    /// How long each of so many questions took, in nanoseconds, sorted.
    pub(crate) fn time(&self, questions: u64, mut ask: impl FnMut(u64) -> Result<usize>) -> Result<Vec<u64>> {
        let mut times = Vec::new();
        for question in 0..questions {
            let index = (question.wrapping_mul(STRIDE) >> 16) % self.messages;
            let begun = Instant::now();
            let records = ask(index)?;
            times.push(begun.elapsed().as_nanos() as u64);
            ensure!(records > 0, "question {question} about message {index} found nothing");
        }
        times.sort_unstable();
        Ok(times)
    }

    /// The message that begins a conversation which the asking agent may read.
    pub(crate) fn begins(&self, index: u64) -> u64 {
        let every = CONVERSATION_EVERY * SAME_SENDER;
        index / every * every
    }

    /// A message with a topic.
    pub(crate) fn told(index: u64) -> u64 {
        if index.is_multiple_of(CONVERSATION_EVERY) { index + 1 } else { index }
    }
}

/// Asks a node; how many records it showed.
pub(crate) fn ask_node(line: &mut Line, asking: &Asking<'_>, kind: Kind, index: u64) -> Result<usize> {
    let none = LogFilter::default;
    let filter = match kind {
        Kind::Id => LogFilter { id: Some(Corpus::id(Asking::told(index))), ..none() },
        Kind::Agent => LogFilter { agent: asking.corpus.sender(index).map(KeyPair::id), ..none() },
        Kind::Topic => LogFilter { topic: Some(topic_path(index % TOPICS)), ..none() },
        Kind::Conversation => {
            let conversation = asking.corpus.conversation(asking.begins(index));
            LogFilter { conversation: conversation.map(|id| id.to_string()), ..none() }
        }
        Kind::Time => LogFilter { since: Some(asking.corpus.at(index)), ..none() },
    };
    let page = line.ask(filter, PAGE_RECORDS)?;
    ensure!(page.index_building.is_none(), "the index is not built");
    Ok(page.records.len())
}
