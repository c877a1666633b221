//! Envelopes on a connection: attribute names by number, repeating values by reference to their first use.

use crate::attributes::{Name, Value};
use crate::limits::{ATTRIBUTES_MAX, INTERNED_VALUE_BYTES_MAX, INTERNED_VALUES_MAX};
use crate::{Attributes, Envelope};
use bytes::Bytes;
use minicbor::data::Type;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::Write;
use minicbor::{Decoder, Encoder};
use std::borrow::Cow;
use std::collections::BTreeMap;

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
pub struct EncodeTable(BTreeMap<Box<str>, u32>);

/// The values a decoder has been told on its connection.
#[derive(Default)]
pub struct DecodeTable(Vec<Value>);

/// A name as attributes hold it: one that has a number is not copied.
pub(crate) fn known_name(name: &str) -> Name {
    let known = NAMES.iter().find(|known| **known == name);
    known.map_or_else(|| Cow::Owned(name.to_owned()), |known| Cow::Borrowed(*known))
}

fn may_intern(name: &str, value: &str, entries: usize) -> bool {
    entries < INTERNED_VALUES_MAX && value.len() <= INTERNED_VALUE_BYTES_MAX && REPEATING.contains(&name)
}

pub(super) fn encode_envelope<W: Write>(
    e: &mut Encoder<W>,
    envelope: &Envelope,
    table: &mut EncodeTable,
) -> Result<(), minicbor::encode::Error<W::Error>> {
    e.map(envelope.attributes.iter().len() as u64)?;
    for (name, value) in envelope.attributes.iter() {
        match NAMES.iter().position(|known| *known == name) {
            Some(number) => e.u32(number as u32)?,
            None => e.str(name)?,
        };
        if let Some(reference) = table.0.get(value) {
            e.u32(*reference)?;
        } else if may_intern(name, value, table.0.len()) {
            let reference = table.0.len() as u32;
            table.0.insert(value.into(), reference);
            e.array(1)?.str(value)?;
        } else {
            e.str(value)?;
        }
    }
    e.bytes(&envelope.payload)?.encode(&envelope.proof)?.encode(&envelope.transit)?;
    Ok(())
}

pub(super) fn decode_envelope(d: &mut Decoder<'_>, table: &mut DecodeTable) -> Result<Envelope, DecodeError> {
    let count = d.map()?.ok_or_else(|| DecodeError::message("attributes without their number"))?;
    if count > ATTRIBUTES_MAX as u64 {
        return Err(DecodeError::message(format!("more than {ATTRIBUTES_MAX} attributes")));
    }
    let mut attributes = Attributes::default();
    for _ in 0..count {
        let name = decode_name(d)?;
        let pushed = match (name, decode_value(d, table)?) {
            (name @ Cow::Borrowed(_), Told::Before(value)) => attributes.push_checked(name, value),
            (name, Told::Before(value) | Told::Now(value)) => attributes.push(name, value),
            (name, Told::ForLater(value)) => {
                table.define(&name, &value)?;
                attributes.push(name, value)
            }
        };
        pushed.map_err(|error| DecodeError::message(error.to_string()))?;
    }
    attributes.keep_encoding();
    Ok(Envelope {
        attributes,
        payload: Bytes::copy_from_slice(d.bytes()?),
        proof: d.decode()?,
        transit: d.decode()?,
    })
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
        if !may_intern(name, value, self.0.len()) {
            return Err(DecodeError::message("a value is defined that may not be"));
        }
        self.0.push(Value::clone(value));
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
            let value = table.0.get(reference).cloned();
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
