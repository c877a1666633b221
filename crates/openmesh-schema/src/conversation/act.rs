//! An act as the engine sees it, what may be done next, and why an act is refused.

use crate::definition::Label;
use openmesh_message::json::Document;
use openmesh_message::{AgentId, Digest, Performative, PinnedName};
use std::fmt;

/// A verified, schema-valid message that takes a step in a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// Who acts.
    pub sender: AgentId,
    /// What is done.
    pub performative: &'a Performative,
    /// The payload's schema.
    pub schema: Option<&'a PinnedName>,
    /// The payload, already valid under its schema.
    pub payload: Option<&'a Document>,
    /// The payload's bytes: signatures are compared by their digest.
    pub payload_bytes: &'a [u8],
    /// Digest of the message.
    pub digest: Digest,
    /// Digests of the messages it follows.
    pub parents: &'a [Digest],
    /// Whom it is addressed to.
    pub to: ActTarget,
    /// The agents it invites, by role; only an opening act may.
    pub invites: &'a [(String, AgentId)],
    /// Whether the node keeps the sender's key.
    pub custodial: bool,
}

/// Whom an act is addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActTarget {
    /// One agent.
    Agent(AgentId),
    /// A topic.
    Topic,
    /// The conversation: everybody bound in it.
    Conversation,
}

/// Something an agent may do next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct AllowedAct {
    /// What.
    pub performative: Performative,
    /// With which schema; any payload if absent.
    pub schema: Option<PinnedName>,
    /// As which role.
    pub role: Label,
    /// In which machine.
    pub machine: Label,
    /// The agent it must be addressed to, where that is fixed.
    pub to: Option<AgentId>,
    /// The roles one of whose agents it may be addressed to; empty: anybody.
    pub to_roles: Vec<Label>,
    /// Digests it must name as parents.
    pub parents: Vec<Digest>,
}

/// Why an act is not a legal step.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IllegalAct {
    /// The kind.
    pub kind: IllegalKind,
    /// Where the conversation is, as far as the sender may know; empty if it may not.
    pub state: String,
    /// What the sender may do.
    pub allowed_next: Vec<AllowedAct>,
    /// What is wrong, in a sentence.
    pub detail: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $code:literal,)*) => {
        /// Why an act is not a legal step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum IllegalKind {
            $($(#[$doc])* $kind,)*
        }

        impl IllegalKind {
            /// Every kind, in order.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $code,)*
                }
            }
        }
    };
}

kinds! {
    /// The conversation is over.
    Ended => "ended",
    /// A timer is due and must be fired first.
    TimerDue => "timer_due",
    /// The sender has no role here and may take none.
    NotBound => "not_bound",
    /// The role that the sender would take is full.
    RoleFull => "role_full",
    /// The addressee has no instance of the machine.
    NoInstance => "no_instance",
    /// No move of the present state fits.
    Illegal => "illegal",
    /// The move takes another schema.
    WrongSchema => "wrong_schema",
    /// It is another agent's turn.
    OutOfTurn => "out_of_turn",
    /// The move was taken as often as allowed.
    TooMany => "too_many",
    /// The addressee is not one whom the act concerns.
    WrongRecipient => "wrong_recipient",
    /// The offer's digest is not among the parents.
    WrongParent => "wrong_parent",
    /// The move's guard does not hold.
    GuardFailed => "guard_failed",
    /// What the protocol requires of such payloads does not hold.
    RequirementUnmet => "requirement_unmet",
    /// The payload belongs to another conversation.
    CorrelationBroken => "correlation_broken",
    /// A key that the node keeps cannot sign this.
    CustodialSignature => "custodial_signature",
    /// A timer's time cannot be read from the payload.
    TimerUnusable => "timer_unusable",
    /// An invitation that is not allowed, or missing.
    BadInvitation => "bad_invitation",
    /// The conversation has as many agents as it may.
    TooManyAgents => "too_many_agents",
}

impl fmt::Display for IllegalAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.detail)?;
        if !self.state.is_empty() {
            write!(f, " ({})", self.state)?;
        }
        Ok(())
    }
}

impl std::error::Error for IllegalAct {}

impl fmt::Display for AllowedAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.performative)?;
        if let Some(schema) = &self.schema {
            write!(f, " {}", schema.versioned.short())?;
        }
        match (&self.to, self.to_roles.as_slice()) {
            (Some(agent), _) => write!(f, " to {agent}"),
            (None, []) => Ok(()),
            (None, roles) => write!(f, " to {}", roles.join(" or ")),
        }
    }
}
