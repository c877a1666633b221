//! Envelopes on a connection: attribute names by number, repeating values by reference to their first use.

use super::FrameWriter;
use super::alike::{Marks, Own, WireForms};
use crate::attributes::{Name, Value};
use crate::limits::{ATTRIBUTES_MAX, INTERNED_VALUE_BYTES_MAX, INTERNED_VALUES_MAX};
use crate::{Attributes, Envelope};
use bytes::Bytes;
use minicbor::Decoder;
use minicbor::data::Type;
use minicbor::decode::Error as DecodeError;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

/// Attribute names with a number; the order is part of the wire and only ever grows at its end.
const NAMES: [&str; 30] = [
    "id",
    "to",
    "type",
    "time",
    "source",
    "parents",
    "replyby",
    "replyto",
    "subject",
    "acklevel",
    "priority",
    "protocol",
    "inreplyto",
    "dataschema",
    "expirytime",
    "specversion",
    "performative",
    "conversationid",
    "datacontenttype",
    "critical",
    "invite",
    "more",
    "sequence",
    "partitionkey",
    "ontology",
    "tags",
    "idempotencykey",
    "causationid",
    "purpose",
    "dataclassification",
];
/// Names whose values repeat from message to message.
const REPEATING: [&str; 11] = [
    "to",
    "type",
    "source",
    "replyto",
    "acklevel",
    "priority",
    "protocol",
    "dataschema",
    "specversion",
    "performative",
    "datacontenttype",
];

/// Items of an envelope in a frame: attributes, payload, proof, transit part.
pub(super) const ENVELOPE_ITEMS: u64 = 4;

/// The values an encoder has defined on its connection.
#[derive(Default)]
pub struct EncodeTable {
    defined: BTreeMap<Box<str>, u32>,
    pub(super) forms: WireForms,
}

/// The values a decoder has been told on its connection.
#[derive(Default)]
pub struct DecodeTable {
    defined: Vec<Value>,
    pub(super) forms: WireForms,
}

/// A name as attributes hold it: one that has a number is not copied.
pub(crate) fn known_name(name: &str) -> Name {
    let known = NAMES.iter().find(|known| **known == name);
    known.map_or_else(|| Cow::Owned(name.to_owned()), |known| Cow::Borrowed(*known))
}

fn may_intern(name: &str, value: &str, entries: usize) -> bool {
    entries < INTERNED_VALUES_MAX && value.len() <= INTERNED_VALUE_BYTES_MAX && REPEATING.contains(&name)
}

pub(super) fn encode_envelope(
    e: &mut FrameWriter<'_>,
    envelope: &Envelope,
    table: &mut EncodeTable,
) -> Result<(), minicbor::encode::Error<Infallible>> {
    if !table.forms.write(&envelope.attributes, e.writer_mut()) {
        encode_attributes(e, &envelope.attributes, table)?;
    }
    e.bytes(&envelope.payload)?.encode(&envelope.proof)?.encode(&envelope.transit)?;
    Ok(())
}

pub(super) fn encode_attributes(
    e: &mut FrameWriter<'_>,
    attributes: &Attributes,
    table: &mut EncodeTable,
) -> Result<(), minicbor::encode::Error<Infallible>> {
    let (start, mut marks, mut defines) = (e.writer().len(), Marks::default(), false);
    e.map(attributes.iter().len() as u64)?;
    for (name, value) in attributes.iter() {
        match NAMES.iter().position(|known| *known == name) {
            Some(number) => e.u32(number as u32)?,
            None => e.str(name)?,
        };
        let from = e.writer().len() - start;
        if let Some(reference) = table.defined.get(value) {
            e.u32(*reference)?;
        } else if may_intern(name, value, table.defined.len()) {
            let reference = table.defined.len() as u32;
            table.defined.insert(value.into(), reference);
            e.array(1)?.str(value)?;
            defines = true;
        } else {
            e.str(value)?;
        }
        marks.note(name, from, e.writer().len() - start);
    }
    if let Some(form) = attributes.form().filter(|_| !defines) {
        table.forms.note(form, e.writer().get(start..).unwrap_or_default(), marks);
    }
    Ok(())
}

