//! Messages up to the queue. An input says how much of a message is made right, then holds an encoded envelope.

use super::stage::{Made, Stage, complete};
use crate::cast::{AGENTS, NOW, agent, message, rfp, schema, topic};
use crate::feed::{Feed, Script};
use crate::form::{assert_brief, reads};
use crate::targets::{Met, Seed};
use openmesh_core::admit::{Familiar, admit};
use openmesh_core::{Admitted, Refused, Rejection, View};
use openmesh_message::json::Document;
use openmesh_message::{ControlAttributes, Draft, Envelope, Performative, Transit};
use openmesh_policy::Authenticity;
use std::sync::LazyLock;

const MADE: [Made; 3] = [Made::Signed, Made::Completed, Made::AsItIs];

/// Who offers it, how it is made right, an encoded envelope.
pub fn target(input: &[u8]) -> Met {
    static VIEW: LazyLock<View> = LazyLock::new(|| Stage::set().partition.view());
    let mut feed = Feed::new(input);
    let (index, made) = (feed.byte() % AGENTS, MADE[feed.choice(MADE.len())]);
    let Some(envelope) = reads::<Envelope>(feed.rest()) else {
        return Met::Refused;
    };
    let envelope = complete(envelope, index, made, NOW, 1);
    let mut familiar = Familiar::default();
    let first = admit(envelope.clone(), agent(index), &VIEW, &mut familiar, NOW);
    // The second time the signature is remembered; the answer is the same.
    let second = admit(envelope.clone(), agent(index), &VIEW, &mut familiar, NOW);
    match (first, second) {
        (Ok(one), Ok(other)) => {
            assert_eq!((one.digest(), one.authenticity), (other.digest(), other.authenticity));
            check_admitted(&envelope, &one, index);
        }
        (Err(one), Err(other)) => {
            assert_eq!(one.rejection.code(), other.rejection.code());
            check_refused(&envelope, &one);
        }
        _ => panic!("the same message is taken once and refused once"),
    }
    Met::Taken
}

fn check_admitted(envelope: &Envelope, admitted: &Admitted, index: u8) {
    let kept = &admitted.envelope;
    assert_eq!(admitted.digest(), envelope.digest());
    assert_eq!((kept.digest(), &kept.proof), (admitted.digest(), &envelope.proof));
    let trace = Transit {
        traceparent: kept.transit.traceparent.clone(),
        tracestate: kept.transit.tracestate.clone(),
        ..Transit::default()
    };
    assert_eq!(kept.transit, trace, "a sender writes into the transit part");
    assert_eq!(ControlAttributes::parse(&envelope.attributes).as_ref(), Ok(&admitted.control));
    assert_eq!(admitted.control.source, agent(index));
    match &envelope.proof {
        Some(proof) => {
            proof.verify(&agent(index), &admitted.digest()).unwrap();
            assert_eq!(admitted.authenticity, Authenticity::Signed);
        }
        None => assert_eq!(admitted.authenticity, Authenticity::Connection),
    }
    if let Some(payload) = &admitted.payload {
        assert_eq!(Document::read(&envelope.payload).as_ref(), Ok(&**payload));
    }
}

fn check_refused(envelope: &Envelope, refused: &Refused) {
    assert_eq!(refused.digest, envelope.digest());
    assert!(Rejection::codes().any(|code| code == refused.rejection.code()));
    let problem = refused.rejection.to_problem();
    assert!(!problem.detail.is_empty());
    assert_brief(&problem);
}

/// Messages with and without schema, one that its sender did not sign, one that is somebody else's.
pub fn seeds() -> Vec<Seed> {
    let of = |index: u8, made: u8, envelope: &Envelope| {
        Script::default().byte(index).byte(made).rest(minicbor::to_vec(envelope).unwrap()).done()
    };
    let rfp = Draft::new("r", NOW, &topic("market/rfp"), &Performative::Inform)
        .schema(&schema("market/rfp@^1"))
        .json(rfp().to_string());
    let rfp = rfp.unsigned(&agent(1)).unwrap();
    vec![
        Seed::new("signed", of(0, 2, &message("m-1"))),
        Seed::new("made-signed", of(1, 0, &message("m-1"))),
        Seed::new("completed", of(1, 1, &rfp)),
        Seed::new("schema", of(1, 0, &rfp)),
        Seed::new("others", of(2, 2, &message("m-1"))),
    ]
}
