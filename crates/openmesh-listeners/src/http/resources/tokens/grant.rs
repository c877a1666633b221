//! What is granted to whoever holds a token, as it is asked for and as it is answered.

use crate::http::operation::{DIGEST, TIME};
use crate::http::problem::Failure;
use crate::http::shape::{Member, Shape, any_text, formed, optional, required, text, word};
use openmesh_adapter::now;
use openmesh_core::Rejection;
use openmesh_message::frame::Reply;
use openmesh_message::{Digest, Grant, Scope, Scopes, Timestamp, Token};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long a token lasts if nothing is said.
const LIFE_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// Longest label.
const LABEL_BYTES_MAX: usize = 128;
const SCOPES: &[&str] = &["send", "read", "inbox", "publish", "admin"];

/// What is asked for.
#[derive(Deserialize)]
pub(crate) struct AskedGrant {
    scopes: Option<Vec<Scope>>,
    expires: Option<String>,
    #[serde(default)]
    label: String,
    token_digest: Option<Digest>,
}

/// A token that was issued.
pub(crate) struct Issued<'a> {
    pub(crate) token: Option<&'a Token>,
    pub(crate) grant: &'a Grant,
}

/// The members of what is asked for, after others.
pub(crate) fn granted(mut members: Vec<Member>) -> Shape {
    let scopes = Shape::List(Box::new(word(SCOPES)), SCOPES.len());
    members.extend([
        optional("scopes", scopes, "what the token lets its holder do"),
        optional("expires", formed(40, TIME), "within a year; in 30 days if not said"),
        optional("label", any_text(LABEL_BYTES_MAX), "what it is for"),
        optional(
            "token_digest",
            formed(43, DIGEST),
            "SHA-256 of the text of a token that the caller has drawn; then none is answered",
        ),
    ]);
    Shape::Object(members)
}

/// What is answered.
pub(crate) fn issued_shape() -> Shape {
    let nullable = |shape| Shape::Any(vec![shape, Shape::Null]);
    Shape::Object(vec![
        required("agent", text(64), "whom the token stands for"),
        required("custodial_key", nullable(text(64)), "the key with which the node signs, if it does"),
        required("token", nullable(text(64)), "the token; shown only here"),
        required("token_digest", text(43), "what the node knows it by"),
        required("scopes", Shape::List(Box::new(word(SCOPES)), SCOPES.len()), ""),
        required("expires", text(40), ""),
        required("label", any_text(LABEL_BYTES_MAX), ""),
    ])
}

impl AskedGrant {
    /// The grant of a token that is drawn here, unless the caller has drawn it.
    pub(crate) fn draw(
        self,
        custodial: bool,
        scopes_if_none: impl FnOnce() -> Scopes,
    ) -> Result<(Option<Token>, Grant), Failure> {
        let token = if self.token_digest.is_none() { Some(random_token()?) } else { None };
        let digest = self.token_digest.or_else(|| token.as_ref().map(Token::digest));
        let expires = match &self.expires {
            Some(text) => {
                Timestamp::parse(text).map_err(|error| Failure::argument("/expires", error.to_string()))?
            }
            None => now().plus_ms(LIFE_MS),
        };
        let scopes = self.scopes.map_or_else(scopes_if_none, |scopes| scopes.into_iter().collect());
        let token_digest = digest.unwrap_or(Digest::ZERO);
        Ok((token, Grant { token: token_digest, scopes, expires, label: self.label, custodial }))
    }
}

impl Issued<'_> {
    /// The answer, with the token where it was drawn here.
    pub(crate) fn to_json(&self, reply: &Reply) -> Value {
        let (agent, custodial_key) = match reply {
            Reply::Issued { agent, custodial_key } => (Some(agent), custodial_key.as_ref()),
            _ => (None, None),
        };
        json!({
            "agent": agent,
            "custodial_key": custodial_key,
            "token": self.token.map(Token::reveal),
            "token_digest": self.grant.token,
            "scopes": self.grant.scopes,
            "expires": self.grant.expires.to_string(),
            "label": self.grant.label,
        })
    }
}

fn random_token() -> Result<Token, Failure> {
    let mut bits = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(bits.as_mut()).map_err(|_| Rejection::Busy)?;
    Ok(Token::from_random(&bits))
}
