//! Headers of versions below 5: what a step did stands in them as a byte string, which holds CBOR with text keys.

use super::Header;
use minicbor::decode::Error as DecodeError;

/// The first version whose steps stand in the header as anything else does.
const PLAIN_STEPS: u16 = 5;

/// The form that the steps of a header are in: the context it is decoded with.
pub trait StepForm {
    /// Whether they are byte strings.
    fn is_wrapped(&self) -> bool;
}

/// That of a version below [`PLAIN_STEPS`].
struct Wrapped;

impl StepForm for () {
    fn is_wrapped(&self) -> bool {
        false
    }
}

impl StepForm for Wrapped {
    fn is_wrapped(&self) -> bool {
        true
    }
}

/// Decodes a header of some version that is known here.
pub(super) fn header(version: u16, bytes: &[u8]) -> Result<Header, DecodeError> {
    if version < PLAIN_STEPS { minicbor::decode_with(bytes, &mut Wrapped) } else { minicbor::decode(bytes) }
}

/// A part of a step; it is written in the form of this version alone.
pub(super) mod written_step {
    use super::{DecodeError, StepForm};
    use minicbor::encode::Write;
    use minicbor::{Decode, Decoder, Encode, Encoder};
    use serde::de::DeserializeOwned;

    pub(in super::super) fn encode<C, T: Encode<C>, W: Write>(
        part: &T,
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.encode_with(part, context)?.ok()
    }

    pub(in super::super) fn decode<'b, C: StepForm, T: DeserializeOwned + Decode<'b, C>>(
        decoder: &mut Decoder<'b>,
        context: &mut C,
    ) -> Result<T, DecodeError> {
        if !context.is_wrapped() {
            return decoder.decode_with(context);
        }
        let wrapped = minicbor_serde::from_slice(decoder.bytes()?);
        wrapped.map_err(|error| DecodeError::message(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use crate::record::{RECORD_VERSION, Recollection, Record, RecordError, decode_header};
    use crate::replay::Replay;
    use crate::{Config, Partition};
    use minicbor::Decoder;
    use openmesh_message::{Custodian, Digest, DomainId};
    use openmesh_policy::Policy;
    use std::collections::BTreeSet;

    /// Logs that a version 4 wrote and the state each led to: of a negotiation to its end, and of timers that fired. A list
    /// of a snapshot and records, each a list of header, salt and body.
    const LOGS: [&[u8]; 2] = [
        include_bytes!("../../tests/records/version-4-negotiation.bin"),
        include_bytes!("../../tests/records/version-4-timers.bin"),
    ];

    struct Kept {
        snapshot: Vec<u8>,
        /// Header, salt and body.
        records: Vec<(Vec<u8>, [u8; 16], Vec<u8>)>,
    }

    fn read(log: &[u8]) -> Kept {
        let mut decoder = Decoder::new(log);
        assert_eq!(decoder.array().unwrap(), Some(2));
        let snapshot = decoder.bytes().unwrap().to_vec();
        let count = decoder.array().unwrap().unwrap();
        let mut record = || {
            assert_eq!(decoder.array().unwrap(), Some(3));
            let header = decoder.bytes().unwrap().to_vec();
            (header, decoder.bytes().unwrap().try_into().unwrap(), decoder.bytes().unwrap().to_vec())
        };
        Kept { snapshot, records: (0..count).map(|_| record()).collect() }
    }

    fn empty() -> (Config, Policy) {
        let domain = DomainId::from_bytes([1; 32]);
        (Config::new(domain, Digest::ZERO, [9; 32], Custodian::new([7; 32])), Policy::default_closed())
    }

    #[test]
    fn a_log_of_version_4_leads_where_it_led() {
        for log in LOGS.map(read) {
            let (config, policy) = empty();
            let mut partition = Partition::new(config.clone(), policy.clone());
            for (header, salt, body) in &log.records {
                assert_eq!(decode_header(header).unwrap().version, 4);
                partition.recollect(&Recollection::decode(header, salt, body).unwrap());
            }
            let then = Partition::restore(config, policy, &log.snapshot).unwrap();
            assert!(partition.state() == then.state());
        }
    }

    #[test]
    fn steps_of_version_4_are_decided_again_as_they_were() {
        let mut steps = 0;
        for log in LOGS.map(read) {
            let (config, policy) = empty();
            let mut partition = Partition::new(config, policy);
            let records = log.records.iter().map(|(header, salt, body)| Record::decode(header, salt, body));
            let records: Vec<_> = records.collect::<Result<_, _>>().unwrap();
            records.iter().for_each(|record| partition.recover(record));
            let view = partition.view();
            let conversations: BTreeSet<_> =
                records.iter().filter_map(Record::step).map(|step| step.conversation).collect();
            for id in conversations {
                let mut replay = Replay::new(id, &view.catalog, &view.directory);
                records.iter().for_each(|record| replay.step(record).unwrap());
                assert_eq!(replay.undecided(), 0);
                steps += replay.steps();
            }
        }
        assert_eq!(steps, 14);
    }

    #[test]
    fn a_step_is_read_in_the_form_of_its_version_alone() {
        let (header, ..) = read(LOGS[0])
            .records
            .into_iter()
            .find(|(header, ..)| {
                let header = decode_header(header).unwrap();
                Record { header, body: crate::record::Body::Empty }.step().is_some()
            })
            .unwrap();
        let mut decoded = decode_header(&header).unwrap();
        assert_eq!(header[1], 4, "the version");
        let as_newer = [&[header[0], 5], &header[2..]].concat();
        assert!(matches!(decode_header(&as_newer), Err(RecordError::Malformed(_))));
        decoded.version = RECORD_VERSION;
        let again = minicbor::to_vec(&decoded).unwrap();
        assert_eq!(decode_header(&again).unwrap(), decoded);
        assert!(again.len() < header.len());
        let as_older = [&[again[0], 4], &again[2..]].concat();
        assert!(matches!(decode_header(&as_older), Err(RecordError::Malformed(_))));
    }
}
