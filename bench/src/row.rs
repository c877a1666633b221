//! The rows, one file each.

mod checked;
mod exchange;
pub(crate) mod history;
mod idle;
mod mail;
mod matching;
mod pipeline;
mod proved;
mod publish;
mod pubsub;
mod query;
mod restart;
mod start;

use crate::generate::native::Line;
use crate::report::Row;
use crate::run::Stage;
use crate::server::Node;
use anyhow::{Result, bail};
use openmesh_message::frame::LogFilter;
use std::time::{Duration, Instant};

/// A row by its name.
pub(crate) struct Play {
    pub(crate) id: &'static str,
    pub(crate) play: fn(&Stage) -> Result<Row>,
}

/// Every row there is, in the order they are played.
pub(crate) const PLAYS: &[Play] = &[
    Play { id: "P1", play: pubsub::play },
    Play { id: "P1s", play: proved::play },
    Play { id: "P2", play: publish::play },
    Play { id: "P3", play: checked::play },
    Play { id: "P4", play: exchange::play },
    Play { id: "P5", play: mail::play },
    Play { id: "P6", play: idle::play },
    Play { id: "P7", play: matching::play },
    Play { id: "P8", play: restart::play },
    Play { id: "P9", play: query::play },
    Play { id: "P11", play: pipeline::play },
    Play { id: "P13", play: start::play },
];

/// Between two looks at how far an index is.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long an index may take.
const INDEX_WAIT: Duration = Duration::from_secs(1_800);

/// What was seen of a node that builds its index.
pub(crate) struct Indexed {
    pub(crate) took: Duration,
    /// Whether a question was answered with `index_building` meanwhile.
    pub(crate) said_so: bool,
}

/// Asks a node the same question until its index covers the log.
pub(crate) fn wait_indexed(node: &Node) -> Result<Indexed> {
    let mut line = Line::connect(node.address, &node.domain)?;
    line.register()?;
    let begun = Instant::now();
    let mut said_so = false;
    loop {
        let page = line.ask(LogFilter::default(), 1)?;
        let took = begun.elapsed();
        match page.index_building {
            None => return Ok(Indexed { took, said_so }),
            Some(_) if took > INDEX_WAIT => bail!("the index was not built in {INDEX_WAIT:?}"),
            Some(_) => said_so = true,
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
