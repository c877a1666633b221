//! One conversation of some protocol, driven by a feed: acts of any kind, and time that passes.

use crate::cast::{AGENTS, NOW, agent, contract, proposal, rfp};
use crate::feed::{Feed, Script};
use crate::targets::Met;
use openmesh_message::json::Document;
use openmesh_message::{AgentId, ConversationId, Digest, Performative, PinnedName, Timestamp};
use openmesh_schema::limits::{AGENTS_MAX, DUTIES_MAX};
use openmesh_schema::{Act, ActTarget, Advance, Catalog, ConversationState, Protocol, Transition};
use std::collections::BTreeSet;

const STEPS_MAX: usize = 48;
/// More timers than this at one time would go on for ever.
const TIMERS_MAX: usize = 1_000;
const WAITS_MS: [i64; 6] = [0, 1_000, 60_000, 600_000, 3_600_000, 86_400_000];
/// Bits of an act's byte of choices.
const NAMES_OFFER: u8 = 1;
const NAMES_OTHER: u8 = 2;
const INVITES: u8 = 4;
const CUSTODIAL: u8 = 8;
/// How acts are told from waits, by the first byte of a step.
const WAIT: u8 = 0;
const ACT: u8 = 1;

/// A conversation and its clock.
struct Run<'a> {
    protocol: &'a Protocol,
    state: Option<ConversationState>,
    now: Timestamp,
}

/// An act that owns its parts.
struct Prepared {
    sender: AgentId,
    performative: Performative,
    schema: Option<PinnedName>,
    payload: Option<Document>,
    written: Vec<u8>,
    parents: Vec<Digest>,
    to: ActTarget,
    invites: Vec<(String, AgentId)>,
    custodial: bool,
    digest: Digest,
}

/// Plays the feed to its end; tells whether any act was legal.
pub(super) fn drive(protocol: &Protocol, feed: &mut Feed<'_>) -> Met {
    let mut run = Run { protocol, state: None, now: NOW };
    let mut met = Met::Refused;
    for _ in 0..STEPS_MAX {
        if feed.is_empty() {
            break;
        }
        if feed.choice(4) == usize::from(WAIT) {
            run.now = run.now.plus_ms(WAITS_MS[feed.choice(WAITS_MS.len())]);
            run.fire();
        } else if let Some(prepared) = run.prepare(feed)
            && run.act(&prepared)
        {
            met = Met::Taken;
        }
    }
    met
}

impl Run<'_> {
    fn fire(&mut self) {
        let Some(state) = &mut self.state else {
            return;
        };
        for _ in 0..TIMERS_MAX {
            let Some(Advance { transition, .. }) = self.protocol.fire(state, self.now) else {
                assert!(self.protocol.next_deadline(state).is_none_or(|deadline| deadline > self.now));
                return;
            };
            self.protocol.apply(state, &transition, None);
            check(self.protocol, state, &transition);
        }
        panic!("timers fire for ever");
    }

    fn prepare(&self, feed: &mut Feed<'_>) -> Option<Prepared> {
        let choices = feed.byte();
        let sender = agent(feed.byte());
        let performative = Performative::KNOWN[feed.choice(Performative::KNOWN.len())].clone();
        let schemas: Vec<PinnedName> = self.protocol.definition().schemas().into_iter().cloned().collect();
        let schema = match feed.choice(schemas.len() + 1) {
            0 => None,
            index => Some(schemas[index - 1].clone()),
        };
        let payload = payload(feed);
        // Admission lets through what is valid, and nothing without a payload.
        if let Some(pin) = &schema {
            Catalog::builtin().schema(&pin.digest)?.validate(payload.as_ref()?).ok()?;
        }
        let to = match feed.choice(usize::from(AGENTS) + 2) {
            0 => ActTarget::Conversation,
            1 => ActTarget::Topic,
            index => ActTarget::Agent(agent(index as u8)),
        };
        let mut parents = Vec::new();
        if choices & NAMES_OFFER != 0 {
            parents.extend(self.offers());
        }
        if choices & NAMES_OTHER != 0 {
            parents.push(Digest::ZERO);
        }
        let mut invites = Vec::new();
        if choices & INVITES != 0 {
            let roles: Vec<_> = self.protocol.definition().roles.keys().collect();
            let role = roles[feed.choice(roles.len())].to_string();
            invites.push((role, agent(feed.byte())));
        }
        let digest = Digest::of_parts("act", &[&self.now.millis().to_be_bytes(), &[choices]]);
        let custodial = choices & CUSTODIAL != 0;
        let written =
            payload.as_ref().map(|payload| payload.to_value().to_string()).unwrap_or_default().into_bytes();
        Some(Prepared {
            sender,
            performative,
            schema,
            payload,
            written,
            parents,
            to,
            invites,
            custodial,
            digest,
        })
    }

    fn offers(&self) -> Vec<Digest> {
        let instances = self.state.iter().flat_map(|state| &state.instances);
        instances.filter_map(|slot| slot.instance.offer).collect()
    }

    /// Whether the act was legal; a legal one is taken.
    fn act(&mut self, prepared: &Prepared) -> bool {
        let act = prepared.act();
        let decided = match &self.state {
            None => {
                let id = ConversationId::from_bytes([7; 16]);
                let opened = self.protocol.open(&id, &act, self.now);
                assert_eq!(opened, self.protocol.open(&id, &act, self.now));
                opened.map(|opened| (self.protocol.blank(&id), opened))
            }
            Some(state) => {
                let decided = self.protocol.step(state, &act, self.now);
                assert_eq!(decided, self.protocol.step(state, &act, self.now));
                decided.map(|advance| (state.clone(), advance))
            }
        };
        match decided {
            Ok((mut state, Advance { transition, after })) => {
                self.protocol.apply(&mut state, &transition, act.payload);
                assert_eq!(state, *after, "applied as it was decided");
                check(self.protocol, &state, &transition);
                let readers = self.protocol.readers(&state, &act.sender, &act.to);
                assert!(readers.contains(&act.sender));
                self.state = Some(state);
                self.fire();
                true
            }
            Err(illegal) => {
                assert!(!illegal.detail.is_empty());
                if let Some(state) = &self.state {
                    let allowed = self.protocol.allowed_next(state, &act.sender, self.now);
                    assert_eq!(illegal.allowed_next, allowed);
                }
                false
            }
        }
    }
}

