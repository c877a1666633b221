//! What the index is told of a record, and what a question asks it for.

use crate::perform::reading::decode;
use openmesh_core::{Question, Sought as Asked, Term, Terms};
use openmesh_store::{Entry, LogReader, Projection, Sought, StoredRecord, TimeRange, Topics};
use std::path::Path;
use std::sync::Arc;

/// The version of what records are indexed by; an index of another version is built anew.
const TERMS_VERSION: u32 = 2;

/// Opens the index of a log and has it follow the log.
pub(crate) fn index(folder: &Path, log: LogReader) -> std::io::Result<Projection> {
    Projection::start(folder, TERMS_VERSION, log, Arc::new(entry))
}

fn entry(stored: &StoredRecord) -> Option<Entry> {
    let record = decode(stored)?;
    let Terms { terms, topic } = Terms::of(&record);
    let topic = topic.map(|topic| {
        let term = Term::of_topic(&topic).0;
        (topic, term)
    });
    Some(Entry {
        terms: terms.into_iter().map(|term| term.0).collect(),
        topic,
        at: record.header.at.millis(),
    })
}

/// Records that fit the question's filter, among those that the asker may be let read.
pub(super) fn sought(question: &Question) -> Sought {
    let Asked { all, pattern } = Asked::of(&question.filter);
    // What bears the asker's own term, or that of one topic, is all of it such.
    let is_one_topic = question.filter.topic.is_some() && pattern.is_none();
    let any = if is_one_topic || question.filter.agent == Some(question.agent) {
        Vec::new()
    } else {
        Term::readable_by(&question.agent, &question.filter)
    };
    let topics = pattern.map(|pattern| Topics {
        prefix: pattern.as_str().split('*').next().unwrap_or_default().to_owned(),
        takes: Arc::new(move |path| path.parse().is_ok_and(|path| pattern.matches(&path))),
    });
    let times = TimeRange {
        since: question.filter.since.map(openmesh_message::Timestamp::millis),
        until: question.filter.until.map(openmesh_message::Timestamp::millis),
    };
    Sought {
        all: all.into_iter().map(|term| term.0).collect(),
        any: any.into_iter().map(|term| term.0).collect(),
        topics,
        times,
        newest_first: question.newest_first,
    }
}
