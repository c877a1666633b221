//! The envelope: what travels. A part that its sender signs and a part that nodes write on the way.

use crate::{Attributes, Digest, LogSeq, Position, Proof, Timestamp};
use bytes::Bytes;
use minicbor::{Decode, Encode};

/// One message as it travels and as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Envelope {
    /// The signed attributes.
    #[n(0)]
    pub attributes: Attributes,
    /// The payload, byte for byte as sent.
    #[cbor(n(1), with = "byte_string")]
    pub payload: Bytes,
    /// The sender's proof; `None` when the connection alone vouches for the sender.
    #[n(2)]
    pub proof: Option<Proof>,
    /// What nodes wrote on the way.
    #[n(3)]
    pub transit: Transit,
}

/// The transit part: set by nodes, never signed by the sender, never in the digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Transit {
    /// Where the message was kept.
    #[n(0)]
    pub position: Option<Position>,
    /// Its numbers in the logical logs it belongs to.
    #[n(1)]
    pub logs: Vec<LogSeq>,
    /// When the node took it in.
    #[n(2)]
    pub receivedtime: Option<Timestamp>,
    /// W3C trace context.
    #[n(3)]
    pub traceparent: Option<String>,
    /// W3C trace context.
    #[n(4)]
    pub tracestate: Option<String>,
}

impl Envelope {
    /// The message digest: of the attributes and the payload's own digest.
    pub fn digest(&self) -> Digest {
        self.attributes.digest(&self.payload)
    }
}

/// Bytes as a CBOR byte string.
pub(crate) mod byte_string {
    use bytes::Bytes;
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    pub(crate) fn encode<C, W: Write>(
        bytes: &Bytes,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.bytes(bytes)?.ok()
    }

    pub(crate) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Bytes, DecodeError> {
        Ok(Bytes::copy_from_slice(decoder.bytes()?))
    }
}
