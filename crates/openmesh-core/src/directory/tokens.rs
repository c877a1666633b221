//! Tokens: who stands behind each, and until when. Only their SHA-256 is known here.

use openmesh_message::{AgentId, Digest, Grant, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How long a token may last.
pub(crate) const TOKEN_LIFE_MS_MAX: i64 = 366 * 24 * 60 * 60 * 1000;
/// Bytes of a token's label.
pub(crate) const LABEL_BYTES_MAX: usize = 128;

/// The tokens of the domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    issued: BTreeMap<Digest, IssuedToken>,
    of_agents: BTreeMap<AgentId, BTreeSet<Digest>>,
}

/// A token that was issued and not revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// The agent it stands for.
    pub agent: AgentId,
    /// What it lets its holder do.
    pub grant: Grant,
    /// When it was issued.
    pub issued_at: Timestamp,
}

impl Tokens {
    /// The token of a digest; an expired one is as good as none.
    pub fn look_up(&self, token: &Digest, now: Timestamp) -> Option<&IssuedToken> {
        self.issued.get(token).filter(|issued| issued.grant.expires > now)
    }

    /// The tokens of an agent that are valid.
    pub fn of(&self, agent: &AgentId, now: Timestamp) -> impl Iterator<Item = &IssuedToken> {
        let tokens = self.of_agents.get(agent).into_iter().flatten();
        tokens.filter_map(move |token| self.look_up(token, now))
    }

    /// Adds a token, and forgets those of its agent that have expired.
    pub(crate) fn issue(&mut self, agent: AgentId, grant: Grant, now: Timestamp) {
        let tokens = self.of_agents.get(&agent).into_iter().flatten();
        let expired: Vec<_> = tokens.filter(|token| self.look_up(token, now).is_none()).copied().collect();
        for token in &expired {
            self.revoke(token);
        }
        self.of_agents.entry(agent).or_default().insert(grant.token);
        self.issued.insert(grant.token, IssuedToken { agent, grant, issued_at: now });
    }

    pub(crate) fn revoke(&mut self, token: &Digest) {
        let Some(issued) = self.issued.remove(token) else {
            return;
        };
        if let Some(tokens) = self.of_agents.get_mut(&issued.agent) {
            tokens.remove(token);
            if tokens.is_empty() {
                self.of_agents.remove(&issued.agent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tokens;
    use openmesh_message::{Digest, Grant, KeyPair, Scope, Timestamp};

    fn grant(number: u8, expires: i64) -> Grant {
        let scopes = [Scope::Send].into_iter().collect();
        let expires = Timestamp::from_millis(expires);
        Grant { token: Digest::of(&[number]), scopes, expires, label: String::new(), custodial: false }
    }

    #[test]
    fn a_token_is_found_until_it_expires_or_is_revoked() {
        let agent = KeyPair::from_seed(&[1; 32]).unwrap().id();
        let mut tokens = Tokens::default();
        let at = Timestamp::from_millis;
        tokens.issue(agent, grant(1, 100), at(0));
        tokens.issue(agent, grant(2, 200), at(0));
        assert_eq!(tokens.look_up(&Digest::of(&[1]), at(99)).unwrap().agent, agent);
        assert!(tokens.look_up(&Digest::of(&[1]), at(100)).is_none());
        assert_eq!(tokens.of(&agent, at(100)).count(), 1);
        tokens.issue(agent, grant(3, 300), at(150));
        assert_eq!(tokens.issued.len(), 2, "the expired one is forgotten");
        tokens.revoke(&Digest::of(&[2]));
        tokens.revoke(&Digest::of(&[3]));
        assert_eq!(tokens, Tokens::default());
    }
}
