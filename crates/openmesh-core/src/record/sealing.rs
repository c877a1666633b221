//! Makes a record ready to be kept: a header's bytes; a body's bytes, a salt that blinds them, and the commitment of a header
//! to both.
//!
//! A message's body is sealed where the message is admitted, so that the owner of the partition has less to do.

use super::commitment::{Parts, rest_at, to_message};
use super::{Body, Header, commitment};
use minicbor::encode::Write;
use minicbor::{Encode, Encoder};
use openmesh_message::{Digest, Envelope, Position};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

/// What an encoded body has besides its texts and payload, at most: lengths, and the path of a batch proof.
const MESSAGE_OVERHEAD_BYTES: usize = 512;
/// Bodies that are neither messages nor texts are smaller.
const SHORT_BODY_BYTES: usize = 64;

/// Most headers take no more.
const HEADER_BYTES_ABOUT: usize = 384;
/// What a step of a conversation adds to one, seldom more.
const STEP_BYTES_ABOUT: usize = 512;

/// What salts are drawn from beside the seed and what they are for: so short that a hash takes one block.
const MESSAGE_SALT: &str = "salt m";
const POSITION_SALT: &str = "salt p";

/// Draws salts from a secret of this run.
#[derive(Clone)]
pub struct Sealing {
    seed: [u8; 16],
}

/// A body that is ready to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBody {
    /// Blinds the commitment.
    pub salt: [u8; 16],
    /// The encoded [`Body`].
    pub bytes: Vec<u8>,
    /// What a header says of both.
    pub commitment: Digest,
}

impl Sealing {
    /// Salts from a secret that is drawn for each run.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { seed: first_half(&Digest::of_parts("openmesh salt seed v1", &[&secret])) }
    }

    /// Seals a message, which is kept at most once, and so has a salt of its own.
    pub(crate) fn seal_message(&self, envelope: &Arc<Envelope>, digest: &Digest) -> SealedBody {
        let salt = self.salt(MESSAGE_SALT, digest.as_bytes());
        let body = Body::Message(Arc::clone(envelope));
        let bytes = encoded(&body, bytes_about(&body));
        let rest = behind_payload(envelope, &bytes);
        SealedBody { salt, commitment: to_message(&salt, digest, rest), bytes }
    }

    /// Seals what is kept at a position.
    pub(crate) fn seal(&self, position: &Position, body: &Body) -> SealedBody {
        let position = encoded(position, SHORT_BODY_BYTES);
        seal(self.salt(POSITION_SALT, &position), body)
    }

    fn salt(&self, context: &str, of: &[u8]) -> [u8; 16] {
        first_half(&Digest::of_parts(context, &[&self.seed, of]))
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing")
    }
}

fn first_half(digest: &Digest) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(digest.as_bytes().split_at(16).0);
    half
}

fn seal(salt: [u8; 16], body: &Body) -> SealedBody {
    let bytes = encoded(body, bytes_about(body));
    SealedBody { salt, commitment: commitment(&salt, &bytes), bytes }
}

/// What stands behind the payload in an encoded message.
fn behind_payload<'a>(envelope: &Envelope, body: &'a [u8]) -> &'a [u8] {
    match envelope.attributes.encoded_bytes() {
        Some(attributes) => rest_at(body, attributes, envelope.payload.len()),
        None => Parts::read(body, |_, _| ()).map_or(&[], |parts| parts.rest),
    }
}

/// About how many bytes a body takes encoded, and seldom more.
fn bytes_about(body: &Body) -> usize {
    match body {
        Body::Message(envelope) => {
            envelope.attributes.bytes() + envelope.payload.len() + MESSAGE_OVERHEAD_BYTES
        }
        Body::Text(text) => text.len() + SHORT_BODY_BYTES,
        _ => SHORT_BODY_BYTES,
    }
}

impl Header {
    /// As the log keeps it.
    pub(crate) fn encoded(&self) -> Vec<u8> {
        encoded(self, HEADER_BYTES_ABOUT + self.step().map_or(0, |_| STEP_BYTES_ABOUT))
    }
}

/// Encodes what takes about so many bytes, so that its room seldom grows.
fn encoded(value: &impl Encode<()>, bytes_about: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(Growing(Vec::with_capacity(bytes_about)));
    // Writing to memory cannot fail.
    let _ = encoder.encode(value);
    encoder.into_writer().0
}

/// Memory that is written to without a call for each of the bytes.
struct Growing(Vec<u8>);

impl Write for Growing {
    type Error = Infallible;

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
