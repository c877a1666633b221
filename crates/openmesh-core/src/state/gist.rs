//! What applying a message needs to know of it, which is far less than the message. It is the same whether it is taken
//! from a message that was admitted, from one that was decoded, or from the bytes of one.

use crate::admit::Admitted;
use crate::dedup::{short, short_id};
use crate::inbox::{bytes_in_reply, bytes_in_reply_at_most};
use crate::record::{Header, Outcome, Parts, Record};
use minicbor::Decoder;
use openmesh_message::json::Document;
use openmesh_message::{AgentId, Digest, Envelope, Priority, Target, Timestamp, TopicPath, Transit};
use std::sync::Arc;

/// What applying a message needs to know of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gist {
    pub(crate) sender: AgentId,
    /// Of its id.
    pub(crate) id: u64,
    /// Of its digest.
    pub(crate) check: u64,
    pub(crate) time: Timestamp,
    pub(crate) expiry: Option<Timestamp>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) priority: Priority,
    pub(crate) is_act: bool,
    pub(crate) topic: Option<TopicPath>,
    /// Of an act.
    pub(crate) payload: Option<Arc<Document>>,
    sizes: Sizes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sizes {
    attributes: usize,
    attributes_bytes: usize,
    payload_bytes: usize,
    trace_bytes: usize,
}

/// The attributes that matter, as text.
#[derive(Default)]
struct Texts<'a> {
    id: Option<&'a str>,
    time: Option<&'a str>,
    expiry: Option<&'a str>,
    not_before: Option<&'a str>,
    priority: Option<&'a str>,
    is_act: bool,
}

impl Gist {
    /// That of a message that passed admission.
    pub(crate) fn of_admitted(admitted: &Admitted) -> Self {
        let control = &admitted.control;
        let topic = match &control.to.target {
            Target::Topic(topic) => Some(topic.clone()),
            _ => None,
        };
        Self {
            sender: control.source,
            id: admitted.short_id(),
            check: short(&admitted.digest()),
            time: control.time,
            expiry: control.expiry,
            not_before: control.not_before,
            priority: control.priority,
            is_act: control.is_act(),
            topic,
            payload: admitted.payload.clone().filter(|_| control.is_act()),
            sizes: Sizes::of(&admitted.envelope),
        }
    }

    /// That of a record's message, which was valid when it was taken in; `None` if it holds none.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        let envelope = record.message()?;
        let mut texts = Texts::default();
        envelope.attributes.iter().for_each(|(name, value)| texts.note(name, value));
        let payload = payload_of(&record.header, &envelope.payload);
        texts.gist(&record.header, &envelope.digest(), payload, Sizes::of(envelope))
    }

    /// The same from the encoded body of a record, with the message's digest and what stands behind its payload; `None`
    /// if it holds no message in its one form.
    pub(crate) fn read<'a>(header: &Header, body: &'a [u8]) -> Option<(Option<Self>, Digest, &'a [u8])> {
        let (mut texts, mut sizes) = (Texts::default(), Sizes::default());
        let parts = Parts::read(body, |name, value| {
            texts.note(name, value);
            sizes.attributes += 1;
            sizes.attributes_bytes += name.len() + value.len();
        })?;
        let mut decoder = Decoder::new(parts.rest);
        decoder.skip().ok()?;
        sizes.trace_bytes = trace_bytes(&decoder.decode::<Transit>().ok()?);
        sizes.payload_bytes = parts.payload.len();
        let digest = parts.digest();
        let gist = texts.gist(header, &digest, payload_of(header, parts.payload), sizes);
        Some((gist, digest, parts.rest))
    }

    /// Bytes of attributes and payload.
    pub(crate) const fn bytes(&self) -> u64 {
        (self.sizes.attributes_bytes + self.sizes.payload_bytes) as u64
    }

    /// Bytes that it takes in a reply, at most.
    pub(crate) fn bytes_in_reply(&self, header: &Header) -> u32 {
        let Sizes { attributes, attributes_bytes, payload_bytes, trace_bytes } = self.sizes;
        bytes_in_reply(attributes, attributes_bytes + payload_bytes + trace_bytes, &header.logs)
    }

    /// Bytes that a notice of its step takes in a reply, at most.
    pub(crate) fn notice_bytes_in_reply(&self) -> u32 {
        bytes_in_reply_at_most(self.sizes.payload_bytes)
    }
}

impl Sizes {
    fn of(envelope: &Envelope) -> Self {
        Self {
            attributes: envelope.attributes.iter().len(),
            attributes_bytes: envelope.attributes.bytes(),
            payload_bytes: envelope.payload.len(),
            trace_bytes: trace_bytes(&envelope.transit),
        }
    }
}

