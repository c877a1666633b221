//! What policy says of a message: from its steering attributes alone, found before, or with the state of its conversation.

use super::scene::{Kind, Scene, admit_all, kept_topic, policy};
use super::{MESSAGES, Rounds, Step, work};
use anyhow::{Context, Result};
use openmesh_core::admit::Familiar;
use openmesh_core::{Admitted, View, steps};
use openmesh_message::{AgentId, Performative, TopicPath};
use openmesh_policy::{
    Action, Authenticity, Destination, MachineState, Origin, Policy, Standing, StatefulContext,
    StaticContext, StaticDecision,
};
use std::hint::black_box;

pub(super) const STEPS: &[Step] = &[
    Step { name: "policy/10-rules", open: |_| by_rules(10) },
    Step { name: "policy/100-rules", open: |_| by_rules(100) },
    Step { name: "policy/100-rules-with-state", open: |_| with_state(100) },
    Step { name: "policy/100-rules-known", open: |_| known(100) },
];

/// A policy, and what is asked of it.
struct Asked {
    policy: Policy,
    agent: AgentId,
    topic: TopicPath,
}

impl Asked {
    fn new(rules: usize) -> Result<Self> {
        let agent = Scene::new()?.sender().id();
        Ok(Self { policy: policy(rules)?, agent, topic: kept_topic()? })
    }

    /// The question that a message to a topic asks.
    fn question(&self) -> StaticContext<'_> {
        StaticContext {
            action: Action::Send,
            agent: self.agent,
            agent_name: Some("writer"),
            standing: Standing::Registered,
            origin: Origin::Agent,
            authenticity: Authenticity::Signed,
            destination: Some(Destination::Topic(&self.topic)),
            performative: Some(&Performative::Inform),
            schema: None,
            protocol: None,
        }
    }
}

/// From the rules.
fn by_rules(rules: usize) -> Result<Box<dyn Rounds>> {
    let decide = |asked: &mut Asked, ()| {
        let question = asked.question();
        let decide = |_| asked.policy.decide_static(black_box(&question));
        (0..MESSAGES).map(decide).collect::<Vec<_>>()
    };
    work(
        Asked::new(rules)?,
        |_| Ok(()),
        decide,
        |decisions| decisions.iter().filter(|one| allows(one)).count(),
    )
}

/// From the rules, the role and the state.
fn with_state(rules: usize) -> Result<Box<dyn Rounds>> {
    let decide = |asked: &mut Asked, ()| {
        let states = [("round", "open"), ("bid", "proposed")];
        let states = states.map(|(machine, state)| MachineState { machine, state });
        let (request, role) = (asked.question(), Some("participant"));
        let context = StatefulContext { request, role, states: &states };
        let decide = |_| asked.policy.decide_stateful(black_box(&context));
        (0..MESSAGES).map(decide).collect::<Vec<_>>()
    };
    work(
        Asked::new(rules)?,
        |_| Ok(()),
        decide,
        |decisions| decisions.iter().filter(|one| one.allows()).count(),
    )
}

/// From what was found of a message alike.
fn known(rules: usize) -> Result<Box<dyn Rounds>> {
    let scene = Scene::with_rules(rules)?;
    let (view, familiar) = (scene.view(), Familiar::default());
    let rule = |(_, view, familiar): &mut (Scene, View, Familiar), admitted: Vec<Admitted>| {
        let decisions: Vec<_> = admitted.iter().map(|one| steps::rule(one, view, familiar)).collect();
        (decisions, admitted)
    };
    work((scene, view, familiar), admitted, rule, |(decisions, _)| {
        decisions.iter().filter(|one| allows(one)).count()
    })
}

fn allows(decision: &StaticDecision) -> bool {
    matches!(decision, StaticDecision::Decided(decision) if decision.allows())
}

/// Messages of which the rules have been asked.
fn admitted((scene, view, familiar): &mut (Scene, View, Familiar)) -> Result<Vec<Admitted>> {
    let envelopes = scene.envelopes(Kind::Kept)?;
    let admitted = admit_all(envelopes, scene.sender().id(), view, familiar)?;
    steps::rule(admitted.first().context("a message")?, view, familiar);
    Ok(admitted)
}
