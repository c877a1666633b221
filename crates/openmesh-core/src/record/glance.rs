//! A message's record, read without a copy of the message: enough to decide who may see it, and to show it.

use super::{Header, Parts, Record, RecordError, RefusedMessage, commitment};
use minicbor::Decoder;
use minicbor::data::Type;
use minicbor::decode::Error;
use openmesh_message::{AgentId, Digest};

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
    pub(crate) payload: &'a [u8],
    pub(crate) digest: Digest,
    /// The name of the algorithm, and the key that signed.
    pub(crate) proof: Option<(&'static str, AgentId)>,
}

impl<'a> Glance<'a> {
    /// Reads a record's body and checks that it is the one committed to; `None` where it is no message.
    pub(crate) fn read(header: Header, salt: &[u8; 16], body: &'a [u8]) -> Result<Option<Self>, RecordError> {
        let mut attributes = Vec::with_capacity(ATTRIBUTES_ABOUT);
        let Some(parts) = Parts::read(body, |name, value| attributes.push((name, value))) else {
            return Ok(None);
        };
        let digest = parts.digest();
        let commitment = commitment::of_message(header.version, salt, body, &digest, parts.rest);
        if commitment != header.commitment {
            return Err(RecordError::Commitment);
        }
        let proof = read_proof(&mut Decoder::new(parts.rest));
        let proof = proof.map_err(|error| RecordError::Malformed(error.to_string()))?;
        let message = MessageBytes { attributes, payload: parts.payload, digest, proof };
        Ok(Some(Self { header, message }))
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
