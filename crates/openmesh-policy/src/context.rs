//! What a decision may look at: who asks, for what, about which message. Plain borrowed facts.
//!
//! The caller fills these in from what it has verified itself, never from what a sender claims.

use crate::word::words;
use openmesh_message::{AgentId, ConversationId, Performative, TopicPath, VersionedName};

words! {
    /// What an agent asks to do.
    Action {
        /// Send a message.
        Send = "send",
        /// Receive, list or query messages.
        Read = "read",
        /// Take a role in a conversation by a first move or an invitation.
        JoinRole = "join-role",
        /// Become a registered agent of the domain.
        Register = "register",
        /// Publish a schema or a protocol.
        PublishDefinition = "publish-definition",
        /// Change or inspect the domain itself.
        Administer = "administer",
    }
}

words! {
    /// What the domain knows of an agent; each standing includes the rights of the one before it.
    Standing {
        /// Holds a key, and nothing more.
        Stranger = "stranger",
        /// Is in the domain's directory.
        Registered = "registered",
        /// Has shown the domain's admin token.
        Admin = "admin",
    }
}

words! {
    /// By which way a message came into the domain.
    Origin {
        /// An agent's own connection.
        Agent = "agent",
        /// A bridge to another broker.
        Bridge = "bridge",
        /// A gateway to another agent protocol.
        Gateway = "gateway",
        /// A link to another domain.
        Domain = "domain",
    }
}

words! {
    /// How it is known that the sender is the sender.
    Authenticity {
        /// The sender's signature over the message was verified.
        Signed = "signed",
        /// The key was proved when the connection was made, and the node vouches.
        Connection = "connection",
        /// The node keeps the key and signed for the agent.
        Custodial = "custodial",
        /// A bridge or gateway speaks for someone.
        Bridged = "bridged",
    }
}

/// An addressed agent, by whatever is known of it.
///
/// A rule matches by id or by name, so addressing an agent by its DID is no way round a rule on its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party<'a> {
    /// The agent's id.
    pub id: Option<AgentId>,
    /// The name its domain bound to it.
    pub name: Option<&'a str>,
}

/// Where a message goes, or what is read.
#[derive(Clone, Copy, Debug)]
pub enum Destination<'a> {
    /// An agent, live or by its inbox.
    Agent(Party<'a>),
    /// A topic of this domain.
    Topic(&'a TopicPath),
    /// The inbox of an agent.
    Inbox(Party<'a>),
    /// A conversation.
    Conversation(&'a ConversationId),
}

/// Everything a decision can look at without reading the state of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct StaticContext<'a> {
    /// What is asked.
    pub action: Action,
    /// Who asks: the sender, the reader, the one to be registered.
    pub agent: AgentId,
    /// The name the domain bound to that agent, never a claimed one.
    pub agent_name: Option<&'a str>,
    /// What the domain knows of that agent.
    pub standing: Standing,
    /// By which way the request came.
    pub origin: Origin,
    /// How the sender of the message is known.
    pub authenticity: Authenticity,
    /// Where the message goes or what is read; none for `register`, `administer`, `publish-definition`.
    pub destination: Option<Destination<'a>>,
    /// The performative of the message; none when no message is at hand, as in a subscription as such.
    pub performative: Option<&'a Performative>,
    /// The schema of the message, or the one to be published.
    pub schema: Option<&'a VersionedName>,
    /// The protocol of the message, or the one to be published.
    pub protocol: Option<&'a VersionedName>,
}

/// The state of one machine of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineState<'a> {
    /// The machine's name in the protocol, such as `round`.
    pub machine: &'a str,
    /// The state it is in, such as `open`.
    pub state: &'a str,
}

/// A static context and what the conversation adds to it.
#[derive(Clone, Copy, Debug)]
pub struct StatefulContext<'a> {
    /// Everything that does not depend on the conversation.
    pub request: StaticContext<'a>,
    /// The role the agent holds, or the one it is about to take; none outside conversations.
    pub role: Option<&'a str>,
    /// The states of the round and of the instance at hand; empty outside conversations.
    pub states: &'a [MachineState<'a>],
}
