//! Admission: from an envelope to a message whose sender, payload and form are proven.
//!
//! Stateless; runs on the connection's task against a [`View`]. What needs the state of the partition is in
//! `pipeline.rs`. The steps are types, so that none can be left out: `Envelope → Read → Verified → Admitted`.

mod familiar;

pub use familiar::Familiar;

use crate::dedup::short_id;
use crate::planted::{self, Planted};
use crate::record::SealedBody;
use crate::rejection::Rejection;
use crate::view::View;
use familiar::Ruling;
use openmesh_message::frame::Lone;
use openmesh_message::json::Document;
use openmesh_message::limits::{
    MESSAGE_ID_BYTES_MAX, NOT_BEFORE_MS_MAX, PAYLOAD_BYTES_MAX, TIME_AHEAD_MS_MAX, TIME_WINDOW_MS,
    TRACEPARENT_BYTES_MAX, TRACESTATE_BYTES_MAX,
};
use openmesh_message::{
    AgentId, AgentRef, ControlAttributes, ControlError, Digest, Envelope, Form, ProofError, Target,
    Timestamp, Transit,
};
use openmesh_policy::{Action, Authenticity, Destination, Origin, Party, StaticContext, StaticDecision};
use openmesh_schema::Schema;
use std::sync::Arc;

/// The media type whose payload is checked without a schema, too.
const JSON: &str = "application/json";
/// Characters kept of each text of a refused message.
const REFUSED_TEXT_CHARS: usize = 128;

/// A message whose sender, payload and form are proven, and which no static rule denies.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The message as sent.
    pub envelope: Arc<Envelope>,
    /// Its steering attributes.
    pub control: ControlAttributes,
    /// Its digest, where a proof was made over it.
    digest: Option<Digest>,
    /// What is remembered of its id, where a proof was made over it.
    short_id: Option<u64>,
    /// How its sender is known.
    pub authenticity: Authenticity,
    /// The payload, where it is JSON.
    pub payload: Option<Arc<Document>>,
    /// What the static rules say; whatever they deny is not here.
    pub decision: StaticDecision,
    /// The policy they belong to.
    pub policy_version: Digest,
    /// Its record's body, where it will be kept.
    pub sealed: Option<SealedBody>,
}

/// A message of a proven sender that was refused, and all that could be read of it.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Who offered it.
    pub offered_by: AgentId,
    /// Its digest.
    pub digest: Digest,
    /// Its id.
    pub id: Option<String>,
    /// Its conversation.
    pub conversation: Option<String>,
    /// Its performative.
    pub performative: Option<String>,
    /// The trace it is part of.
    pub traceparent: Option<String>,
    /// Why.
    pub rejection: Rejection,
}

struct Read<'a> {
    offered: &'a Offered,
    control: ControlAttributes,
}

struct Verified<'a> {
    read: Read<'a>,
    authenticity: Authenticity,
}

/// What was found of a message that nothing speaks against.
struct Valid {
    control: ControlAttributes,
    authenticity: Authenticity,
    payload: Option<Arc<Document>>,
    ruling: Ruling,
}

/// A message as it came, and what is found of it by itself.
#[derive(Debug)]
pub struct Offered {
    envelope: Envelope,
    /// Where a proof was made over it: without one nothing is kept of a message, and little asks for its digest.
    digest: Option<Digest>,
    /// What came of its proof, where that was checked ahead.
    proof: Option<Result<(), ProofError>>,
}

/// Admits a message that `agent` offers on its connection, or says why not.
pub fn admit(
    offered: impl Into<Offered>,
    agent: AgentId,
    view: &View,
    familiar: &mut Familiar,
    now: Timestamp,
) -> Result<Admitted, Box<Refused>> {
    let offered = offered.into();
    let valid = read(&offered, view, familiar, now)
        .and_then(|read| verify(read, agent, view, familiar))
        .and_then(|verified| validate(verified, view, familiar));
    match valid {
        Ok(valid) => Ok(valid.admitted(offered, view)),
        Err(rejection) => Err(Box::new(Refused::of(&offered, agent, rejection))),
    }
}

/// Whether a message of a run is as sound as the one of its form that was admitted before ([`Admitted`]): all that is its own is
/// asked.
pub fn is_sound_again(message: &Lone<'_>, now: Timestamp) -> bool {
    let is_in_time = |time| time <= now.plus_ms(TIME_AHEAD_MS_MAX) && time >= now.plus_ms(-TIME_WINDOW_MS);
    message.id.len() <= MESSAGE_ID_BYTES_MAX
        && Timestamp::parse(message.time).is_ok_and(is_in_time)
        && message.payload.len() <= PAYLOAD_BYTES_MAX
}

