//! A message's record as JSON text, written straight from the record's bytes: the same object as `to_json` makes.

use super::glance::{Glance, MessageBytes};
use super::render::step;
use super::{Accepted, Header, Outcome, Put};
use openmesh_message::{AgentId, Digest, Position};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::{Display, Write};

/// What a record's text takes besides attributes and payload, about.
const TEXT_BYTES_ABOUT: usize = 1_024;
/// Digits of a number, at most.
const NUMBER_DIGITS: usize = 20;

/// The texts of ids that repeat from record to record.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    agents: BTreeMap<AgentId, String>,
    /// The agent asked for last: who sends mostly signs.
    agent: Option<(AgentId, String)>,
    policy: Option<(Digest, String)>,
}

/// JSON as it is written.
struct Json<'a> {
    out: String,
    texts: &'a mut Texts,
}

impl Texts {
    fn agent(&mut self, id: &AgentId) -> &str {
        if self.agent.as_ref().is_none_or(|(last, _)| last != id) {
            let text = self.agents.entry(*id).or_insert_with(|| id.to_string()).clone();
            self.agent = Some((*id, text));
        }
        self.agent.as_ref().map_or("", |(_, text)| text)
    }

    fn policy(&mut self, version: &Digest) -> &str {
        if self.policy.as_ref().is_some_and(|(known, _)| known != version) {
            self.policy = None;
        }
        &self.policy.get_or_insert_with(|| (*version, version.to_string())).1
    }
}

/// The text of a record as somebody sees it: with its message, or without.
pub(crate) fn to_text(seen: &Glance<'_>, shows_message: bool, texts: &mut Texts) -> String {
    let Glance { header, message } = seen;
    let bytes = message.payload.len()
        + message.attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let mut json = Json { out: String::with_capacity(bytes + TEXT_BYTES_ABOUT), texts };
    json.begin(header);
    if shows_message {
        json.message(message);
    }
    json.end(header);
    json.out
}

impl Json<'_> {
    fn begin(&mut self, header: &Header) {
        self.raw("{\"at\":\"");
        self.shown(header.at);
        self.raw("\",\"epoch\":");
        self.number(header.position.epoch.into());
        self.raw(",\"kind\":");
        self.text(header.outcome.kind());
        self.raw(",\"logs\":[");
        for (place, log) in header.logs.iter().enumerate() {
            self.raw(if place == 0 { "\"" } else { ",\"" });
            self.inner(&log.log.0);
            self.raw(":");
            self.number(log.seq);
            self.raw("\"");
        }
        self.raw("]");
    }

    fn end(&mut self, header: &Header) {
        self.raw(",\"outcome\":");
        match &header.outcome {
            Outcome::Accepted(accepted) => self.accepted(accepted),
            other => self.shown(super::render::outcome(other)),
        }
        self.raw(",\"policy_version\":\"");
        self.out.push_str(self.texts.policy(&header.policy_version));
        self.raw("\",\"position\":\"");
        let Position { partition, epoch, seq } = header.position;
        self.number(partition.0.into());
        self.raw(".");
        self.number(epoch.into());
        self.raw(".");
        self.number(seq);
        self.raw("\",\"sender\":");
        match &header.sender {
            Some(sender) => self.agent(sender),
            None => self.raw("null"),
        }
        self.raw(",\"seq\":");
        self.number(header.position.seq);
        self.raw("}");
    }

    fn accepted(&mut self, accepted: &Accepted) {
        let Accepted { authenticity, rule, step: taken, puts } = accepted;
        self.raw("{\"authenticity\":\"");
        self.shown(authenticity);
        self.raw("\",\"inboxes\":[");
        for (place, put) in puts.iter().enumerate() {
            self.raw(if place == 0 { "" } else { "," });
            self.put(put);
        }
        self.raw("],\"rule\":");
        self.text(rule);
        self.raw(",\"step\":");
        match taken {
            Some(taken) => self.shown(step(taken)),
            None => self.raw("null"),
        }
        self.raw("}");
    }

    fn put(&mut self, put: &Put) {
        self.raw("{\"agent\":");
        self.agent(&put.agent);
        self.raw(",\"notice\":");
        match put.notice {
            Some(notice) => self.shown(notice),
            None => self.raw("null"),
        }
        self.raw(",\"number\":");
        self.shown(put.number);
        self.raw("}");
    }

    fn message(&mut self, message: &MessageBytes<'_>) {
        self.raw(",\"message\":{\"attributes\":{");
        for (place, (name, value)) in message.attributes.iter().enumerate() {
            self.raw(if place == 0 { "" } else { "," });
            self.text(name);
            self.raw(":");
            self.text(value);
        }
        self.raw("},\"digest\":\"");
        self.shown(message.digest);
        self.raw("\",\"payload\":");
        match serde_json::from_slice::<Value>(message.payload) {
            Ok(value) => self.shown(value),
            Err(_) => self.text(&String::from_utf8_lossy(message.payload)),
        }
        match &message.proof {
            Some((alg, key)) => {
                self.raw(",\"proof\":{\"alg\":\"");
                self.raw(alg);
                self.raw("\",\"keyid\":");
                self.agent(key);
                self.raw("}}");
            }
            None => self.raw(",\"proof\":null}"),
        }
    }

    /// JSON as it stands.
    fn raw(&mut self, json: &str) {
        self.out.push_str(json);
    }

    /// What shows itself as JSON, or as what needs no escape within a text.
    fn shown(&mut self, value: impl Display) {
        // Writing to memory cannot fail.
        let _ = write!(self.out, "{value}");
    }

    fn number(&mut self, mut number: u64) {
        let mut digits = [b'0'; NUMBER_DIGITS];
        let mut begin = NUMBER_DIGITS - 1;
        for (place, digit) in digits.iter_mut().enumerate().rev() {
            (*digit, begin) = (b'0' + (number % 10) as u8, place);
            number /= 10;
            if number == 0 {
                break;
            }
        }
        let digits = digits.get(begin..).unwrap_or_default();
        self.out.push_str(std::str::from_utf8(digits).unwrap_or_default());
    }

    fn agent(&mut self, id: &AgentId) {
        self.out.push('"');
        self.out.push_str(self.texts.agent(id));
        self.out.push('"');
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        self.inner(text);
        self.out.push('"');
    }

    /// A text without its quotes.
    fn inner(&mut self, text: &str) {
        if is_plain(text) {
            return self.out.push_str(text);
        }
        let quoted = Value::from(text).to_string();
        self.out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
    }
}

/// Whether a text stands in JSON as it is (RFC 8259 §7). Looks at every byte, so that many are looked at at once.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\'))
}
