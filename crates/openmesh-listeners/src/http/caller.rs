//! Who calls: an agent by a token of its own, an administrator, or nobody in particular.

use super::door::Door;
use super::operation::Access;
use super::problem::Failure;
use axum::http::{HeaderMap, header};
use openmesh_adapter::now;
use openmesh_core::Rejection;
use openmesh_message::{AgentId, Digest, Problem, Scope, Scopes, Token};
use zeroize::Zeroizing;

/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 256;

/// Who calls.
pub(crate) struct Caller {
    /// The agent that the call is made for; the node itself where it is made for nobody.
    pub(crate) agent: AgentId,
    /// What vouches for it.
    pub(crate) credential: Credential,
}

/// What vouches for a caller.
pub(crate) enum Credential {
    /// An agent's token.
    Token {
        /// What the node knows it by.
        digest: Digest,
        /// What it lets its holder do.
        scopes: Scopes,
        /// Whether the node signs for its holder.
        custodial: bool,
    },
    /// The domain's admin token.
    Admin(Zeroizing<String>),
    /// Nothing.
    Nobody,
}

impl Caller {
    /// The admin token, where that is what vouches.
    pub(crate) fn admin_token(&self) -> Option<String> {
        match &self.credential {
            Credential::Admin(token) => Some(token.to_string()),
            _ => None,
        }
    }

    /// What the caller's token lets it do; `None` for who has no token of an agent.
    pub(crate) const fn scopes(&self) -> Option<&Scopes> {
        match &self.credential {
            Credential::Token { scopes, .. } => Some(scopes),
            _ => None,
        }
    }

    /// Whether its token is still worth what it was: asked again and again while a stream is open.
    pub(crate) fn is_still_good(&self, door: &Door) -> bool {
        match &self.credential {
            Credential::Token { digest, .. } => door.mesh.view().tokens.look_up(digest, now()).is_some(),
            Credential::Admin(_) | Credential::Nobody => true,
        }
    }

    /// Whether the node signs for the caller.
    pub(crate) const fn is_custodial(&self) -> bool {
        matches!(self.credential, Credential::Token { custodial: true, .. })
    }
}

/// Says who calls, if it may call such an operation.
pub(crate) fn identify(door: &Door, headers: &HeaderMap, access: Access) -> Result<Caller, Failure> {
    let nobody = || Caller { agent: door.node, credential: Credential::Nobody };
    if access == Access::Open {
        return Ok(nobody());
    }
    let Some(token) = bearer(headers)? else {
        return if access == Access::Anyone { Ok(nobody()) } else { Err(missing()) };
    };
    let caller = look_up(door, &token)?;
    match (access, &caller.credential) {
        (Access::Scope(scope), Credential::Token { scopes, .. }) if !scopes.has(scope) => {
            Err(Rejection::OutOfScope(scope).into())
        }
        (Access::Scope(scope), Credential::Admin(_)) => {
            let mut problem = Rejection::OutOfScope(scope).to_problem();
            "the admin token stands for no agent; this takes an agent's token"
                .clone_into(&mut problem.detail);
            Err(problem.into())
        }
        (Access::Administrator, Credential::Token { scopes, .. }) if !scopes.has(Scope::Admin) => {
            Err(Rejection::OutOfScope(Scope::Admin).into())
        }
        _ => Ok(caller),
    }
}

fn look_up(door: &Door, text: &str) -> Result<Caller, Failure> {
    let digest = Digest::of(text.as_bytes());
    if digest == door.admin_token {
        let credential = Credential::Admin(Zeroizing::new(text.to_owned()));
        return Ok(Caller { agent: door.node, credential });
    }
    let view = door.mesh.view();
    let issued = text.parse::<Token>().ok().and_then(|token| view.tokens.look_up(&token.digest(), now()));
    let issued = issued.ok_or_else(|| challenge(Rejection::InvalidToken.to_problem(), "invalid_token"))?;
    let grant = &issued.grant;
    let credential =
        Credential::Token { digest: grant.token, scopes: grant.scopes.clone(), custodial: grant.custodial };
    Ok(Caller { agent: issued.agent, credential })
}

fn bearer(headers: &HeaderMap) -> Result<Option<Zeroizing<String>>, Failure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") && token.len() <= TOKEN_BYTES_MAX).then(|| token.trim())
    });
    match (token, values.next()) {
        (Some(token), None) => Ok(Some(Zeroizing::new(token.to_owned()))),
        _ => Err(missing()),
    }
}

fn missing() -> Failure {
    let detail = "this needs a token: `Authorization: Bearer omt_…` (see `openmesh token`)";
    challenge(Problem::new("token.missing", detail), "")
}

fn challenge(problem: Problem, error: &str) -> Failure {
    let failure = Failure::new(problem);
    if error.is_empty() {
        return failure.with(header::WWW_AUTHENTICATE, "Bearer realm=\"openmesh\"");
    }
    failure.with(header::WWW_AUTHENTICATE, "Bearer realm=\"openmesh\", error=\"invalid_token\"")
}
