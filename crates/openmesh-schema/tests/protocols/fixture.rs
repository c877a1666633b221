//! Agents, payloads and a small driver shared by the tests of this binary.

use openmesh_message::json::Document;
use openmesh_message::{
    AgentId, Authority, ConversationId, Digest, KeyPair, NameRange, Performative, PinnedName, Timestamp,
    VersionedName,
};
use openmesh_schema::{Act, ActTarget, Catalog, ConversationState, IllegalAct, Protocol, Transition};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
pub(crate) const HOUR_MS: i64 = 3_600_000;

pub(crate) fn agent(index: u8) -> AgentId {
    let key = KeyPair::from_seed(&[index + 1; 32]).unwrap();
    key.id()
}

pub(crate) fn agents(count: u8) -> Vec<AgentId> {
    (0..count).map(agent).collect()
}

pub(crate) fn conversation() -> ConversationId {
    ConversationId::from_bytes([7; 16])
}

pub(crate) fn protocol(text: &str) -> Arc<Protocol> {
    let name = VersionedName::parse(text, Authority::OpenMesh).unwrap();
    Arc::clone(Catalog::builtin().protocol_named(&name).unwrap())
}

pub(crate) fn pin(range: &str) -> PinnedName {
    let range = NameRange::parse(range, Authority::OpenMesh).unwrap();
    Catalog::builtin().resolve(&range).unwrap()
}

pub(crate) fn performative(text: &str) -> Performative {
    text.parse().unwrap()
}

pub(crate) fn rfp() -> Value {
    json!({
        "id": "ocds-1/1", "title": "Cycle lane", "items": [{"id": "1"}],
        "value": {"amount": 1000, "currency": "GBP"},
        "tenderPeriod": {"endDate": NOW.plus_ms(HOUR_MS).to_string()},
    })
}

pub(crate) fn proposal(amount: f64) -> Value {
    json!({"rfp": "ocds-1/1", "value": {"amount": amount, "currency": "GBP"}})
}

pub(crate) fn contract(amount: f64) -> Value {
    json!({
        "rfp": "ocds-1/1", "proposal": Digest::of(b"offer").to_string(),
        "parties": [{"id": agent(0).to_string(), "role": "buyer"}, {"id": agent(1).to_string(), "role": "seller"}],
        "clauses": ["Deliver."], "value": {"amount": amount, "currency": "GBP"},
    })
}

/// An act that owns its parts.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) sender: AgentId,
    pub(crate) performative: Performative,
    pub(crate) schema: Option<PinnedName>,
    pub(crate) payload: Option<Document>,
    pub(crate) payload_bytes: Vec<u8>,
    pub(crate) parents: Vec<Digest>,
    pub(crate) to: ActTarget,
    pub(crate) invites: Vec<(String, AgentId)>,
    pub(crate) custodial: bool,
}

impl Draft {
    pub(crate) fn new(sender: AgentId, act: &str, to: ActTarget) -> Self {
        Self {
            sender,
            performative: performative(act),
            schema: None,
            payload: None,
            payload_bytes: Vec::new(),
            parents: Vec::new(),
            to,
            invites: Vec::new(),
            custodial: false,
        }
    }

    pub(crate) fn with(mut self, range: &str, payload: Value) -> Self {
        self.schema = Some(pin(range));
        self.payload_bytes = payload.to_string().into_bytes();
        self.payload = Some(Document::of(&payload));
        self
    }

    /// Changes what the payload says; the bytes that are signed stay.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Value)) {
        let mut payload = self.payload.as_ref().unwrap().to_value();
        change(&mut payload);
        self.payload = Some(Document::of(&payload));
    }

    pub(crate) fn naming(mut self, parent: Digest) -> Self {
        self.parents.push(parent);
        self
    }

    pub(crate) fn payload_digest(&self) -> Digest {
        Digest::of(&self.payload_bytes)
    }

    pub(crate) fn digest(&self) -> Digest {
        let text = format!("{} {} {}", self.sender, self.performative, self.payload_digest());
        Digest::of(text.as_bytes())
    }

    pub(crate) fn act(&self) -> Act<'_> {
        Act {
            sender: self.sender,
            performative: &self.performative,
            schema: self.schema.as_ref(),
            payload: self.payload.as_ref(),
            payload_bytes: &self.payload_bytes,
            digest: self.digest(),
            parents: &self.parents,
            to: self.to,
            invites: &self.invites,
            custodial: self.custodial,
        }
    }
}

/// One conversation and its clock.
pub(crate) struct Run {
    pub(crate) protocol: Arc<Protocol>,
    pub(crate) state: ConversationState,
    pub(crate) now: Timestamp,
}

impl Run {
    pub(crate) fn open(protocol: &Arc<Protocol>, draft: &Draft) -> Result<Self, IllegalAct> {
        let opened = protocol.open(&conversation(), &draft.act(), NOW)?;
        let mut state = protocol.blank(&conversation());
        protocol.apply(&mut state, &opened.transition, draft.payload.as_ref());
        assert_eq!(state, *opened.after, "applied as it was decided");
        let protocol = Arc::clone(protocol);
        Ok(Self { protocol, state, now: NOW })
    }

    pub(crate) fn act(&mut self, draft: &Draft) -> Result<Transition, IllegalAct> {
        let decided = self.protocol.step(&self.state, &draft.act(), self.now)?;
        self.protocol.apply(&mut self.state, &decided.transition, draft.payload.as_ref());
        assert_eq!(self.state, *decided.after, "applied as it was decided");
        Ok(decided.transition)
    }

    /// Moves the clock and fires what is due.
    pub(crate) fn wait(&mut self, ms: i64) -> Vec<Transition> {
        self.now = self.now.plus_ms(ms);
        let mut fired = Vec::new();
        while let Some(decided) = self.protocol.fire(&self.state, self.now) {
            self.protocol.apply(&mut self.state, &decided.transition, None);
            assert_eq!(self.state, *decided.after, "applied as it was decided");
            fired.push(decided.transition);
        }
        fired
    }

    pub(crate) fn refused(&mut self, draft: &Draft) -> openmesh_schema::IllegalKind {
        let before = self.state.clone();
        let refusal = self.act(draft).expect_err("the act must be refused");
        assert_eq!(self.state, before, "a refused act changes nothing");
        refusal.kind
    }
}
