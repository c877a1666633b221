//! A record as recovery takes it: read without its message, of which only the gist is needed. On any thread.

use super::{Body, Record, RecordError, commitment, decode_header};
use crate::state::Gist;
use std::borrow::Cow;

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
        let decoded = decode_header(header)?;
        let Some((gist, digest, rest)) = Gist::read(&decoded, body) else {
            return Record::decode(header, salt, body).map(Self::from);
        };
        if commitment::of_message(decoded.version, salt, body, &digest, rest) != decoded.commitment {
            return Err(RecordError::Commitment);
        }
        let header = decoded;
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
