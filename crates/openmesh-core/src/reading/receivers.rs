//! Who may receive a message of a topic: the rules are narrowed to the message once, and then asked for each who listens.

use super::plain_read;
use crate::admit::destination;
use crate::view::View;
use openmesh_message::{AgentId, ControlAttributes};
use openmesh_policy::{Authenticity, Narrowed, StaticContext};

/// What policy says of one message, whoever listens.
pub(crate) struct Receivers<'a> {
    view: &'a View,
    about: StaticContext<'a>,
    narrowed: Narrowed<'a>,
}

impl<'a> Receivers<'a> {
    /// Those of a message that goes to a topic.
    pub(crate) fn of(view: &'a View, control: &'a ControlAttributes, authenticity: Authenticity) -> Self {
        let about = StaticContext {
            authenticity,
            destination: Some(destination(&control.to.target, view)),
            performative: Some(&control.performative),
            schema: control.schema.as_ref().map(|schema| &schema.versioned),
            protocol: control.protocol.as_ref().map(|protocol| &protocol.versioned),
            ..plain_read(view, &control.source)
        };
        Self { view, about, narrowed: view.policy.narrowed(&about) }
    }

    /// Whether policy lets an agent receive the message, if it listens.
    pub(crate) fn include(&self, reader: &AgentId) -> bool {
        let (standing, agent_name) = self.view.known_as(reader);
        self.narrowed.allows(&StaticContext { agent: *reader, agent_name, standing, ..self.about })
    }
}
