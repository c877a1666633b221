//! A large log, made fast: the partition and the store are driven directly, as a node does, without its network.
//!
//! Every message is signed, admitted, decided, recorded and synced. The node that owns the folder must be stopped.

mod corpus;
mod filler;
mod inboxes;

pub(crate) use corpus::{CONVERSATION_EVERY, Corpus, PAYLOAD_BYTES, TOPICS, payload, topic_path};

use anyhow::{Context, Result};
use filler::Filler;
use openmesh_core::Admitted;
use openmesh_core::admit::{Familiar, admit};
use openmesh_message::{AgentId, DomainId, Timestamp};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};

/// Chunks of signed messages that wait for the partition.
const CHUNKS_AHEAD: usize = 64;

/// What to write into which folder.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What to write.
    #[arg(value_enum)]
    what: What,
    /// The folder of a stopped node.
    #[arg(long)]
    folder: PathBuf,
    /// Its domain.
    #[arg(long)]
    domain: DomainId,
    /// How many.
    #[arg(long)]
    count: u64,
    /// The first record of the corpus.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// When the corpus begins, in milliseconds since 1970.
    #[arg(long, default_value_t = 0)]
    begins_ms: i64,
    /// Milliseconds between two of its records, in thousandths.
    #[arg(long, default_value_t = 1_000)]
    step_us: i64,
    /// Stop early after so long.
    #[arg(long, default_value_t = u64::MAX)]
    seconds: u64,
    /// End as a crash would: no snapshot, no closed log.
    #[arg(long)]
    crash: bool,
}

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Messages of many agents to many topics, some in conversations.
    Records,
    /// Agents, and for each one message to a topic.
    Agents,
    /// Agents, each of which had one message in its inbox and acknowledged it.
    Inboxes,
}

/// What was written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Filled {
    /// As many as were asked for, unless time was up.
    pub(crate) count: u64,
    /// Records that the log has.
    pub(crate) records: u64,
}

/// Writes it, and prints how much it is.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut filler = Filler::open(&options.folder, options.domain)?;
    let count = match options.what {
        What::Records => fill_records(&mut filler, options)?,
        What::Agents | What::Inboxes => inboxes::fill(&mut filler, options)?,
    };
    let records = filler.end(!options.crash)?;
    println!("{}", serde_json::to_string(&Filled { count, records })?);
    Ok(())
}

/// A signed message that passed admission at a time.
type Ready = (Timestamp, AgentId, Admitted);

fn fill_records(filler: &mut Filler, options: &Options) -> Result<u64> {
    let protocol = filler.protocol("fipa/request").context("there is no protocol fipa/request")?;
    let corpus = Corpus::new(options.domain, options.begins_ms, options.step_us, Some(protocol))?;
    for (place, agent) in corpus.agents().enumerate() {
        if filler.view().directory.agent(&agent).is_none() {
            filler.register(agent, &format!("writer-{place}"), corpus.at(options.first))?;
        }
    }
    let view = filler.view();
    let (chunks, ready) = sync_channel::<Vec<Ready>>(CHUNKS_AHEAD);
    let range = options.first..options.first + options.count;
    std::thread::scope(|scope| {
        let making = scope.spawn(|| make(&corpus, &view, range, chunks));
        for chunk in ready {
            for (at, agent, admitted) in chunk {
                filler.take(agent, admitted, at)?;
            }
        }
        making.join().map_err(|_| anyhow::anyhow!("the signing thread ended early"))??;
        Ok(options.count)
    })
}

/// Signs and admits messages, in chunks of one signature each.
fn make(
    corpus: &Corpus,
    view: &openmesh_core::View,
    range: std::ops::Range<u64>,
    chunks: SyncSender<Vec<Ready>>,
) -> Result<()> {
    let mut familiar = Familiar::default();
    let mut next = range.start;
    while next < range.end {
        let upto = corpus.chunk_end(next).min(range.end);
        let mut ready = Vec::new();
        for (index, (agent, envelope)) in (next..upto).zip(corpus.chunk(next..upto)?) {
            let at = corpus.at(index);
            let admitted = admit(envelope, agent, view, &mut familiar, at);
            let admitted = admitted.map_err(|refused| anyhow::anyhow!("refused: {:?}", refused.rejection))?;
            ready.push((at, agent, admitted));
        }
        if chunks.send(ready).is_err() {
            break;
        }
        next = upto;
    }
    Ok(())
}