fn read<'a>(
    offered: &'a Offered,
    view: &View,
    familiar: &mut Familiar,
    now: Timestamp,
) -> Result<Read<'a>, Rejection> {
    if offered.envelope.payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Rejection::TooLarge);
    }
    let control = familiar.control(&offered.envelope.attributes)?;
    if control.to.domain != view.domain {
        return Err(Rejection::ForeignDomain);
    }
    if control.time > now.plus_ms(TIME_AHEAD_MS_MAX) {
        return Err(Rejection::TimeAhead);
    }
    if control.time < now.plus_ms(-TIME_WINDOW_MS) {
        return Err(Rejection::OutsideWindow);
    }
    if control.expiry.is_some_and(|expiry| expiry <= now) {
        return Err(Rejection::Expired);
    }
    if control.not_before.is_some_and(|time| time > now.plus_ms(NOT_BEFORE_MS_MAX)) {
        let why = "more than 30 days ahead".to_owned();
        return Err(ControlError::Malformed { name: "notbefore", why }.into());
    }
    Ok(Read { offered, control })
}

/// Of what a sender wrote into the transit part, only its trace context is taken over, and only at its usual size.
fn trace_alone(transit: Transit) -> Transit {
    let Transit { traceparent, tracestate, .. } = transit;
    Transit {
        traceparent: traceparent.filter(|text| text.len() <= TRACEPARENT_BYTES_MAX),
        tracestate: tracestate.filter(|text| text.len() <= TRACESTATE_BYTES_MAX),
        ..Transit::default()
    }
}

fn verify<'a>(
    read: Read<'a>,
    agent: AgentId,
    view: &View,
    familiar: &mut Familiar,
) -> Result<Verified<'a>, Rejection> {
    let source = read.control.source;
    let proof = match &read.offered.envelope.proof {
        Some(proof) if planted::has(Planted::SkipSignature) => {
            Ok(view.directory.authenticity(&source, proof.keyid()).unwrap_or(Authenticity::Signed))
        }
        Some(proof) => match view.directory.authenticity(&source, proof.keyid()) {
            Some(authenticity) => {
                let checked = read.offered.proof;
                checked
                    .unwrap_or_else(|| familiar.roots.verify(proof, &read.offered.digest()))
                    .map(|()| authenticity)
            }
            None => Err(ProofError::ForeignKey),
        },
        None => Ok(Authenticity::Connection),
    };
    if source != agent {
        let signed_by_source = matches!(proof, Ok(Authenticity::Signed | Authenticity::Custodial));
        return Err(if signed_by_source { Rejection::Replayed } else { Rejection::SourceMismatch });
    }
    Ok(Verified { authenticity: proof?, read })
}

fn validate(verified: Verified<'_>, view: &View, familiar: &mut Familiar) -> Result<Valid, Rejection> {
    let Verified { read: Read { offered, control }, authenticity } = verified;
    let ruling = familiar.rule(&control, authenticity, view);
    let payload = check_payload(&offered.envelope, &control, ruling.schema.as_deref())?;
    if let StaticDecision::Decided(decided) = &ruling.decision
        && !decided.allows()
    {
        return Err(Rejection::Denied(decided.clone()));
    }
    Ok(Valid { control, authenticity, payload, ruling })
}

impl From<Envelope> for Offered {
    fn from(mut envelope: Envelope) -> Self {
        envelope.transit = trace_alone(envelope.transit);
        Self { digest: envelope.proof.is_some().then(|| envelope.digest()), envelope, proof: None }
    }
}

impl Offered {
    /// One whose proof is checked ahead, with the key that it names: whether that key may speak for the sender is asked when
    /// the message is admitted. It is what takes longest, and needs nothing but the message.
    pub fn proven(envelope: Envelope) -> Self {
        let mut offered = Self::from(envelope);
        let digest = offered.digest();
        offered.proof = offered.envelope.proof.as_ref().map(|proof| proof.verify(proof.keyid(), &digest));
        offered
    }

    /// The message.
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    fn digest(&self) -> Digest {
        self.digest.unwrap_or_else(|| self.envelope.digest())
    }
}

