//! What agents are told of steps that no act of theirs took: by a timer or a `when` rule.

use super::{Cause, InstanceId};
use crate::definition::{Label, Outcome};
use openmesh_message::{AgentId, ConversationId};
use serde_json::{Map, Value};

/// One such step and who is told of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Notice {
    /// The instance that moved.
    pub instance: InstanceId,
    /// The state it left.
    pub from: Label,
    /// The state it entered.
    pub to: Label,
    /// Why.
    pub cause: Cause,
    /// How the conversation ended, if it did.
    pub outcome: Option<Outcome>,
    /// Who is told, sorted.
    pub readers: Vec<AgentId>,
}

impl Notice {
    /// The notice's payload, valid under `mesh/notice@v1.0.0`.
    pub fn payload(&self, id: &ConversationId) -> Value {
        let mut object = Map::new();
        object.insert("conversation".into(), id.to_string().into());
        object.insert("machine".into(), (&*self.instance.machine).into());
        if let Some(agent) = &self.instance.agent {
            object.insert("agent".into(), agent.to_string().into());
        }
        object.insert("from".into(), (&*self.from).into());
        object.insert("to".into(), (&*self.to).into());
        object.insert("cause".into(), self.cause.as_str().into());
        if let Some(outcome) = self.outcome {
            object.insert("outcome".into(), outcome.as_str().into());
        }
        Value::Object(object)
    }
}