impl<'a> Texts<'a> {
    fn note(&mut self, name: &str, value: &'a str) {
        match name {
            "id" => self.id = Some(value),
            "time" => self.time = Some(value),
            "expirytime" => self.expiry = Some(value),
            "notbefore" => self.not_before = Some(value),
            "priority" => self.priority = Some(value),
            "protocol" => self.is_act = true,
            _ => {}
        }
    }

    fn gist(
        &self,
        header: &Header,
        digest: &Digest,
        payload: Option<Arc<Document>>,
        sizes: Sizes,
    ) -> Option<Gist> {
        let time = |text: Option<&str>| text.map(str::parse::<Timestamp>).transpose().ok();
        let topic = header.logs.first().and_then(|log| log.log.0.strip_prefix("topic/"));
        Some(Gist {
            sender: header.sender?,
            id: short_id(self.id?),
            check: short(digest),
            time: time(self.time)??,
            expiry: time(self.expiry)?,
            not_before: time(self.not_before)?,
            priority: self.priority.map(str::parse).transpose().ok()?.unwrap_or_default(),
            is_act: self.is_act,
            topic: topic.map(str::parse).transpose().ok()?,
            payload,
            sizes,
        })
    }
}

/// The payload of a message that is a step of a conversation: nothing else is read again.
fn payload_of(header: &Header, payload: &[u8]) -> Option<Arc<Document>> {
    let is_step = matches!(&header.outcome, Outcome::Accepted(accepted) if accepted.step.is_some());
    if is_step { Document::read(payload).ok().map(Arc::new) } else { None }
}

fn trace_bytes(transit: &Transit) -> usize {
    [&transit.traceparent, &transit.tracestate].into_iter().flatten().map(String::len).sum()
}

#[cfg(test)]
mod tests {
    use super::Gist;
    use crate::record::{Accepted, Body, Header, Outcome, RECORD_VERSION, Record};
    use openmesh_message::{
        Attributes, Digest, Envelope, KeyPair, LogName, LogSeq, PartitionId, Position, Proof, Timestamp,
        Transit,
    };
    use openmesh_policy::Authenticity;

    fn record(attributes: &[(&str, &str)], log: &str, transit: Transit) -> Record {
        let key = KeyPair::from_seed(&[1; 32]).unwrap();
        let mut set = Attributes::default();
        attributes.iter().for_each(|(name, value)| set.set(name, value).unwrap());
        let payload = bytes::Bytes::from_static(br#"{"a":1}"#);
        let proof = Proof::sign_batch(&key, &[set.digest(&payload), Digest::ZERO]).into_iter().next();
        let envelope = Envelope { attributes: set, payload, proof, transit };
        let accepted =
            Accepted { authenticity: Authenticity::Signed, rule: "r".into(), step: None, puts: Vec::new() };
        let header = Header {
            version: RECORD_VERSION,
            position: Position { partition: PartitionId(0), epoch: 1, seq: 1 },
            at: Timestamp::from_millis(5),
            logs: vec![LogSeq { log: LogName(log.into()), seq: 3 }],
            sender: Some(key.id()),
            outcome: Outcome::Accepted(accepted),
            policy_version: Digest::ZERO,
            commitment: Digest::ZERO,
        };
        Record { header, body: Body::Message(envelope.into()) }
    }

    fn read(header: &Header, body: &[u8]) -> Option<Option<Gist>> {
        Gist::read(header, body).map(|(gist, _, _)| gist)
    }

    #[test]
    fn the_bytes_of_a_message_give_what_the_message_gives() {
        let traced = Transit { tracestate: Some("a=b".to_owned()), ..Transit::default() };
        let time = ("time", "2026-01-01T00:00:00.001Z");
        let later = "2026-01-02T00:00:00Z";
        for (attributes, log, transit) in [
            (vec![("id", "one"), time], "topic/market/a", Transit::default()),
            (vec![("id", "two"), time, ("priority", "bulk"), ("expirytime", later)], "inbox/x", traced),
            (
                vec![("id", "three"), time, ("notbefore", later), ("protocol", "p")],
                "inbox/x",
                Transit::default(),
            ),
        ] {
            let record = record(&attributes, log, transit);
            let whole = Gist::of(&record).unwrap();
            let body = minicbor::to_vec(&record.body).unwrap();
            assert_eq!(read(&record.header, &body).unwrap(), Some(whole.clone()));
            assert_eq!(whole.topic.is_some(), log.starts_with("topic/"));
            for length in 0..body.len() {
                assert!(read(&record.header, &body[..length]).is_none(), "{length}");
            }
        }
        let nameless = record(&[("id", "four")], "inbox/x", Transit::default());
        assert_eq!(Gist::of(&nameless), None);
        let body = minicbor::to_vec(&nameless.body).unwrap();
        assert_eq!(read(&nameless.header, &body), Some(None));
        let empty = minicbor::to_vec(Body::Empty).unwrap();
        assert_eq!(read(&nameless.header, &empty), None);
    }
}