/// What stands behind the payload of a message without proof and transit part.
const BARE_TAIL: [u8; 4] = [0xf6, 0x82, 0xf6, 0x80];

/// Appends it.
pub(super) fn put_tail(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&BARE_TAIL);
}

/// One message as it is read.
#[expect(clippy::large_enum_variant, reason = "neither is kept: each is put where it belongs at once")]
pub(super) enum Coming {
    /// One of a known form that bears nothing but that, id and time: where its own stands.
    Alike(Own, Range<usize>),
    /// Any other.
    Other(Envelope),
}

pub(super) fn decode_coming(d: &mut Decoder<'_>, table: &mut DecodeTable) -> Result<Coming, DecodeError> {
    let Some(own) = table.forms.read(d.input(), d.position()) else {
        let attributes = decode_attributes(d, table)?;
        let payload = d.bytes()?;
        return decode_rest(d, attributes, payload).map(Coming::Other);
    };
    d.set_position(own.end);
    let payload = d.bytes()?;
    let end = d.position();
    if own.form.is_bare() && d.input().get(end..).is_some_and(|rest| rest.starts_with(&BARE_TAIL)) {
        d.set_position(end + BARE_TAIL.len());
        return Ok(Coming::Alike(own, end - payload.len()..end));
    }
    decode_rest(d, own.attributes(d.input()), payload).map(Coming::Other)
}

pub(super) fn decode_envelope(d: &mut Decoder<'_>, table: &mut DecodeTable) -> Result<Envelope, DecodeError> {
    let attributes = match table.forms.read(d.input(), d.position()) {
        Some(own) => {
            d.set_position(own.end);
            own.attributes(d.input())
        }
        None => decode_attributes(d, table)?,
    };
    let payload = d.bytes()?;
    decode_rest(d, attributes, payload)
}

fn decode_rest(d: &mut Decoder<'_>, attributes: Attributes, payload: &[u8]) -> Result<Envelope, DecodeError> {
    let payload = Bytes::copy_from_slice(payload);
    Ok(Envelope { attributes, payload, proof: d.decode()?, transit: d.decode()? })
}

fn decode_attributes(d: &mut Decoder<'_>, table: &mut DecodeTable) -> Result<Attributes, DecodeError> {
    let (start, mut marks, mut defines) = (d.position(), Marks::default(), false);
    let count = d.map()?.ok_or_else(|| DecodeError::message("attributes without their number"))?;
    if count > ATTRIBUTES_MAX as u64 {
        return Err(DecodeError::message(format!("more than {ATTRIBUTES_MAX} attributes")));
    }
    let mut attributes = Attributes::default();
    for _ in 0..count {
        let name = decode_name(d)?;
        let from = d.position() - start;
        let value = decode_value(d, table)?;
        marks.note(&name, from, d.position() - start);
        defines |= matches!(value, Told::ForLater(_));
        push(&mut attributes, name, value, table)?;
    }
    attributes.keep_encoding();
    let bytes = d.input().get(start..d.position()).filter(|_| !defines);
    Ok(bytes.and_then(|bytes| table.forms.learn(&attributes, bytes, marks)).unwrap_or(attributes))
}

fn push(
    attributes: &mut Attributes,
    name: Name,
    value: Told,
    table: &mut DecodeTable,
) -> Result<(), DecodeError> {
    let pushed = match (name, value) {
        (name @ Cow::Borrowed(_), Told::Before(value)) => attributes.push_checked(name, value),
        (name, Told::Before(value) | Told::Now(value)) => attributes.push(name, value),
        (name, Told::ForLater(value)) => {
            table.define(&name, &value)?;
            attributes.push(name, value)
        }
    };
    pushed.map_err(|error| DecodeError::message(error.to_string()))
}

