//! One attribute of an event, by its name: a signed attribute, the proof, or a field of the transit part.

use super::EventError;
use crate::{Envelope, Timestamp};

/// Sets what an attribute of this name is in a message; each may be set once.
pub(super) fn set(envelope: &mut Envelope, name: &str, value: &str) -> Result<(), EventError> {
    match name {
        "proof" => once(&mut envelope.proof, name, parse(name, value)?),
        "position" => once(&mut envelope.transit.position, name, parse(name, value)?),
        "receivedtime" => once(&mut envelope.transit.receivedtime, name, Timestamp::parse(value)?),
        "traceparent" => once(&mut envelope.transit.traceparent, name, text(name, value)?),
        "tracestate" => once(&mut envelope.transit.tracestate, name, text(name, value)?),
        _ => Ok(envelope.attributes.set(name, value)?),
    }
}

/// Every attribute that a message shows as an event, signed ones first.
pub(super) fn all(envelope: &Envelope) -> impl Iterator<Item = (String, String)> {
    let transit = &envelope.transit;
    let shown = [
        ("proof", envelope.proof.as_ref().map(ToString::to_string)),
        ("position", transit.position.map(|position| position.to_string())),
        ("receivedtime", transit.receivedtime.map(|time| time.to_string())),
        ("traceparent", transit.traceparent.clone()),
        ("tracestate", transit.tracestate.clone()),
    ];
    let signed = envelope.attributes.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let unsigned = shown.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    signed.chain(unsigned.collect::<Vec<_>>())
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, value: &str) -> Result<T, EventError> {
    value.parse().map_err(|error: T::Err| EventError::value(name, error.to_string()))
}

fn text(name: &str, value: &str) -> Result<String, EventError> {
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(EventError::value(name, "it is empty or has control characters"));
    }
    Ok(value.to_owned())
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), EventError> {
    if place.replace(value).is_some() {
        return Err(EventError::value(name, "it stands twice"));
    }
    Ok(())
}
