//! An envelope as it is kept: read, written and read again it is the same, and its digest with it.

use super::said::kept;
use crate::cast::message;
use crate::form::reads;
use crate::targets::{Met, Seed};
use openmesh_message::Envelope;

/// An encoded envelope.
pub fn target(input: &[u8]) -> Met {
    let Some(envelope) = reads::<Envelope>(input) else {
        return Met::Refused;
    };
    let digest = envelope.digest();
    let bare = Envelope { proof: None, transit: Default::default(), ..envelope.clone() };
    assert_eq!(bare.digest(), digest, "the digest is of attributes and payload alone");
    let mut longer = envelope.clone();
    longer.payload = [&envelope.payload[..], b"x"].concat().into();
    assert_ne!(longer.digest(), digest);
    Met::Taken
}

/// A message as sent, and as kept.
pub fn seeds() -> Vec<Seed> {
    let of = |envelope: &Envelope| minicbor::to_vec(envelope).unwrap();
    vec![Seed::new("sent", of(&message("m-1"))), Seed::new("kept", of(&kept()))]
}
