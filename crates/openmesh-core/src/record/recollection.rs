//! A record as recovery takes it: read without its message, of which only the gist is needed. On any thread.

use super::{Body, Record, RecordError, commitment, decode_header};
use crate::state::Gist;
use std::borrow::Cow;

/// The variant of a body that is a message, as it is encoded.
const MESSAGE_BEGINS: [u8; 2] = [0x82, 0x01];

/// A record as recovery takes it.
#[derive(Debug)]
pub struct Recollection<'a> {
    pub(crate) record: Cow<'a, Record>,
    pub(crate) gist: Option<Gist>,
}

impl Recollection<'_> {
    /// Whether its body was erased: then the header alone says what came of it.
    pub fn is_erased(&self) -> bool {
        self.record.is_erased()
    }

    /// Reads a record and checks that its body is the one committed to.
    pub fn decode(header: &[u8], salt: &[u8; 16], body: &[u8]) -> Result<Self, RecordError> {
        if !body.starts_with(&MESSAGE_BEGINS) {
            return Record::decode(header, salt, body).map(Self::from);
        }
        let header = decode_header(header)?;
        if commitment(salt, body) != header.commitment {
            return Err(RecordError::Commitment);
        }
        let gist = Gist::read(&header, body).map_err(|error| RecordError::Malformed(error.to_string()))?;
        Ok(Self { record: Cow::Owned(Record { header, body: Body::Empty }), gist })
    }
}

impl<'a> Recollection<'a> {
    /// That of a record that is decoded.
    pub fn of(record: &'a Record) -> Self {
        Self { gist: Gist::of(record), record: Cow::Borrowed(record) }
    }
}

impl From<Record> for Recollection<'_> {
    fn from(record: Record) -> Self {
        Self { gist: Gist::of(&record), record: Cow::Owned(record) }
    }
}
