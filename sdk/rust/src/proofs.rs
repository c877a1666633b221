//! Whether messages are their senders': by a sender's own key, or by one that the domain's node keeps for it.
//!
//! A key that the node keeps is learned from the node, which made it: see decision 0022.

use crate::compose::source_of;
use crate::{Mesh, SdkError};
use openmesh_message::{AgentId, Digest, Envelope, Proof, Signature};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Agents whose kept keys are remembered.
const AGENTS_MAX: usize = 1_024;

/// By whom a message is known to be its sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// By the sender, with a key that it alone has.
    Sender,
    /// By the node, with a key that it keeps for the sender.
    Node,
    /// By nobody: the node vouches that the sender's connection sent it.
    Nobody,
}

/// The keys that the node keeps for agents, as it said when it was asked.
#[derive(Default)]
pub(crate) struct KeptKeys {
    of_agents: Mutex<BTreeMap<AgentId, BTreeSet<AgentId>>>,
}

/// Remembers the last signature that held: messages of one batch share it.
#[derive(Default)]
pub(crate) struct ProofMemory {
    held: Option<(AgentId, AgentId, Digest, Signature)>,
}

impl Mesh {
    /// By whom a message is known to be its sender's; an error says why it is not, or could not be learned.
    /// The node is asked which keys it keeps for the sender, once for each sender.
    pub async fn signed_by(&self, envelope: &Envelope) -> Result<SignedBy, SdkError> {
        let mut proofs = ProofMemory::default();
        proofs.check(envelope, self).await.map_err(SdkError::NotTheSenders)?;
        let Some((proof, source)) = envelope.proof.as_ref().zip(source_of(envelope)) else {
            return Ok(SignedBy::Nobody);
        };
        let known = self.kept_keys().of(&source);
        let kept = match known {
            Some(keys) => keys,
            None => self.ask_kept_keys(&source).await?,
        };
        Ok(if kept.contains(proof.keyid()) { SignedBy::Node } else { SignedBy::Sender })
    }

    /// Whether the node keeps that key for the agent. A key not known of is asked for: it may have been made since.
    async fn is_kept_key(&self, agent: &AgentId, keyid: &AgentId) -> Result<bool, SdkError> {
        if self.kept_keys().of(agent).is_some_and(|keys| keys.contains(keyid)) {
            return Ok(true);
        }
        Ok(self.ask_kept_keys(agent).await?.contains(keyid))
    }

    async fn ask_kept_keys(&self, agent: &AgentId) -> Result<BTreeSet<AgentId>, SdkError> {
        let row = match self.agent(&agent.to_string()).await {
            Ok(row) => row,
            // A stranger: nobody keeps a key for it.
            Err(SdkError::Refused(problem)) if problem.code == "not_found" => serde_json::Value::Null,
            Err(why) => return Err(why),
        };
        let listed = row.get("custodial_keys").and_then(|keys| keys.as_array()).into_iter().flatten();
        let keys = listed.filter_map(|kept| kept.get("key")?.as_str()?.parse().ok());
        let keys: BTreeSet<_> = keys.collect();
        self.kept_keys().remember(*agent, keys.clone());
        Ok(keys)
    }
}

impl KeptKeys {
    fn of(&self, agent: &AgentId) -> Option<BTreeSet<AgentId>> {
        self.of_agents.lock().unwrap_or_else(PoisonError::into_inner).get(agent).cloned()
    }

    fn remember(&self, agent: AgentId, keys: BTreeSet<AgentId>) {
        let mut of_agents = self.of_agents.lock().unwrap_or_else(PoisonError::into_inner);
        if of_agents.len() >= AGENTS_MAX && !of_agents.contains_key(&agent) {
            of_agents.pop_first();
        }
        of_agents.insert(agent, keys);
    }
}

impl ProofMemory {
    /// Checks that a signed message is the one signed, by its sender or for it; unsigned ones the node vouches for.
    pub(crate) async fn check(&mut self, envelope: &Envelope, mesh: &Mesh) -> Result<(), String> {
        let source = source_of(envelope).ok_or("it names no sender")?;
        let Some(proof) = &envelope.proof else {
            return Ok(());
        };
        let (keyid, digest) = (*proof.keyid(), envelope.digest());
        let (signed, signature) = proof.signed(&digest).map_err(|error| error.to_string())?;
        let root = matches!(proof, Proof::Batch { .. }).then_some((source, keyid, signed, signature));
        if root.is_some() && root == self.held {
            return Ok(());
        }
        proof.verify(&keyid, &digest).map_err(|error| error.to_string())?;
        if keyid != source {
            let kept = mesh.is_kept_key(&source, &keyid).await;
            let kept =
                kept.map_err(|why| format!("whether {keyid} signs for its sender is not known: {why}"))?;
            if !kept {
                return Err(format!("{keyid} is not its sender's key"));
            }
        }
        self.held = root;
        Ok(())
    }
}
