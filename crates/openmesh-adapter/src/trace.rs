//! Which messages are traced, and the spans of each: `admit`, `decide`, `keep`, `perform`, `deliver`.
//!
//! The spans of a message are siblings, made on different threads; what joins them is derived from the message alone,
//! so nothing is carried through the core: its `traceparent`, or else its digest.

use crate::Outgoing;
use openmesh_core::ConnectionId;
use openmesh_message::frame::{Delivery, Reply};
use openmesh_message::{Digest, Envelope};
use std::fmt;
use tracing::field::{Empty, display};
use tracing::{Level, Span};

/// The target of every span of a message.
pub const TARGET: &str = "openmesh::message";

/// Which messages are traced, where anyone listens.
#[derive(Clone, Copy, Debug)]
pub struct Tracing {
    /// Trace ids whose last 63 bits are below this are sampled.
    below: u64,
}

/// Tracing for which somebody listens.
#[derive(Clone, Copy, Debug)]
pub struct Tracer(Tracing);

/// Where a message stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Of the sender's trace, or the first half of the digest.
    pub trace_id: TraceId,
    /// The sender's span.
    pub parent_id: Option<SpanId>,
    /// The message.
    pub digest: Digest,
}

/// The id of a trace, in lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

/// The id of a span, in lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId(pub [u8; 8]);

/// What happens to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its connection's task reads and checks it.
    Admit,
    /// The owner decides.
    Decide,
    /// The log's thread writes and syncs it, with all that waited.
    Keep,
    /// Receipts are signed, outcomes and deliveries handed over.
    Perform,
    /// It is written to a receiver.
    Deliver,
}

/// A half of the 64 bits that sampling looks at: the ratio of 1.
const WHOLE: u64 = 1 << 63;

impl Default for Tracing {
    /// Every message.
    fn default() -> Self {
        Self { below: WHOLE }
    }
}

impl Tracing {
    /// Traces this share of the messages, from 0 to 1, chosen by their trace ids: a trace is sampled as a whole.
    pub fn sampling(ratio: f64) -> Self {
        // A product of at most 2^63 fits.
        Self { below: (ratio.clamp(0.0, 1.0) * WHOLE as f64) as u64 }
    }

    /// Whether anyone listens; asked once a batch, for it costs next to nothing when nobody does.
    pub fn listened_to(self) -> Option<Tracer> {
        let on = self.below > 0 && tracing::span_enabled!(target: TARGET, Level::DEBUG);
        on.then_some(Tracer(self))
    }
}

impl Tracer {
    /// A message's place in its trace, if it is sampled.
    pub fn follow(self, traceparent: Option<&str>, digest: impl FnOnce() -> Digest) -> Option<TraceContext> {
        let given = traceparent.and_then(parse);
        if given.is_some_and(|given| !given.sampled) {
            return None;
        }
        let digest = digest();
        let context = match given {
            Some(Given { trace_id, parent_id, .. }) => {
                TraceContext { trace_id, parent_id: Some(parent_id), digest }
            }
            None => TraceContext { trace_id: TraceId::of(&digest), parent_id: None, digest },
        };
        (context.trace_id.low() >> 1 < self.0.below).then_some(context)
    }

    /// A span of a message that is about to be read.
    pub fn admitting(self, connection: ConnectionId, envelope: &Envelope) -> Span {
        let context = self.follow(envelope.transit.traceparent.as_deref(), || envelope.digest());
        context.map_or_else(Span::none, |context| {
            let span = context.span(Stage::Admit);
            span.record("connection", connection.0);
            span
        })
    }

    /// Adds spans of the messages that something for an agent holds.
    pub fn delivering(self, connection: ConnectionId, outgoing: &Outgoing, spans: &mut Vec<Span>) {
        let mut add = |envelope: &Envelope, subscription: Option<u64>| {
            let context = self.follow(envelope.transit.traceparent.as_deref(), || envelope.digest());
            spans.extend(context.map(|context| {
                let span = context.span(Stage::Deliver);
                span.record("connection", connection.0);
                span.record("subscription", subscription);
                span
            }));
        };
        match outgoing {
            Outgoing::Deliver(_, Delivery::Message { subscription, envelope, .. }) => {
                add(envelope, Some(*subscription));
            }
            Outgoing::Reply(_, Ok(Reply::Leased(leased))) => {
                leased.iter().for_each(|leased| add(&leased.envelope, None));
            }
            _ => {}
        }
    }
}

