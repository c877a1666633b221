//! What agents are told of steps that no act of theirs took: by a timer or a `when` rule.

use super::{Cause, InstanceId, kept};
use crate::definition::{Label, Outcome};
use minicbor::{Decode, Encode};
use openmesh_message::{AgentId, ConversationId, shared_text};
use serde_json::{Map, Value};

/// One such step and who is told of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, Encode, Decode)]
pub struct Notice {
    /// The instance that moved.
    #[n(0)]
    pub instance: InstanceId,
    /// The state it left.
    #[cbor(n(1), with = "shared_text")]
    pub from: Label,
    /// The state it entered.
    #[cbor(n(2), with = "shared_text")]
    pub to: Label,
    /// Why.
    #[n(3)]
    pub cause: Cause,
    /// How the conversation ended, if it did.
    #[n(4)]
    pub outcome: Option<Outcome>,
    /// Who is told, sorted.
    #[cbor(n(5), with = "kept::agents")]
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
