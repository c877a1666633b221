//! What the index is told of a record, and what a question asks it for.

use openmesh_core::{Question, Sought as Asked, Stored, Term, Terms};
use openmesh_store::{Entry, LogReader, Projection, Sought, StoredRecord, TimeRange, Topics};
use std::path::Path;
use std::sync::Arc;

/// The version of what records are indexed by; an index of another version is built anew.
const TERMS_VERSION: u32 = 3;

/// Opens the index of a log and has it follow the log.
pub(crate) fn index(folder: &Path, log: LogReader) -> std::io::Result<Projection> {
    let mut terms = Terms::default();
    Projection::start(
        folder,
        TERMS_VERSION,
        log,
        Box::new(move |stored, entry| read(stored, &mut terms, entry)),
    )
}

fn read(stored: &StoredRecord, terms: &mut Terms, entry: &mut Entry) -> bool {
    let StoredRecord { header, salt, body, is_erased, .. } = stored;
    let Entry { terms: found, topic, topic_term, at } = entry;
    let read = terms.read(Stored { header, salt, body, is_erased: *is_erased }, |term| found.push(term.0));
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            tracing::error!(%error, position = %stored.position, "a record cannot be read");
            return false;
        }
    };
    if let Some(path) = read.topic() {
        topic.push_str(path);
        *topic_term = terms.topic(path).0;
    }
    *at = read.at.millis();
    true
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
