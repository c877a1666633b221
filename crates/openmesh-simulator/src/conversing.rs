//! Acts of conversations: agents do what their protocol allows, picked by chance.
//!
//! What is allowed is read from the node's state when the act is made, and may be past when it arrives.

use crate::world::{TalkFacts, World};
use openmesh_core::Conversation;
use openmesh_message::{Address, AgentId, ConversationId, Digest, Performative, PinnedName, Target};
use openmesh_schema::{AllowedAct, Protocol};
use serde_json::{Value, json};
use std::sync::Arc;

/// The longest a market stays open for proposals.
const MARKET_MS_MAX: i64 = 15 * 60_000;

/// An act before it is a message.
pub(crate) struct Deed {
    pub(crate) agent: usize,
    pub(crate) id: ConversationId,
    pub(crate) protocol: PinnedName,
    pub(crate) to: Address,
    pub(crate) act: Performative,
    pub(crate) schema: Option<PinnedName>,
    pub(crate) payload: Option<Value>,
    pub(crate) parents: Vec<Digest>,
    pub(crate) invites: Vec<(&'static str, AgentId)>,
}

impl World {
    /// Opens a conversation of a protocol of the binary.
    pub(crate) fn open_talk(&mut self) -> Option<()> {
        let protocols: Vec<_> = self.catalog.protocols().cloned().collect();
        let protocol = self.random.pick(&protocols)?.clone();
        let deed = self.opening(&protocol)?;
        self.perform(deed).map(|_| ())
    }

    /// The act that opens a conversation of a protocol.
    pub(crate) fn opening(&mut self, protocol: &Arc<Protocol>) -> Option<Deed> {
        let agent = self.anyone();
        let id = ConversationId::from_bytes(self.random.bytes());
        let openings = protocol.allowed_opening();
        let allowed = self.random.pick(&openings)?.clone();
        let several = protocol.pinned().versioned.name.name != "request"
            && matches!(allowed.performative, Performative::Cfp);
        let to = match self.random.below(10) {
            0..6 if !several => {
                let other = self.anyone();
                let other = if other == agent { (other + 1) % 9 } else { other };
                Target::Agent(openmesh_message::AgentRef::Id(self.id_of(other)?))
            }
            0..8 => Target::Topic("market/calls".parse().ok()?),
            _ => Target::Conversation(id),
        };
        let facts = TalkFacts {
            rfp: format!("rfp-{}", self.random.below(1_000_000)),
            amount: 100 + self.random.below(900),
        };
        let end = self.time.plus_ms(self.random.ms(30_000, MARKET_MS_MAX));
        let payload = allowed.schema.as_ref().map(|_| rfp(&facts, &end.to_string()));
        self.talks.insert(id, facts);
        let invites = match (allowed.schema.is_some(), self.id_of(4)) {
            (true, Some(auditor)) if agent != 4 => vec![("auditor", auditor)],
            _ => Vec::new(),
        };
        Some(Deed {
            agent,
            id,
            protocol: protocol.pinned().clone(),
            to: Address::new(self.domain, to),
            act: allowed.performative,
            schema: allowed.schema,
            payload,
            parents: Vec::new(),
            invites,
        })
    }

    /// Does something that is allowed in some conversation.
    pub(crate) fn converse(&mut self) -> Option<()> {
        let state = self.some_talk(|_, state| !state.is_ended())?;
        let (agent, allowed) = self.choose(&state)?;
        let deed = self.deed(&state, agent, &allowed)?;
        let kept = self.random.chance(1, 12);
        self.perform_with(deed, kept).map(|_| ())
    }

    /// A conversation that fits, by chance; `fits` is told the protocol's name.
    pub(crate) fn some_talk(&mut self, fits: impl Fn(&str, &Conversation) -> bool) -> Option<Conversation> {
        let state = self.node.partition.state();
        let fitting = state.conversations().filter(|(id, state)| {
            self.talks.contains_key(id) && fits(&state.protocol.versioned.name.name, state)
        });
        let ids: Vec<_> = fitting.map(|(id, _)| *id).collect();
        let id = self.random.pick(&ids)?;
        let mut all = self.node.partition.state().conversations();
        all.find(|(other, _)| *other == id).map(|(_, state)| state.clone())
    }

    fn choose(&mut self, state: &Conversation) -> Option<(usize, AllowedAct)> {
        let protocol = self.catalog.protocol(&state.protocol.digest)?;
        let mut all = Vec::new();
        for agent in 0..9 {
            let id = self.id_of(agent)?;
            let allowed = protocol.allowed_next(state, &id, self.now());
            let willing = allowed.into_iter().filter(|next| !leaves_work_undone(state, &next.performative));
            all.extend(willing.map(|allowed| (agent, allowed)));
        }
        let haggles =
            |(_, allowed): &(usize, AllowedAct)| allowed.performative == Performative::CounterPropose;
        if self.seed % 4 == 1 && self.random.chance(4, 5) && all.iter().any(haggles) {
            all.retain(haggles);
        }
        let chosen = self.random.pick(&all)?.clone();
        let ends = matches!(chosen.1.performative, Performative::Cancel | Performative::RejectProposal);
        let again = ends && self.random.chance(2, 3);
        if again { self.random.pick(&all).cloned() } else { Some(chosen) }
    }