impl Admitted {
    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.digest.unwrap_or_else(|| self.envelope.digest())
    }

    /// Its form, if all that was asked of the message is what the form says, and what [`is_sound_again`] asks.
    pub(crate) fn recurring_form(&self) -> Option<&Arc<Form>> {
        let control = &self.control;
        let asks_for_more = control.schema.is_some()
            || control.content_type.as_deref() == Some(JSON)
            || control.stream.is_some()
            || control.ack_level.is_some()
            || control.reply_by.is_some()
            || control.in_reply_to.is_some()
            || control.conversation.is_some()
            || control.expiry.is_some();
        let is_bare = self.envelope.proof.is_none() && self.envelope.transit == Transit::default();
        let is_decided = matches!(self.decision, StaticDecision::Decided(_));
        let is_asked_again = !asks_for_more || planted::has(Planted::ShortenAll);
        self.envelope
            .attributes
            .form()
            .filter(|form| form.is_bare() && is_bare && is_decided && is_asked_again)
    }

    /// What is remembered of its id.
    pub(crate) fn short_id(&self) -> u64 {
        self.short_id.unwrap_or_else(|| short_id(&self.control.id))
    }

    /// Its digest, if it has a proof; without one it is never kept.
    pub(crate) const fn proven_digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

#[cfg(feature = "steps")]
impl Admitted {
    /// The same under another id.
    pub(crate) fn renamed(mut self, id: &str) -> Self {
        self.control.id = id.into();
        self.short_id = Some(short_id(id));
        self
    }
}

impl Valid {
    fn admitted(self, offered: Offered, view: &View) -> Admitted {
        let Self { control, authenticity, payload, ruling: Ruling { decision, is_kept, .. } } = self;
        let Offered { envelope, digest, .. } = offered;
        let envelope = Arc::new(envelope);
        let digest_kept = digest.as_ref().filter(|_| is_kept);
        Admitted {
            sealed: digest_kept.map(|digest| view.sealing.seal_message(&envelope, digest)),
            envelope,
            short_id: digest.map(|_| short_id(&control.id)),
            control,
            digest,
            authenticity,
            payload,
            decision,
            policy_version: view.policy.version(),
        }
    }
}

fn check_payload(
    envelope: &Envelope,
    control: &ControlAttributes,
    schema: Option<&Schema>,
) -> Result<Option<Arc<Document>>, Rejection> {
    let is_json = control.content_type.as_deref() == Some(JSON);
    let Some(pinned) = &control.schema else {
        return if is_json { Ok(Some(Arc::new(Document::read(&envelope.payload)?))) } else { Ok(None) };
    };
    let schema = schema.ok_or_else(|| Rejection::UnknownSchema(pinned.to_string()))?;
    let document = Document::read(&envelope.payload)?;
    schema.validate(&document).map_err(Rejection::InvalidPayload)?;
    Ok(Some(Arc::new(document)))
}

/// The question that policy answers for a send.
pub(crate) fn send_context<'a>(
    control: &'a ControlAttributes,
    authenticity: Authenticity,
    view: &'a View,
) -> StaticContext<'a> {
    StaticContext {
        action: Action::Send,
        agent: control.source,
        agent_name: view.directory.name(&control.source),
        standing: view.standing(&control.source),
        origin: Origin::Agent,
        authenticity,
        destination: Some(destination(&control.to.target, view)),
        performative: Some(&control.performative),
        schema: control.schema.as_ref().map(|schema| &schema.versioned),
        protocol: control.protocol.as_ref().map(|protocol| &protocol.versioned),
    }
}

/// What policy knows of a destination: an agent by all its names.
pub(crate) fn destination<'a>(target: &'a Target, view: &'a View) -> Destination<'a> {
    match target {
        Target::Agent(agent) => Destination::Agent(party(agent, view)),
        Target::Inbox(agent) => Destination::Inbox(party(agent, view)),
        Target::Topic(path) => Destination::Topic(path),
        Target::Conversation(id) => Destination::Conversation(id),
    }
}

fn party<'a>(reference: &'a AgentRef, view: &'a View) -> Party<'a> {
    let id = view.directory.resolve(reference);
    let name = match reference {
        AgentRef::Name(name) => Some(name.as_str()),
        AgentRef::Id(id) => view.directory.name(id),
    };
    Party { id, name }
}

impl Refused {
    fn of(offered: &Offered, offered_by: AgentId, rejection: Rejection) -> Self {
        let envelope = &offered.envelope;
        let text =
            |name: &str| Some(envelope.attributes.get(name)?.chars().take(REFUSED_TEXT_CHARS).collect());
        Self {
            offered_by,
            digest: offered.digest(),
            id: text("id"),
            conversation: text("conversationid"),
            performative: text("performative"),
            traceparent: envelope.transit.traceparent.clone(),
            rejection,
        }
    }

    /// What is known of a message that the pipeline refuses.
    pub(crate) fn after_admission(admitted: &Admitted, rejection: Rejection) -> Self {
        let control = &admitted.control;
        Self {
            offered_by: control.source,
            digest: admitted.digest(),
            id: Some(control.id.to_string()),
            conversation: control.conversation.map(|id| id.to_string()),
            performative: Some(control.performative.to_string()),
            traceparent: admitted.envelope.transit.traceparent.clone(),
            rejection,
        }
    }
}