impl TraceContext {
    /// A span that begins at once and ends when it is dropped.
    pub fn span(&self, stage: Stage) -> Span {
        macro_rules! stage {
            ($name:literal) => {
                tracing::debug_span!(
                    target: TARGET,
                    parent: None,
                    $name,
                    trace_id = %self.trace_id,
                    parent_id = Empty,
                    digest = %self.digest,
                    connection = Empty,
                    subscription = Empty,
                    outcome = Empty,
                    code = Empty,
                    messages = Empty,
                )
            };
        }
        let span = match stage {
            Stage::Admit => stage!("admit"),
            Stage::Decide => stage!("decide"),
            Stage::Keep => stage!("keep"),
            Stage::Perform => stage!("perform"),
            Stage::Deliver => stage!("deliver"),
        };
        if let Some(parent) = self.parent_id {
            span.record("parent_id", display(parent));
        }
        span
    }
}

impl TraceId {
    /// The trace id of a message without a trace: the first half of its digest, so that a receipt leads to it.
    pub fn of(digest: &Digest) -> Self {
        let (half, _) = digest.as_bytes().split_at(16);
        Self(half.try_into().unwrap_or_default())
    }

    fn low(self) -> u64 {
        u64::from_be_bytes(self.0.split_at(8).1.try_into().unwrap_or_default())
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Given {
    trace_id: TraceId,
    parent_id: SpanId,
    sampled: bool,
}

/// Reads a `traceparent` (W3C Trace Context); whatever is not one says nothing.
fn parse(text: &str) -> Option<Given> {
    let mut parts = text.split('-');
    let version = hex::<1>(parts.next()?)?;
    let trace_id = hex::<16>(parts.next()?)?;
    let parent_id = hex::<8>(parts.next()?)?;
    let [flags] = hex::<1>(parts.next()?)?;
    let is_known = version == [0];
    let is_valid = version != [0xff] && trace_id != [0; 16] && parent_id != [0; 8];
    // A later version may say more after the flags.
    let ends = parts.next().is_none() || !is_known;
    (is_valid && ends).then_some(Given {
        trace_id: TraceId(trace_id),
        parent_id: SpanId(parent_id),
        sampled: flags & 1 == 1,
    })
}

/// Exactly so many bytes, as lower-case hexadecimal digits.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != N * 2 || !text.as_bytes().iter().all(is_hex) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{SpanId, TraceId, Tracer, Tracing, parse};
    use openmesh_message::Digest;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    fn follow(ratio: f64, traceparent: Option<&str>, digest: Digest) -> Option<(String, Option<SpanId>)> {
        let context = Tracer(Tracing::sampling(ratio)).follow(traceparent, || digest)?;
        Some((context.trace_id.to_string(), context.parent_id))
    }

    #[test]
    fn a_traceparent_is_read_by_the_letter() {
        let given = parse(&format!("00-{TRACE}-{PARENT}-01")).unwrap();
        assert_eq!(given.trace_id.to_string(), TRACE);
        assert_eq!(given.parent_id.to_string(), PARENT);
        assert!(given.sampled);
        assert!(!parse(&format!("00-{TRACE}-{PARENT}-00")).unwrap().sampled);
        assert!(parse(&format!("cc-{TRACE}-{PARENT}-01-later")).is_some());
        let zeros = "0".repeat(32);
        for bad in [
            String::new(),
            "00".to_owned(),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{zeros}-{PARENT}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("00-+{}-{PARENT}-01", &TRACE[1..]),
        ] {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn without_a_traceparent_the_digest_is_the_trace() {
        let digest = Digest::of(b"a message");
        let expected = (TraceId::of(&digest).to_string(), None);
        assert_eq!(follow(1.0, None, digest), Some(expected.clone()));
        assert_eq!(follow(1.0, Some("nonsense"), digest), Some(expected));
    }

    #[test]
    fn a_share_of_the_traces_is_sampled_and_unsampled_ones_are_not() {
        let digests: Vec<_> = (0..2_000_u32).map(|n| Digest::of(&n.to_be_bytes())).collect();
        let sampled = |ratio| digests.iter().filter(|digest| follow(ratio, None, **digest).is_some()).count();
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 2_000));
        let quarter = sampled(0.25);
        assert!((400..600).contains(&quarter), "{quarter}");
        assert_eq!(follow(1.0, Some(&format!("00-{TRACE}-{PARENT}-00")), Digest::ZERO), None);
    }
}