fn decode_name(d: &mut Decoder<'_>) -> Result<Name, DecodeError> {
    if d.datatype()? == Type::String {
        return Ok(known_name(d.str()?));
    }
    let number = d.u32()? as usize;
    let name = NAMES.get(number).copied();
    name.map(Cow::Borrowed).ok_or_else(|| DecodeError::message(format!("no attribute has number {number}")))
}

/// A value as it comes.
enum Told {
    Now(Value),
    /// To be referred to by what follows.
    ForLater(Value),
    /// One that was defined, and so is such as may be signed.
    Before(Value),
}

impl DecodeTable {
    fn define(&mut self, name: &str, value: &Value) -> Result<(), DecodeError> {
        if !may_intern(name, value, self.defined.len()) {
            return Err(DecodeError::message("a value is defined that may not be"));
        }
        self.defined.push(Value::clone(value));
        Ok(())
    }
}

fn decode_value(d: &mut Decoder<'_>, table: &DecodeTable) -> Result<Told, DecodeError> {
    match d.datatype()? {
        Type::String => Ok(Told::Now(d.str()?.into())),
        Type::Array => {
            if d.array()? != Some(1) {
                return Err(DecodeError::message("a definition holds one value"));
            }
            Ok(Told::ForLater(d.str()?.into()))
        }
        _ => {
            let reference = d.u32()? as usize;
            let value = table.defined.get(reference).cloned();
            value
                .map(Told::Before)
                .ok_or_else(|| DecodeError::message(format!("value {reference} was never defined")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClientFrame, FrameDecoder, FrameEncoder};
    use crate::{Attributes, Envelope, KeyPair, Proof, Transit};
    use proptest::prelude::{any, prop, proptest};

    fn envelope(entries: &std::collections::BTreeMap<String, String>, payload: Vec<u8>) -> Envelope {
        let mut attributes = Attributes::default();
        for (name, value) in entries {
            let _ = attributes.set(name, value);
        }
        let key = KeyPair::from_seed(&[1; 32]).unwrap();
        let proof = Some(Proof::sign(&key, &attributes.digest(&payload)));
        Envelope { attributes, payload: payload.into(), proof, transit: Transit::default() }
    }

    #[test]
    fn repeated_values_cost_a_few_bytes() {
        let entries = [("to", "x".repeat(200)), ("source", "y".repeat(100))];
        let entries = entries.map(|(name, value)| (name.to_owned(), value)).into();
        let mut encoder = FrameEncoder::default();
        let frame = ClientFrame::Send(vec![(1, envelope(&entries, vec![1; 10]))]);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        encoder.encode_client(&frame, &mut first).unwrap();
        encoder.encode_client(&frame, &mut second).unwrap();
        assert!(second.len() + 290 < first.len(), "{} {}", first.len(), second.len());
    }

    proptest! {
        #[test]
        fn batches_round_trip_over_one_connection(
            messages in prop::collection::vec(
                (prop::collection::btree_map("to|id|type|source|[a-z]{3,6}", "[a-f]{1,3}", 0..8), any::<Vec<u8>>()),
                1..12,
            )
        ) {
            let (mut encoder, mut decoder) = (FrameEncoder::default(), FrameDecoder::default());
            for (tag, (entries, payload)) in messages.into_iter().enumerate() {
                let frame = ClientFrame::Send(vec![(tag as u64, envelope(&entries, payload))]);
                let mut bytes = Vec::new();
                encoder.encode_client(&frame, &mut bytes).unwrap();
                assert_eq!(decoder.decode_client(&bytes[4..]), Ok(frame));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
            let _ = FrameDecoder::default().decode_client(&bytes);
            let _ = FrameDecoder::default().decode_server(&bytes);
        }
    }
}
