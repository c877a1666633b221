//! An envelope as it is kept: read, written and read again it is the same, and its digest with it.

use super::said::kept;
use crate::cast::message;
use crate::form::reads;
use crate::targets::{Met, Seed};
use openmesh_message::Envelope;
use openmesh_message::cloudevents::{from_headers, from_json, to_headers, to_json};

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
    as_event(&Envelope { transit: Default::default(), ..envelope });
    Met::Taken
}

/// What a sender made is the same message in every form of CloudEvents.
fn as_event(sent: &Envelope) {
    assert_eq!(from_json(to_json(sent).as_bytes()).as_ref(), Ok(sent));
    let headers = to_headers(sent);
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    assert_eq!(from_headers(headers, sent.payload.clone()).as_ref(), Ok(sent));
}

/// A message as sent, and as kept.
pub fn seeds() -> Vec<Seed> {
    let of = |envelope: &Envelope| minicbor::to_vec(envelope).unwrap();
    vec![Seed::new("sent", of(&message("m-1"))), Seed::new("kept", of(&kept()))]
}
