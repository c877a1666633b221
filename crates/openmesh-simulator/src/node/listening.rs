//! What each subscription must be handed, kept apart from the core: every kept message of its topics, in order.

use crate::log::Log;
use crate::violation::{Violation, ensure};
use openmesh_core::{ConnectionId, Effect, Input, Plan, Ticket};
use openmesh_message::frame::{Command, Reply, Start};
use std::collections::BTreeMap;

const PROMISE: &str = "a subscriber is handed every kept message of its topics, in order";

type Key = (ConnectionId, u64);

/// The subscriptions of a run of the node.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    by_key: BTreeMap<Key, Listener>,
}

#[derive(Debug)]
struct Listener {
    pattern: String,
    after_seq: u64,
    live_after: u64,
    got: Vec<u64>,
    /// The head when its end was planned.
    ends_at: Option<u64>,
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

    pub(crate) fn subject(&self, input: &Input) -> Subject {
        match input {
            Input::Disconnected { connection } => Subject::Leaves(*connection),
            Input::Command { ticket, command } => match command {
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
                let after_seq = match start {
                    Start::Next => head,
                    Start::At(seq) => seq.saturating_sub(1),
                };
                let pattern = pattern.rsplit("topic:").next().unwrap_or_default();
                let listener = Listener {
                    pattern: pattern.to_owned(),
                    after_seq,
                    live_after: head,
                    got: Vec::new(),
                    ends_at: None,
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

    /// Notes a message read from the log for a subscription; what it was handed live meanwhile comes after.
    pub(crate) fn catch_up(&mut self, key: Key, seq: u64, topic: &str) -> Result<(), Violation> {
        if self.by_key.get(&key).is_some_and(|listener| listener.ends_at.is_some()) {
            return Ok(());
        }
        self.hand(key, Some(seq), topic)
    }

    /// The last record planned before the subscription; later ones are handed over live.
    pub(crate) fn live_after(&self, key: Key) -> u64 {
        self.by_key.get(&key).map_or(0, |listener| listener.live_after)
    }

    /// Compares what was handed over with the log, up to the last record performed.
    pub(crate) fn check(&mut self, log: &Log) -> Result<(), Violation> {
        for (key, listener) in &self.by_key {
            let through = listener.ends_at.unwrap_or_else(|| log.head());
            let mut expected = Vec::new();
            for seq in listener.after_seq + 1..=through {
                if log.record(seq)?.header.logs.iter().any(|log| {
                    log.log.0.strip_prefix("topic/").is_some_and(|topic| matches(&listener.pattern, topic))
                }) {
                    expected.push(seq);
                }
            }
            ensure(expected == listener.got, PROMISE, || {
                format!("{key:?} `{}`: due {expected:?}, handed {:?}", listener.pattern, listener.got)
            })?;
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
