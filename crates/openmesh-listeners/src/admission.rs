//! Takes messages in for every door alike: admits each against one view, in a span of its own where it is traced.

use openmesh_adapter::trace::Tracer;
use openmesh_adapter::{MeshHandle, now};
use openmesh_core::admit::{Familiar, Offered, admit};
use openmesh_core::{Input, Ticket, View};
use openmesh_message::{AgentId, Timestamp};
use std::sync::Arc;
use tracing::Span;

/// What the messages of one batch are admitted against.
pub(crate) struct Admission {
    agent: AgentId,
    view: Arc<View>,
    now: Timestamp,
    tracer: Option<Tracer>,
}

impl Admission {
    /// Admits what `agent` offers at this moment.
    pub(crate) fn of(agent: AgentId, mesh: &MeshHandle) -> Self {
        Self { agent, view: mesh.view(), now: now(), tracer: mesh.tracing().listened_to() }
    }

    /// Whether messages are traced.
    pub(crate) const fn traces(&self) -> bool {
        self.tracer.is_some()
    }

    /// What they are admitted against.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The moment.
    pub(crate) const fn moment(&self) -> Timestamp {
        self.now
    }

    /// Admits one message, or says why not.
    pub(crate) fn admit(&self, ticket: Ticket, offered: Offered, familiar: &mut Familiar) -> Input {
        let tracer = self.tracer;
        let span =
            tracer.map_or_else(Span::none, |tracer| tracer.admitting(ticket.connection, offered.envelope()));
        match span.in_scope(|| admit(offered, self.agent, &self.view, familiar, self.now)) {
            Ok(admitted) => Input::Message { ticket, admitted: Box::new(admitted) },
            Err(refused) => {
                span.record("code", refused.rejection.code());
                Input::Refused { ticket, refused }
            }
        }
    }
}
