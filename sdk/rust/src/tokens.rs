//! Tokens of callers without a key: drawn here, known to the node by their digest alone.

use crate::{Mesh, SdkError};
use openmesh_message::frame::{Command, Reply};
use openmesh_message::{AgentId, Digest, Grant, Scopes, Timestamp, Token};
use serde_json::Value;
use zeroize::Zeroizing;

/// On what terms a token is issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenTerms {
    /// What its holder may do.
    pub scopes: Scopes,
    /// From when on it is worth nothing; at most 366 days ahead.
    pub expires: Timestamp,
    /// What it is for, in your words.
    pub label: String,
    /// Whether the node signs what its holder sends without a proof, with a key that it keeps for the agent.
    pub custodial: bool,
}

/// A token that was issued; whoever reads it can act as the agent within its scopes.
pub struct IssuedToken {
    /// The token. The node does not have it: once lost, it can only be revoked.
    pub token: Token,
    /// The agent it stands for.
    pub agent: AgentId,
    /// The key with which the node signs for its holder, if it does.
    pub custodial_key: Option<AgentId>,
}

impl Mesh {
    /// Issues a token that stands for this agent.
    pub async fn issue_token(&self, terms: TokenTerms) -> Result<IssuedToken, SdkError> {
        self.issue(None, terms, None).await
    }

    /// Issues a further token for an agent whose only keys are kept by the node; needs the admin token.
    pub async fn issue_token_for(
        &self,
        agent: &AgentId,
        terms: TokenTerms,
        admin_token: &str,
    ) -> Result<IssuedToken, SdkError> {
        self.issue(Some(*agent), terms, Some(admin_token)).await
    }

    /// Registers an agent without a key: the node makes and keeps one. The admin token is not needed where the
    /// domain is open.
    pub async fn register_keyless(
        &self,
        name: &str,
        terms: TokenTerms,
        admin_token: Option<&str>,
    ) -> Result<IssuedToken, SdkError> {
        let token = draw()?;
        let (name, admin_token) = (name.to_owned(), admin_token.map(str::to_owned));
        let command = Command::RegisterKeyless { name, grant: terms.grant(&token), admin_token };
        self.issued(token, command).await
    }

    /// Makes a token worthless, at once; another agent's needs the admin token.
    pub async fn revoke_token(&self, token: &Digest, admin_token: Option<&str>) -> Result<(), SdkError> {
        let command = Command::RevokeToken { token: *token, admin_token: admin_token.map(str::to_owned) };
        self.do_command("revoke_token", command).await
    }

    /// The valid tokens of this agent, or of another for whoever has the admin token; one JSON object each.
    pub async fn tokens(
        &self,
        agent: Option<AgentId>,
        admin_token: Option<&str>,
    ) -> Result<Vec<Value>, SdkError> {
        let command = Command::ListTokens { agent, admin_token: admin_token.map(str::to_owned) };
        self.rows("tokens", command).await
    }

    /// One agent of the domain, by name or id, with the keys that the node keeps for it.
    pub async fn agent(&self, reference: &str) -> Result<Value, SdkError> {
        let command = Command::GetAgent { agent: reference.to_owned() };
        self.one_row("agent", command).await
    }

    async fn issue(
        &self,
        agent: Option<AgentId>,
        terms: TokenTerms,
        admin_token: Option<&str>,
    ) -> Result<IssuedToken, SdkError> {
        let token = draw()?;
        let admin_token = admin_token.map(str::to_owned);
        let command = Command::IssueToken { agent, grant: terms.grant(&token), admin_token };
        self.issued(token, command).await
    }

    async fn issued(&self, token: Token, command: Command) -> Result<IssuedToken, SdkError> {
        match self.ask("issue_token", command).await? {
            Reply::Issued { agent, custodial_key } => Ok(IssuedToken { token, agent, custodial_key }),
            _ => Err(SdkError::UnexpectedReply("issue_token")),
        }
    }
}

impl TokenTerms {
    fn grant(self, token: &Token) -> Grant {
        let Self { scopes, expires, label, custodial } = self;
        Grant { token: token.digest(), scopes, expires, label, custodial }
    }
}

fn draw() -> Result<Token, SdkError> {
    let mut bits = Zeroizing::new([0; 32]);
    getrandom::fill(bits.as_mut())?;
    Ok(Token::from_random(&bits))
}
