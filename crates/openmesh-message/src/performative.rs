//! Performatives: FIPA's communicative acts in their wire form (FIPA SC00037, SC00061), and namespaced ones.

use crate::text_form::as_text;
use std::fmt;
use std::str::FromStr;

macro_rules! performatives {
    ($($(#[doc = $doc:literal])+ $variant:ident = $wire:literal,)+) => {
        /// What a message does: a FIPA communicative act, `counter-propose`, or a domain's own.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Performative {
            $($(#[doc = $doc])+ $variant,)+
            /// An act of a domain's own, such as `acme.bid-bond`.
            Namespaced(Box<str>),
        }

        impl Performative {
            /// Every act with a name of its own, in the order of this file.
            pub const KNOWN: &[Self] = &[$(Self::$variant,)+];

            /// The wire form.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $wire,)+
                    Self::Namespaced(name) => name,
                }
            }
        }
    };
}

performatives! {
    /// States that something is true. A final reply.
    Inform = "inform",
    /// Asks for the objects that fit a description. The other owes an answer.
    QueryRef = "query-ref",
    /// Asks whether something is true. The other owes an answer.
    QueryIf = "query-if",
    /// Asks for an action. The other owes agree or refuse.
    Request = "request",
    /// Promises an action. The sender owes inform or failure.
    Agree = "agree",
    /// Declines an action. A final reply.
    Refuse = "refuse",
    /// Calls for proposals. The sender owes each proposer an answer.
    Cfp = "cfp",
    /// Offers to act under conditions. The other owes an answer.
    Propose = "propose",
    /// Accepts an offer. Both are bound to it.
    AcceptProposal = "accept-proposal",
    /// Rejects an offer.
    RejectProposal = "reject-proposal",
    /// Answers an offer with another. Not FIPA's: OpenMesh's own.
    CounterPropose = "counter-propose",
    /// Confirms what the other was unsure of.
    Confirm = "confirm",
    /// Denies what the other believed.
    Disconfirm = "disconfirm",
    /// Tells that an attempted action failed. A final reply.
    Failure = "failure",
    /// Withdraws an earlier request or call.
    Cancel = "cancel",
    /// Asks to be told of every change. The other owes informs until cancelled.
    Subscribe = "subscribe",
    /// Tells that a message was not understood. A final reply.
    NotUnderstood = "not-understood",
    /// Informs whether something is true (FIPA's macro act).
    InformIf = "inform-if",
    /// Informs of the object that fits a description (FIPA's macro act).
    InformRef = "inform-ref",
    /// Asks that a message be passed on.
    Propagate = "propagate",
    /// Asks that a message be passed to agents of a description.
    Proxy = "proxy",
    /// Asks for an action when something becomes true.
    RequestWhen = "request-when",
    /// Asks for an action each time something becomes true.
    RequestWhenever = "request-whenever",
}

/// Why a text is no performative.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a FIPA performative nor a namespaced act (acme.bid-bond)")]
pub struct PerformativeError(String);

impl Performative {
    /// Whether this act, as a reply, ends its exchange.
    pub const fn is_final_reply(&self) -> bool {
        matches!(self, Self::Inform | Self::Failure | Self::Refuse | Self::NotUnderstood)
    }

    /// The duty the act creates, in FIPA's sense: who owes what; `None` for acts that create none.
    pub const fn duty(&self) -> Option<&'static str> {
        match self {
            Self::Request | Self::RequestWhen | Self::RequestWhenever => {
                Some("the receiver owes agree, refuse or not-understood")
            }
            Self::QueryIf | Self::QueryRef => Some("the receiver owes inform, refuse or failure"),
            Self::Agree => Some("the sender owes inform or failure"),
            Self::Cfp => Some("the sender owes every proposer an answer"),
            Self::Propose | Self::CounterPropose => {
                Some("the receiver owes accept-proposal, reject-proposal or counter-propose")
            }
            Self::AcceptProposal => Some("both are bound to the offer"),
            Self::Subscribe => Some("the receiver owes an inform at every change until cancelled"),
            _ => None,
        }
    }
}

impl fmt::Display for Performative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Performative {
    type Err = PerformativeError;

    fn from_str(text: &str) -> Result<Self, PerformativeError> {
        if let Some(known) = Self::KNOWN.iter().find(|known| known.as_str() == text) {
            return Ok(known.clone());
        }
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        match text.split_once('.') {
            Some((namespace, act)) if text.len() <= 64 && is_word(namespace) && is_word(act) => {
                Ok(Self::Namespaced(text.into()))
            }
            _ => Err(PerformativeError(crate::limits::excerpt(text))),
        }
    }
}

as_text!(Performative);

#[cfg(test)]
mod tests {
    use super::Performative;

    #[test]
    fn every_known_act_round_trips() {
        for act in Performative::KNOWN {
            assert_eq!(act.as_str().parse().as_ref(), Ok(act));
        }
        assert_eq!("acme.bid-bond".parse(), Ok(Performative::Namespaced("acme.bid-bond".into())));
        for bad in ["", "Inform", "bid-bond", "acme.", ".x", "a.b.c"] {
            assert!(bad.parse::<Performative>().is_err(), "{bad}");
        }
    }

    #[test]
    fn agree_is_not_final() {
        assert!(!Performative::Agree.is_final_reply());
        assert!(Performative::Refuse.is_final_reply());
    }
}
