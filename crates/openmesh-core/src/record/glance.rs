//! A message's record, read without a copy of the message: enough to decide who may see it, and to show it.

use super::{Header, MESSAGE_BEGINS, Record, RecordError, RefusedMessage, commitment, decode_header};
use minicbor::Decoder;
use minicbor::data::Type;
use minicbor::decode::Error;
use openmesh_message::{AgentId, Attributes, Digest};

/// Attributes that most messages have, at most.
const ATTRIBUTES_ABOUT: usize = 16;
const SINGLE: (u32, &str) = (0, "ed25519");
const BATCH: (u32, &str) = (1, "ed25519-batch");

/// What is asked of a record by those who decide about it, whatever form it is in.
pub trait Looked {
    /// The header.
    fn header(&self) -> &Header;
    /// An attribute of the message; `None` also where there is no message.
    fn attribute(&self, name: &str) -> Option<&str>;
    /// What is known of a refused message.
    fn refused(&self) -> Option<&RefusedMessage>;
    /// Whether the body was erased.
    fn is_erased(&self) -> bool;
}

/// A message's record whose message still lies in the record's bytes.
#[derive(Debug)]
pub(crate) struct Glance<'a> {
    pub(crate) header: Header,
    pub(crate) message: MessageBytes<'a>,
}

/// A message as it lies in a record's body.
#[derive(Debug)]
pub(crate) struct MessageBytes<'a> {
    /// In canonical order.
    pub(crate) attributes: Vec<(&'a str, &'a str)>,
    encoded_attributes: &'a [u8],
    pub(crate) payload: &'a [u8],
    /// The name of the algorithm, and the key that signed.
    pub(crate) proof: Option<(&'static str, AgentId)>,
}

impl<'a> Glance<'a> {
    /// Reads a record and checks that its body is the one committed to; `None` where that is no message.
    pub(crate) fn read(header: &[u8], salt: &[u8; 16], body: &'a [u8]) -> Result<Option<Self>, RecordError> {
        if !body.starts_with(&MESSAGE_BEGINS) {
            return Ok(None);
        }
        let header = decode_header(header)?;
        if commitment(salt, body) != header.commitment {
            return Err(RecordError::Commitment);
        }
        let message = MessageBytes::read(body).map_err(|error| RecordError::Malformed(error.to_string()))?;
        Ok(Some(Self { header, message }))
    }
}

impl<'a> MessageBytes<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Error> {
        let mut decoder = Decoder::new(body);
        decoder.set_position(MESSAGE_BEGINS.len());
        decoder.array()?;
        decoder.array()?;
        let begin = decoder.position();
        let count = decoder.map()?.ok_or_else(|| Error::message("indefinite map").at(begin))?;
        let mut attributes = Vec::with_capacity(ATTRIBUTES_ABOUT);
        for _ in 0..count {
            attributes.push((decoder.str()?, decoder.str()?));
        }
        let encoded_attributes = body.get(begin..decoder.position()).unwrap_or_default();
        let payload = decoder.bytes()?;
        let proof = read_proof(&mut decoder)?;
        Ok(Self { attributes, encoded_attributes, payload, proof })
    }

    /// The message's digest.
    pub(crate) fn digest(&self) -> Digest {
        Attributes::digest_of_encoded(self.encoded_attributes, self.payload)
    }
}

/// What is shown of a proof; what follows in it is left unread.
fn read_proof(decoder: &mut Decoder<'_>) -> Result<Option<(&'static str, AgentId)>, Error> {
    if decoder.datatype()? == Type::Null {
        return Ok(None);
    }
    decoder.array()?;
    let at = decoder.position();
    let variant = decoder.u32()?;
    let (_, alg) = [SINGLE, BATCH]
        .into_iter()
        .find(|(known, _)| *known == variant)
        .ok_or_else(|| Error::message("a proof of an unknown kind").at(at))?;
    decoder.array()?;
    let key = decoder.bytes()?.try_into().map_err(|_| Error::message("a key is not 32 bytes").at(at))?;
    Ok(Some((alg, AgentId::from_kept(key))))
}

impl Looked for Glance<'_> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.message.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn refused(&self) -> Option<&RefusedMessage> {
        None
    }

    fn is_erased(&self) -> bool {
        false
    }
}

impl Looked for Record {
    fn header(&self) -> &Header {
        &self.header
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.message().and_then(|message| message.attributes.get(name))
    }

    fn refused(&self) -> Option<&RefusedMessage> {
        match &self.body {
            super::Body::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    fn is_erased(&self) -> bool {
        Self::is_erased(self)
    }
}
