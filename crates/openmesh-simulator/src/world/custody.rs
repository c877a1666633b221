//! Tokens, and agents for whom the node keeps a key: all that are registered, and one that has no other.

use super::{ADMIN_TOKEN, NAMES, World};
use crate::agent::Agent;
use crate::census::Kind;
use crate::violation::Violation;
use openmesh_message::frame::Command;
use openmesh_message::{AgentName, Digest, Draft, Grant, Proof, Scope};

/// The agent without a key of its own; it comes after the stranger.
const WALK_IN: &str = "walk-in";
/// What all tokens of the simulation last at most.
const TOKEN_MS_MAX: i64 = 10 * 60_000;

impl World {
    /// Has a key kept for every registered agent, and one that is registered without any.
    pub(super) fn set_up_custody(&mut self) -> Result<(), Violation> {
        for agent in 0..NAMES.len() {
            let grant = self.grant(true);
            self.command_now(agent, Command::IssueToken { agent: None, grant, admin_token: None })?;
        }
        let (name, grant) = (WALK_IN.to_owned(), self.grant(true));
        let admin_token = Some(ADMIN_TOKEN.to_owned());
        self.command_now(self.stranger(), Command::RegisterKeyless { name, grant, admin_token })?;
        let named: Option<AgentName> = WALK_IN.parse().ok();
        let id = named.and_then(|name| self.node.partition.view().directory.named(&name));
        if let Some(key) = id.and_then(|id| self.node.kept_key(&id)) {
            self.agents.push(Agent::with_key(WALK_IN, key, false));
        }
        Ok(())
    }

    /// The agent without a key of its own.
    pub(crate) const fn walk_in(&self) -> usize {
        NAMES.len() + 1
    }

    /// Sends what the node signs for the agent.
    pub(crate) fn send_kept(&mut self, agent: usize, draft: Draft) -> Option<Digest> {
        let id = self.id_of(agent)?;
        let key = self.node.kept_key(&id)?;
        self.census.count(Kind::Traffic, "messages signed by the node");
        let signed = draft.unsigned(&id).map(|mut envelope| {
            envelope.proof = Some(Proof::sign(&key, &envelope.digest()));
            envelope
        });
        self.send_made(agent, signed)
    }

    /// Issues, revokes or lists tokens.
    pub(super) fn deal_with_tokens(&mut self) -> Option<()> {
        let agent = self.anyone();
        let id = self.id_of(agent)?;
        let command = match self.random.below(5) {
            0 => Command::ListTokens { agent: None, admin_token: None },
            1 => Command::GetAgent { agent: WALK_IN.to_owned() },
            2 => {
                let now = self.now();
                let tokens = self.node.partition.state().tokens();
                let own: Vec<_> = tokens.of(&id, now).map(|issued| issued.grant.token).collect();
                Command::RevokeToken { token: *self.random.pick(&own)?, admin_token: None }
            }
            _ => self.issue(),
        };
        self.command(agent, command)
    }

    /// A token of some kind for whoever gives the command.
    pub(crate) fn issue(&mut self) -> Command {
        let custodial = self.random.chance(1, 3);
        Command::IssueToken { agent: None, grant: self.grant(custodial), admin_token: None }
    }

    fn grant(&mut self, custodial: bool) -> Grant {
        let expires = self.now().plus_ms(self.random.ms(1_000, TOKEN_MS_MAX));
        let token = Digest::from_bytes(self.random.bytes());
        let scopes = Scope::ALL.into_iter().take(1 + self.random.below(5) as usize).collect();
        Grant { token, scopes, expires, label: "simulated".to_owned(), custodial }
    }
}
