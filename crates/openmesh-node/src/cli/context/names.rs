//! Agents' names, so that people read names and write names where the mesh has ids.

use crate::cli::failure::Failure;
use anyhow::Result;
use openmesh_sdk::{AgentId, Mesh};
use serde_json::Value;
use std::collections::BTreeMap;

/// The names of a domain's agents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    by_id: BTreeMap<String, String>,
}

impl Names {
    /// Those the node knows; none if it does not say.
    pub(crate) async fn ask(mesh: &Mesh) -> Self {
        let rows = mesh.agents().await.unwrap_or_default();
        let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
        Self {
            by_id: rows.iter().filter_map(|row| Some((text(row, "agent")?, text(row, "name")?))).collect(),
        }
    }

    /// Names found elsewhere.
    pub(crate) fn learn(&mut self, agent: String, name: String) {
        self.by_id.insert(agent, name);
    }

    /// The names by agent id.
    pub(crate) const fn by_id(&self) -> &BTreeMap<String, String> {
        &self.by_id
    }

    /// The name of an agent, or the end of its id.
    pub(crate) fn show(&self, agent: &str) -> String {
        if let Some(name) = self.by_id.get(agent) {
            return name.clone();
        }
        agent.parse::<AgentId>().map_or_else(|_| agent.to_owned(), |agent| format!("…{}", agent.short()))
    }

    /// A text with every known id in it replaced by its agent's name.
    pub(crate) fn replace_in(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (agent, name) in &self.by_id {
            text = text.replace(agent, name);
        }
        text
    }

    /// The agent that a name or id means.
    pub(crate) fn resolve(&self, text: &str) -> Result<AgentId> {
        let text = text.strip_prefix("agent:").unwrap_or(text);
        if let Ok(agent) = text.parse() {
            return Ok(agent);
        }
        let named =
            self.by_id.iter().find(|(_, name)| *name == text).and_then(|(agent, _)| agent.parse().ok());
        named.ok_or_else(|| {
            let next = "`openmesh agent ls` lists who is known; a did:key is understood too";
            Failure::not_found(format!("no agent is named {text}")).next(next).into()
        })
    }
}