/// What holds of every state after every transition.
fn check(protocol: &Protocol, state: &ConversationState, transition: &Transition) {
    let bound: BTreeSet<_> = state.bound.iter().map(|bound| bound.agent).collect();
    assert_eq!(bound.len(), state.bound.len(), "an agent has two roles");
    assert!(bound.len() <= AGENTS_MAX && state.duties.len() <= DUTIES_MAX);
    assert!(state.bound.iter().all(|bound| protocol.definition().roles.contains_key(&bound.role)));
    if state.is_ended() {
        assert_eq!(protocol.next_deadline(state), None, "{}", state.text());
        assert!(state.duties.is_empty());
    }
    let kept: ConversationState =
        minicbor_serde::from_slice(&minicbor_serde::to_vec(state).unwrap()).unwrap();
    assert_eq!(kept, *state);
    let kept: Transition = minicbor_serde::from_slice(&minicbor_serde::to_vec(transition).unwrap()).unwrap();
    assert_eq!(kept, *transition);
    let _ = transition.summary();
    for notice in protocol.notices(state, transition) {
        assert!(notice.payload(&state.id).is_object());
    }
}

impl Prepared {
    fn act(&self) -> Act<'_> {
        Act {
            sender: self.sender,
            performative: &self.performative,
            schema: self.schema.as_ref(),
            payload: self.payload.as_ref(),
            payload_bytes: &self.written,
            digest: self.digest,
            parents: &self.parents,
            to: self.to,
            invites: &self.invites,
            custodial: self.custodial,
        }
    }
}

fn payload(feed: &mut Feed<'_>) -> Option<Document> {
    match feed.choice(5) {
        0 => None,
        1 => Some(Document::of(&rfp())),
        2 => Some(Document::of(&proposal(feed.byte()))),
        3 => Some(Document::of(&contract(feed.byte()))),
        _ => Document::read(feed.part()).ok(),
    }
}

/// An act for a seed: who, what, which schema (0: none), which payload (see `payload`), to whom.
pub(super) fn says(
    script: Script,
    protocol: &Protocol,
    (who, what, schema): (u8, &str, &str),
    to: u8,
) -> Script {
    let performative = Performative::KNOWN.iter().position(|known| known.as_str() == what).unwrap();
    let schemas = protocol.definition().schemas();
    let index = schemas.iter().position(|pin| pin.versioned.name.name == schema).map_or(0, |index| index + 1);
    let script = script.byte(ACT).byte(NAMES_OFFER).byte(who).byte(performative as u8).byte(index as u8);
    let script = match schema {
        "rfp" => script.byte(1),
        "proposal" => script.byte(2).byte(50),
        "contract" => script.byte(3).byte(50),
        _ => script.byte(0),
    };
    script.byte(to)
}

/// Time that passes, for a seed: a place in [`WAITS_MS`].
pub(super) fn waits(script: Script, index: u8) -> Script {
    script.byte(WAIT).byte(index)
}
