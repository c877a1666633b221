//! The folder of a node with a long log, made once for all rows that need it.

use crate::fill::{Corpus, Filled};
use crate::report::Row;
use crate::run::Stage;
use crate::server::Node;
use crate::statistics::whole;
use anyhow::{Context, Result};
use openmesh_message::DomainId;
use std::path::PathBuf;

/// The folder's name on the stage; it stays from row to row.
pub(crate) const FOLDER: &str = "history";
/// Over how many days the records are spread: ids are remembered for one.
const DAYS: i64 = 10;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Disk that a record takes in all: the node's log and index, and the peers' copies.
const RECORD_BYTES: u64 = 2_500;
/// Disk that is left to others.
const DISK_LEFT_BYTES: u64 = 6 << 30;

/// A node's folder with a long log, its node stopped.
pub(crate) struct History {
    pub(crate) folder: PathBuf,
    pub(crate) domain: DomainId,
    /// Messages in it, the crash's tails not counted.
    pub(crate) messages: u64,
    begins_ms: i64,
    step_us: i64,
}

/// The history of this run, made where there is none yet.
pub(crate) fn of<'a>(stage: &'a Stage, row: &mut Row) -> Result<&'a History> {
    if stage.history.get().is_none() {
        let made = make(stage)?;
        let _ = stage.history.set(made);
    }
    let history = stage.history.get().context("the history is there")?;
    let asked = stage.settings.history;
    row.how.push(format!(
        "a log of {} messages of 200 agents to 1,000 topics, 250 B each, signed in batches of 16, one in 10,000 begins a \
         conversation; spread over {DAYS} days",
        whole(history.messages)
    ));
    if history.messages < asked {
        row.not_run.push(format!(
            "{} messages: the disk has room for {} only",
            whole(asked),
            whole(history.messages)
        ));
    }
    Ok(history)
}

fn make(stage: &Stage) -> Result<History> {
    let folder = stage.folder(FOLDER)?;
    let space = rustix::fs::statvfs(&folder)?;
    let room = (space.f_bavail * space.f_frsize).saturating_sub(DISK_LEFT_BYTES) / RECORD_BYTES;
    let messages = stage.settings.history.min(room);
    let mut node = Node::start(&stage.openmesh, &folder, &[])?;
    let domain = node.domain;
    node.process.stop()?;
    let now = crate::generate::now()?.millis();
    let step_us = DAYS * DAY_MS * 1_000 / messages.max(1).cast_signed();
    let history = History { folder, domain, messages, begins_ms: now - DAYS * DAY_MS, step_us };
    stage.doing(&format!("writing a log of {messages} messages"));
    history.fill(stage, 0, messages, false)?;
    Ok(history)
}

impl History {
    /// The messages, as they were made.
    pub(crate) fn corpus(&self) -> Result<Corpus> {
        Corpus::new(self.domain, self.begins_ms, self.step_us, None)
    }

    /// Adds messages; the log is then closed, or left as by a crash.
    pub(crate) fn fill(&self, stage: &Stage, first: u64, count: u64, crash: bool) -> Result<()> {
        let mut words = vec![
            "fill".to_owned(),
            "records".to_owned(),
            format!("--folder={}", self.folder.display()),
            format!("--domain={}", self.domain),
            format!("--first={first}"),
            format!("--count={count}"),
            format!("--begins-ms={}", self.begins_ms),
            format!("--step-us={}", self.step_us),
        ];
        words.extend(crash.then(|| "--crash".to_owned()));
        stage.load::<Filled>(&words).map(drop)
    }
}
