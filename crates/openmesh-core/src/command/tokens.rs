//! Tokens, and agents whose key the node keeps: issuing, registering, revoking, listing.

use super::{Answer, Caller};
use crate::directory::Agent;
use crate::directory::tokens::{IssuedToken, LABEL_BYTES_MAX, TOKEN_LIFE_MS_MAX};
use crate::partition::Partition;
use crate::plan::Plan;
use crate::record::{Body, Custody, Outcome};
use crate::rejection::Rejection;
use openmesh_message::frame::Reply;
use openmesh_message::{AgentId, AgentName, AgentRef, Digest, Grant, Timestamp};
use openmesh_policy::{Action, Authenticity, StaticContext};
use serde_json::{Value, json};

impl Partition {
    pub(super) fn issue_token(
        &mut self,
        caller: Caller,
        (agent, mut grant): (Option<AgentId>, Grant),
        admin_token: Option<&str>,
        plan: &mut Plan,
    ) -> Answer {
        let agent = self.token_holder(caller, agent, admin_token)?;
        let known = self.state.directory.agent(&agent).ok_or(Rejection::UnknownAgent)?;
        let kept = self.usable_key(known);
        // Nobody but the node can sign for a keyless agent.
        grant.custodial |= known.is_keyless(&agent);
        if agent != caller.agent && !known.is_keyless(&agent) {
            let why = "that agent has a key of its own; only it can issue tokens that stand for it";
            return Err(Rejection::BadArgument("agent", why.to_owned()));
        }
        if let Some(issued) = self.state.tokens.look_up(&grant.token, caller.now) {
            let same = issued.agent == agent && issued.grant == grant;
            return if same { Ok(Some(issued_reply(issued, kept))) } else { Err(token_in_use()) };
        }
        check_grant(&grant, caller.now)?;
        if self.state.tokens.of(&agent, caller.now).count() >= self.config.tokens_max {
            return Err(Rejection::TooManyTokens);
        }
        let custody = match kept {
            None if grant.custodial => Some(self.make_key()?),
            _ => None,
        };
        let custodial_key = custody.as_ref().map(|custody| custody.key).or(kept).filter(|_| grant.custodial);
        let outcome = Outcome::TokenIssued { agent, grant, custody };
        self.commit_administrative(caller, outcome, Body::Empty, plan);
        Ok(Some(Reply::Issued { agent, custodial_key }))
    }

    /// Makes a key, and registers the agent that it is the key of.
    pub(super) fn register_keyless(
        &mut self,
        caller: Caller,
        (name, mut grant): (&str, Grant),
        admin_token: Option<&str>,
        plan: &mut Plan,
    ) -> Answer {
        grant.custodial = true;
        let custody = self.make_key()?;
        let agent = custody.key;
        self.decide_keyless(Caller { agent, ..caller }, admin_token)?;
        let name: AgentName = name.parse().map_err(|why| Rejection::BadArgument("name", why))?;
        if let Some(named) = self.state.directory.named(&name) {
            let issued = self.state.tokens.look_up(&grant.token, caller.now);
            let again = issued.filter(|issued| issued.agent == named && issued.grant == grant);
            let known = self.state.directory.agent(&named).filter(|known| known.is_keyless(&named));
            return match again.zip(known) {
                Some((issued, known)) => Ok(Some(issued_reply(issued, self.usable_key(known)))),
                None => Err(Rejection::NameTaken(format!("`{name}` is another agent's name"))),
            };
        }
        if self.state.tokens.look_up(&grant.token, caller.now).is_some() {
            return Err(token_in_use());
        }
        check_grant(&grant, caller.now)?;
        self.has_room_for_an_agent()?;
        let outcome = Outcome::KeylessRegistered { custody, name: name.to_string(), grant };
        self.commit_administrative(Caller { agent, ..caller }, outcome, Body::Empty, plan);
        Ok(Some(Reply::Issued { agent, custodial_key: Some(agent) }))
    }

    pub(super) fn revoke_token(
        &mut self,
        caller: Caller,
        token: Digest,
        admin_token: Option<String>,
        plan: &mut Plan,
    ) -> Answer {
        let issued = self.state.tokens.look_up(&token, caller.now).map(|issued| issued.agent);
        if issued != Some(caller.agent) {
            // Whoever may not administer is told the same of another's token as of none.
            let refused = if admin_token.is_some() { None } else { Some(Rejection::NotFound) };
            self.decide_plain(caller, Action::Administer, admin_token.as_deref())
                .map_err(|rejection| refused.unwrap_or(rejection))?;
        }
        let agent = issued.ok_or(Rejection::NotFound)?;
        self.commit_administrative(caller, Outcome::TokenRevoked { agent, token }, Body::Empty, plan);
        Ok(Some(Reply::Done))
    }

