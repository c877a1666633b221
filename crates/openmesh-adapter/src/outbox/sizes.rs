//! What deliveries take up, roughly.

use openmesh_message::Envelope;
use openmesh_message::frame::Delivery;

/// Bytes that a delivery takes up, roughly.
pub fn delivery_bytes(delivery: &Delivery) -> usize {
    const GAP_BYTES: usize = 64;
    match delivery {
        Delivery::Message { envelope, .. } => message_bytes(envelope),
        Delivery::Gap { .. } => GAP_BYTES,
    }
}

/// Bytes that the delivery of a message takes up, roughly.
pub fn message_bytes(envelope: &Envelope) -> usize {
    // At its longest.
    const PROOF_BYTES: usize = 2 * 1024;
    let proof = if envelope.proof.is_some() { PROOF_BYTES } else { 0 };
    alike_bytes(envelope.payload.len() + envelope.attributes.bytes()) + proof
}

/// The same of a message without a proof, by the bytes of its payload and attributes.
pub(crate) const fn alike_bytes(bytes: usize) -> usize {
    /// Heads, numbers, and a transit part as nodes write it.
    const OVERHEAD_BYTES: usize = 256;
    bytes + OVERHEAD_BYTES
}
