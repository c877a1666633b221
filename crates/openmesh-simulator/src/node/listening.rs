//! What each subscription must be handed, kept apart from the core: every kept message of its topics, in order.

use crate::log::Log;
use crate::violation::{Violation, ensure};
use openmesh_core::record::Record;
use openmesh_core::{ConnectionId, Effect, Input, Plan, Ticket};
use openmesh_message::Timestamp;
use openmesh_message::frame::{Command, Reply, Start};
use std::collections::BTreeMap;

const PROMISE: &str = "a subscriber is handed every kept message of its topics, in order";

type Key = (ConnectionId, u64);

/// The subscriptions of a run of the node.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    by_key: BTreeMap<Key, Listener>,
    /// The topic of each record of the log and when it was decided, by its number less one.
    topics: Vec<(Option<String>, Timestamp)>,
}

#[derive(Debug)]
struct Listener {
    pattern: String,
    after_seq: u64,
    since: Timestamp,
    live_after: u64,
    got: Vec<u64>,
    /// The head when its end was planned.
    ends_at: Option<u64>,
    /// Its number was another subscription's in the same turn: what is handed to which cannot be told.
    is_blurred: bool,
}

/// What an input does to subscriptions.
pub(crate) enum Subject {
    Nothing,
    Begins(Ticket, u64, String, Start),
    Ends(Ticket, u64),
    Leaves(ConnectionId),
}

impl Listening {
    pub(crate) fn clear(&mut self) {
        self.by_key.clear();
    }

    /// Notes the next record of the log.
    pub(crate) fn note(&mut self, record: &Record) {
        let mut logs = record.header.logs.iter();
        let topic = logs.find_map(|log| log.log.0.strip_prefix("topic/"));
        self.topics.push((topic.map(str::to_owned), record.header.at));
    }

    pub(crate) fn subject(&self, input: &Input) -> Subject {
        match input {
            Input::Disconnected { connection } => Subject::Leaves(*connection),
            Input::Command { ticket, command } => match &**command {
                Command::Subscribe { subscription, pattern, start } => {
                    Subject::Begins(*ticket, *subscription, pattern.clone(), *start)
                }
                Command::Unsubscribe { subscription } => Subject::Ends(*ticket, *subscription),
                _ => Subject::Nothing,
            },
            _ => Subject::Nothing,
        }
    }

    /// Notes what was planned for subscriptions; `head` is the last record planned so far.
    pub(crate) fn begin(&mut self, subject: Subject, plan: &Plan, head: u64) {
        let done = |ticket: Ticket| {
            plan.effects.iter().any(|effect| *effect == Effect::Reply(ticket, Ok(Reply::Done)))
        };
        match subject {
            Subject::Begins(ticket, number, pattern, start) if done(ticket) => {
                let (after_seq, since) = match start {
                    Start::Next => (head, Timestamp::from_millis(0)),
                    Start::At(seq) => (seq.saturating_sub(1), Timestamp::from_millis(0)),
                    Start::Since(time) => (0, time),
                };
                let pattern = pattern.rsplit("topic:").next().unwrap_or_default();
                let listener = Listener {
                    pattern: pattern.to_owned(),
                    after_seq,
                    since,
                    live_after: head,
                    got: Vec::new(),
                    ends_at: None,
                    is_blurred: self.by_key.contains_key(&(ticket.connection, number)),
                };
                self.by_key.insert((ticket.connection, number), listener);
            }
            Subject::Ends(ticket, number) if done(ticket) => {
                self.end((ticket.connection, number), head);
            }
            Subject::Leaves(connection) => {
                let range = (connection, 0)..=(connection, u64::MAX);
                let keys: Vec<_> = self.by_key.range(range).map(|(key, _)| *key).collect();
                for key in keys {
                    self.end(key, head);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, key: Key, head: u64) {
        if let Some(listener) = self.by_key.get_mut(&key) {
            listener.ends_at = Some(listener.ends_at.unwrap_or(head));
        }
    }

    /// Notes a message handed over; `seq` is that of its record, if it is kept.
    pub(crate) fn hand(&mut self, key: Key, seq: Option<u64>, topic: &str) -> Result<(), Violation> {
        let Some(listener) = self.by_key.get_mut(&key) else {
            return Err(Violation::new(
                "only subscribers are handed messages",
                format!("{key:?} has no subscription that takes in `{topic}`"),
            ));
        };
        ensure(matches(&listener.pattern, topic), "only subscribers are handed messages", || {
            format!("`{}` takes in no `{topic}`", listener.pattern)
        })?;
        listener.got.extend(seq);
        Ok(())
    }

    /// The last record planned before the subscription; later ones are handed over live.
    pub(crate) fn live_after(&self, key: Key) -> u64 {
        self.by_key.get(&key).map_or(0, |listener| listener.live_after)
    }

    /// Compares what was handed over since the last time with the log, up to its head.
    pub(crate) fn check(&mut self, log: &Log) -> Result<(), Violation> {
        for (key, listener) in &mut self.by_key {
            let through = listener.ends_at.unwrap_or_else(|| log.head());
            let is_due = |seq: &u64| {
                let place = usize::try_from(*seq).ok().and_then(|seq| seq.checked_sub(1));
                let found = place.and_then(|place| self.topics.get(place));
                let (topic, at) = found.map_or((None, listener.since), |(topic, at)| (topic.as_deref(), *at));
                // What is handed over live is not older than what has been read, whatever the clock says.
                let young = at >= listener.since || *seq > listener.live_after;
                young && topic.is_some_and(|topic| matches(&listener.pattern, topic))
            };
            let due = (listener.after_seq + 1..=through).filter(is_due);
            let due: Vec<_> = due.collect();
            ensure(due == listener.got || listener.is_blurred, PROMISE, || {
                format!("{key:?} `{}`: due {due:?}, handed {:?}", listener.pattern, listener.got)
            })?;
            listener.after_seq = listener.after_seq.max(through);
            listener.got.clear();
        }
        self.by_key.retain(|_, listener| listener.ends_at.is_none());
        Ok(())
    }
}

/// `*` is one level, `**` the rest.
pub(crate) fn matches(pattern: &str, topic: &str) -> bool {
    match (pattern.split_once('/'), topic.split_once('/')) {
        _ if pattern == "**" => true,
        (Some((first, pattern)), Some((level, topic))) => {
            (first == "*" || first == level) && matches(pattern, topic)
        }
        (None, None) => pattern == "*" || pattern == topic,
        _ => false,
    }
}
