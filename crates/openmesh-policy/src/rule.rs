//! One rule: its conditions, and whether a request meets them.

use crate::context::{Action, Authenticity, Destination, Origin, StatefulContext, StaticContext};
use crate::decision::Decision;
use crate::pattern::{DefinitionPattern, DestinationPattern, StatePattern, WhoPattern};
use openmesh_message::Performative;

/// A loaded rule. It matches when each condition that was written has an item that matches.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) decision: Decision,
    pub(crate) action: Vec<Action>,
    pub(crate) who: Vec<WhoPattern>,
    pub(crate) origin: Option<Vec<Origin>>,
    pub(crate) authenticity: Option<Vec<Authenticity>>,
    pub(crate) to: Option<Vec<DestinationPattern>>,
    pub(crate) performative: Option<Vec<Performative>>,
    pub(crate) schema: Option<Vec<DefinitionPattern>>,
    pub(crate) protocol: Option<Vec<DefinitionPattern>>,
    pub(crate) role: Option<Vec<String>>,
    pub(crate) state: Option<Vec<StatePattern>>,
}

impl Rule {
    /// Whether the rule reads the role or the state of a conversation.
    pub(crate) fn is_stateful(&self) -> bool {
        self.role.is_some() || self.state.is_some()
    }

    /// Whether every condition but role and state is met, of a rule about the action.
    pub(crate) fn matches_static(&self, request: &StaticContext<'_>) -> bool {
        self.who.iter().any(|who| who.matches(request)) && self.takes_in(request) && self.leads_to(request)
    }

    /// The same if the right one asks.
    pub(crate) fn may_match_static(&self, request: &StaticContext<'_>) -> bool {
        self.takes_in(request)
            && met(&self.to, |to| request.destination.is_some_and(|destination| to.may_match(destination)))
    }

    /// Whether the conditions are met that read who asks, of a rule that the right one meets.
    pub(crate) fn matches_asker(&self, request: &StaticContext<'_>) -> bool {
        let is_topic = matches!(request.destination, Some(Destination::Topic(_)));
        self.who.iter().any(|who| who.matches(request)) && (is_topic || self.leads_to(request))
    }

    fn leads_to(&self, request: &StaticContext<'_>) -> bool {
        met(&self.to, |to| {
            request.destination.is_some_and(|destination| to.matches(destination, request.agent))
        })
    }

    /// Whether every condition is met that reads neither who asks nor where to.
    fn takes_in(&self, request: &StaticContext<'_>) -> bool {
        let message_at_hand = request.performative.is_some();
        met(&self.origin, |origin| *origin == request.origin)
            && met(&self.authenticity, |kind| *kind == request.authenticity)
            && met(&self.performative, |act| Some(act) == request.performative)
            && met(&self.schema, |schema| schema.matches(request.schema, message_at_hand))
            && met(&self.protocol, |protocol| protocol.matches(request.protocol, message_at_hand))
    }

    /// Whether role and state are met too.
    pub(crate) fn matches(&self, context: &StatefulContext<'_>) -> bool {
        self.matches_static(&context.request)
            && met(&self.role, |role| Some(role.as_str()) == context.role)
            && met(&self.state, |state| context.states.iter().any(|at| state.matches(at)))
    }
}

fn met<T>(condition: &Option<Vec<T>>, matches: impl Fn(&T) -> bool) -> bool {
    condition.as_ref().is_none_or(|items| items.iter().any(matches))
}