    pub(super) fn list_tokens(
        &self,
        caller: Caller,
        agent: Option<AgentId>,
        admin_token: Option<String>,
    ) -> Answer {
        let agent = self.token_holder(caller, agent, admin_token.as_deref())?;
        let tokens = self.state.tokens.of(&agent, caller.now);
        Ok(Some(Reply::Rows(tokens.map(|issued| token_row(issued).to_string()).collect())))
    }

    pub(super) fn get_agent(&self, caller: Caller, agent: &str) -> Answer {
        self.decide_plain(caller, Action::Read, None)?;
        let reference: AgentRef = agent.parse().map_err(|_| Rejection::NotFound)?;
        let id = self.state.directory.resolve(&reference).ok_or(Rejection::NotFound)?;
        let known = self.state.directory.agent(&id).ok_or(Rejection::NotFound)?;
        Ok(Some(Reply::Rows(vec![self.agent_row(&id, known).to_string()])))
    }

    /// What the directory says of an agent.
    pub(super) fn agent_row(&self, id: &AgentId, agent: &Agent) -> Value {
        let keys = agent.keys.iter().map(|(key, kept)| json!({"key": key, "since": kept.since.to_string()}));
        json!({
            "agent": id, "name": agent.name, "registered": agent.registered_at.to_string(),
            "connected": self.routes.receiving(id).next().is_some(),
            "keyless": agent.is_keyless(id), "custodial_keys": keys.collect::<Vec<_>>(),
        })
    }

    /// The agent whose tokens a command is about: the caller, or any other for an administrator.
    fn token_holder(
        &self,
        caller: Caller,
        agent: Option<AgentId>,
        admin_token: Option<&str>,
    ) -> Result<AgentId, Rejection> {
        match agent.filter(|agent| *agent != caller.agent) {
            Some(other) => {
                self.decide_plain(caller, Action::Administer, admin_token)?;
                Ok(other)
            }
            None => Ok(caller.agent),
        }
    }

    /// Registering is decided for the agent that there would be.
    fn decide_keyless(&self, caller: Caller, admin_token: Option<&str>) -> Result<(), Rejection> {
        self.check_admin_token(admin_token)?;
        let context = self.context(caller, Action::Register, admin_token);
        self.decide_context(&StaticContext { authenticity: Authenticity::Custodial, ..context })
    }

    /// The latest key that the node keeps for an agent, if the custodian's secret still gives it.
    fn usable_key(&self, agent: &Agent) -> Option<AgentId> {
        let (key, kept) = agent.custodial_key()?;
        self.config.custodian.key(key, &kept.nonce).is_ok().then_some(*key)
    }

    fn make_key(&self) -> Result<Custody, Rejection> {
        let nonce = self.nonce();
        let key = self.config.custodian.derive(&nonce).map_err(|_| Rejection::CustodyUnavailable)?;
        Ok(Custody { key: key.id(), nonce })
    }
}

fn issued_reply(issued: &IssuedToken, kept: Option<AgentId>) -> Reply {
    Reply::Issued { agent: issued.agent, custodial_key: kept.filter(|_| issued.grant.custodial) }
}

fn token_in_use() -> Rejection {
    Rejection::BadArgument("token", "the token was issued before, on other terms; draw another".to_owned())
}

fn check_grant(grant: &Grant, now: Timestamp) -> Result<(), Rejection> {
    let refuse = |name, why: String| Err(Rejection::BadArgument(name, why));
    if grant.scopes.is_empty() {
        return refuse("scopes", "a token without a scope is good for nothing".to_owned());
    }
    if grant.expires <= now || grant.expires > now.plus_ms(TOKEN_LIFE_MS_MAX) {
        return refuse("expires", "a token expires in the future, and within 366 days".to_owned());
    }
    if grant.label.len() > LABEL_BYTES_MAX || grant.label.chars().any(char::is_control) {
        return refuse("label", format!("a label is at most {LABEL_BYTES_MAX} bytes, on one line"));
    }
    Ok(())
}

fn token_row(issued: &IssuedToken) -> Value {
    let Grant { token, scopes, expires, label, custodial } = &issued.grant;
    json!({
        "token": token, "agent": issued.agent, "label": label, "scopes": scopes,
        "issued": issued.issued_at.to_string(), "expires": expires.to_string(), "custodial": custodial,
    })
}
