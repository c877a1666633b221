//! Bearer tokens of callers without a key: what they look like, and what they let their holder do.
//!
//! The token itself stays with whoever made it; commands, records and the node's state know only its SHA-256.

use crate::limits::excerpt;
use crate::{Digest, Timestamp};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// What a token begins with, so that people and scanners recognise one.
pub const TOKEN_PREFIX: &str = "omt_";
/// `omt_` and 256 bits in base64url.
const TOKEN_CHARS: usize = 47;

/// A bearer token. Has no `Debug`, and is wiped when dropped.
pub struct Token(Zeroizing<String>);

/// One kind of thing that a token lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Scope {
    /// Send messages as the agent.
    #[n(0)]
    Send,
    /// Read topics, the log, conversations, definitions and the directory.
    #[n(1)]
    Read,
    /// Read and settle the agent's inbox.
    #[n(2)]
    Inbox,
    /// Publish schemas and protocols.
    #[n(3)]
    Publish,
    /// Administer: tokens, topics, policy. Lends no standing; the domain's policy decides as for the agent itself.
    #[n(4)]
    Admin,
}

/// A set of scopes: `send,read,inbox`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct Scopes(#[n(0)] BTreeSet<Scope>);

/// What is granted to whoever holds a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Grant {
    /// SHA-256 of the token's text.
    #[n(0)]
    pub token: Digest,
    /// What it lets its holder do.
    #[n(1)]
    pub scopes: Scopes,
    /// From this time on it is worth nothing.
    #[n(2)]
    pub expires: Timestamp,
    /// What it is for, in words of whoever issued it.
    #[n(3)]
    pub label: String,
    /// Whether the node signs what its holder sends without a proof, with a key it keeps for the agent.
    #[n(4)]
    pub custodial: bool,
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is {TOKEN_PREFIX} and 43 characters of base64url")]
pub struct TokenError;

impl Token {
    /// The token of 256 bits drawn at random.
    pub fn from_random(bits: &[u8; 32]) -> Self {
        let encoded = Zeroizing::new(data_encoding::BASE64URL_NOPAD.encode(bits));
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_CHARS));
        text.push_str(TOKEN_PREFIX);
        text.push_str(&encoded);
        Self(text)
    }

    /// Its text, to be handed to whoever will hold it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the node knows it by: SHA-256 of its text.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let encoded = text.strip_prefix(TOKEN_PREFIX).ok_or(TokenError)?;
        if text.len() != TOKEN_CHARS {
            return Err(TokenError);
        }
        let mut bits = Zeroizing::new([0; 32]);
        let decoded = Zeroizing::new(
            data_encoding::BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| TokenError)?,
        );
        bits.copy_from_slice(decoded.get(..32).ok_or(TokenError)?);
        Ok(Self::from_random(&bits))
    }
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Send, Self::Read, Self::Inbox, Self::Publish, Self::Admin];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Inbox => "inbox",
            Self::Publish => "publish",
            Self::Admin => "admin",
        }
    }
}

impl Scopes {
    /// Whether a scope is among them.
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of `others` are among them.
    pub fn cover(&self, others: &Self) -> bool {
        others.0.is_subset(&self.0)
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| format!("`{}` is not send, read, inbox, publish or admin", excerpt(text)))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&words.join(","))
    }
}

impl FromStr for Scopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, Scopes, Token};

    #[test]
    fn a_token_is_recognised_and_known_by_the_digest_of_its_text() {
        let token = Token::from_random(&[7; 32]);
        assert_eq!(token.reveal(), "omt_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc");
        let again: Token = token.reveal().parse().ok().unwrap();
        assert_eq!(again.digest(), token.digest());
        for text in ["", "omt_", "BwcH", &token.reveal()[..46], &format!("{}A", token.reveal())] {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_has_one_text_only() {
        let token = Token::from_random(&[7; 32]);
        let varied = format!("{}d", &token.reveal()[..46]);
        assert!(varied.parse::<Token>().is_err(), "unused bits of the last character");
    }

    #[test]
    fn scopes_are_words_joined_by_commas() {
        let scopes: Scopes = "inbox,send".parse().unwrap();
        assert_eq!(scopes.to_string(), "send,inbox");
        assert!(scopes.has(Scope::Send) && !scopes.has(Scope::Admin));
        assert!(scopes.cover(&"send".parse().unwrap()) && !scopes.cover(&"read,send".parse().unwrap()));
        assert!("send,all".parse::<Scopes>().is_err());
        assert!("".parse::<Scopes>().is_err());
    }
}