    /// The act as its protocol allows it.
    pub(crate) fn deed(&mut self, state: &Conversation, agent: usize, allowed: &AllowedAct) -> Option<Deed> {
        let to = match (&allowed.to, allowed.to_roles.as_slice()) {
            (Some(agent), _) => Some(*agent),
            (None, []) => None,
            (None, roles) => {
                let bound = state.bound.iter().filter(|bound| roles.contains(&bound.role));
                let bound: Vec<_> = bound.map(|bound| bound.agent).collect();
                let whole = self.random.chance(1, 4);
                self.random.pick(&bound).copied().filter(|_| !whole)
            }
        };
        let to = match to {
            Some(agent) => Target::Agent(openmesh_message::AgentRef::Id(agent)),
            None => Target::Conversation(state.id),
        };
        let facts = self.talks.get(&state.id)?.clone();
        let kind = allowed.schema.as_ref().map(|schema| schema.versioned.name.short());
        let payload = match kind.as_deref() {
            Some("market/proposal") => Some(proposal(&facts, 1 + self.random.below(facts.amount))),
            Some("market/contract") => {
                let seller = allowed.to.or_else(|| self.id_of(agent))?;
                Some(self.contract(state, &seller, "as agreed")?)
            }
            _ => None,
        };
        Some(Deed {
            agent,
            id: state.id,
            protocol: (*state.protocol).clone(),
            to: Address::new(self.domain, to),
            act: allowed.performative.clone(),
            schema: allowed.schema.clone(),
            payload,
            parents: allowed.parents.clone(),
            invites: Vec::new(),
        })
    }

    /// The contract of a bid: the same bytes for both who sign it.
    pub(crate) fn contract(&self, state: &Conversation, seller: &AgentId, clause: &str) -> Option<Value> {
        let facts = self.talks.get(&state.id)?;
        let slot = state.instances.iter().find(|slot| slot.agent == *seller)?;
        let offer = slot.instance.offer?;
        let price = self.prices.get(&offer)?;
        let buyer = state.bound.first()?.agent;
        Some(json!({
            "clauses": [clause],
            "parties": [{"id": buyer, "role": "buyer"}, {"id": seller, "role": "seller"}],
            "proposal": offer,
            "rfp": facts.rfp,
            "value": {"amount": price, "currency": "EUR"},
        }))
    }

    /// Makes the act a message, signs it and sends it.
    pub(crate) fn perform(&mut self, deed: Deed) -> Option<Digest> {
        self.perform_with(deed, false)
    }

    /// Makes a message of an act and sends it, signed by the agent or, with the key `kept` for it, by the node.
    pub(crate) fn perform_with(&mut self, deed: Deed, kept: bool) -> Option<Digest> {
        let mut draft = self.draft(deed.agent, &deed.to, &deed.act)?.conversation(&deed.protocol, &deed.id);
        if let Some(schema) = &deed.schema {
            draft = draft.schema(schema);
        }
        if let Some(payload) = &deed.payload {
            draft = draft.json(payload.to_string().into_bytes());
        }
        if !deed.parents.is_empty() {
            draft = draft.parents(&deed.parents);
        }
        if !deed.invites.is_empty() {
            draft = draft.invite(&deed.invites);
        }
        let digest = match kept {
            true => self.send_kept(deed.agent, draft)?,
            false => self.send_signed(deed.agent, draft)?,
        };
        let price = deed.payload.as_ref().and_then(|payload| payload.pointer("/value/amount"));
        if let Some(price) = price.and_then(Value::as_u64) {
            self.prices.insert(digest, price);
        }
        Some(digest)
    }

    /// A schema of the binary by its name.
    pub(crate) fn schema(&self, name: &str) -> Option<PinnedName> {
        let found = self.catalog.schemas().find(|schema| schema.pinned().versioned.name.short() == name);
        found.map(|schema| schema.pinned().clone())
    }

    /// A protocol of the binary by its name.
    pub(crate) fn protocol(&self, name: &str) -> Option<Arc<Protocol>> {
        let mut all = self.catalog.protocols();
        all.find(|protocol| protocol.pinned().versioned.name.short() == name).cloned()
    }
}

/// In one conversation of a contract net out of four no winner reports and nobody cancels: the round expires.
fn leaves_work_undone(state: &Conversation, act: &Performative) -> bool {
    let is_one =
        state.protocol.versioned.name.name == "contract-net" && state.id.as_bytes()[0].is_multiple_of(4);
    is_one && matches!(act, Performative::Inform | Performative::Failure | Performative::Cancel)
}

pub(crate) fn rfp(facts: &TalkFacts, end: &str) -> Value {
    json!({
        "id": facts.rfp,
        "items": [{"id": "1"}],
        "tenderPeriod": {"endDate": end},
        "title": "simulated",
        "value": {"amount": facts.amount, "currency": "EUR"},
    })
}

pub(crate) fn proposal(facts: &TalkFacts, price: u64) -> Value {
    json!({"rfp": facts.rfp, "value": {"amount": price, "currency": "EUR"}})
}
