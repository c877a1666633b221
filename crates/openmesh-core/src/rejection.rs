//! Why something was refused: a closed enum with stable codes, listed in `spec/problems.md`.

use openmesh_message::{
    AllowedNext, AttributeError, ControlError, Problem, ProofError, Scope, json::JsonError,
};
use openmesh_policy::Decision;
use openmesh_schema::{AllowedAct, IllegalAct, IllegalKind, Violation};

/// Who has as many subscriptions as it may, and how many those are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A WebSocket that speaks CloudEvents.
    Socket(usize),
    /// The connection.
    Connection(usize),
    /// The agent, on all its connections.
    Agent(usize),
    /// The node.
    Node(usize),
}

impl Bound {
    fn detail(self) -> String {
        let (who, max, how) = match self {
            Self::Socket(max) => ("the socket", max, "open another"),
            Self::Connection(max) => ("the connection", max, "--subscriptions-max of its node"),
            Self::Agent(max) => ("the agent", max, "--agent-subscriptions-max of its node"),
            Self::Node(max) => ("the node", max, "its --node-subscriptions-max"),
        };
        format!("{who} has {max} subscriptions, as many as it may ({how})")
    }
}

macro_rules! rejections {
    ($($(#[doc = $doc:literal])+ $variant:ident $(($($field:ty),+))? = $code:literal,)+) => {
        /// Why a send or a command was refused. The sender's fault, or a limit of the node's.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Rejection {
            $($(#[doc = $doc])+ $variant $(($($field),+))?,)+
            /// The protocol of the conversation does not allow the act.
            Illegal(Box<IllegalAct>),
        }

        impl Rejection {
            /// Every code but those of illegal acts.
            const PLAIN_CODES: &[&str] = &[$($code,)+];

            /// The stable code.
            pub fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)+
                    Self::Illegal(illegal) => protocol_code(illegal.kind),
                }
            }
        }
    };
}

rejections! {
    /// The payload is larger than a frame leaves room for.
    TooLarge = "message.too_large",
    /// The payload is nested too deep.
    TooDeep(JsonError) = "json.too_deep",
    /// The payload has too many keys.
    TooManyKeys(JsonError) = "json.too_many_keys",
    /// A key stands twice.
    DuplicateKey(JsonError) = "json.duplicate_key",
    /// Not UTF-8.
    NotUtf8(JsonError) = "json.not_utf8",
    /// A number that readers would round.
    NumberOutOfRange(JsonError) = "json.number_out_of_range",
    /// Not JSON.
    MalformedJson(JsonError) = "json.malformed",
    /// An attribute that every message of this kind has is missing.
    MissingAttribute(ControlError) = "attribute.missing",
    /// An attribute cannot be read.
    MalformedAttribute(ControlError) = "attribute.malformed",
    /// An attribute, or one named in `critical`, that this node cannot honour.
    UnsupportedAttribute(ControlError) = "attribute.unsupported",
    /// A signed address is relative.
    RelativeAddress(ControlError) = "address.relative",
    /// The address is another domain's.
    ForeignDomain = "address.foreign_domain",
    /// No agent of that name or id is known here.
    UnknownAgent = "address.unknown_agent",
    /// The message names another agent as its source, without that agent's proof.
    SourceMismatch = "source.mismatch",
    /// A message that another agent signed, offered by one who is not its sender.
    Replayed = "message.replayed",
    /// What is kept, is an act or goes to a pinned topic must be signed.
    SignatureRequired = "signature.required",
    /// The proof does not fit the message.
    InvalidSignature = "signature.invalid",
    /// The proof was made with another agent's key.
    ForeignKey = "signature.foreign_key",
    /// The message's `time` is further ahead than clocks may differ.
    TimeAhead = "time.ahead",
    /// The message's `time` is before the window in which repeats are recognised.
    OutsideWindow = "time.outside_window",
    /// The message's `expirytime` has passed.
    Expired = "message.expired",
    /// The same id was used for another message.
    IdConflict = "id.conflict",
    /// No schema with this digest is known here.
    UnknownSchema(String) = "schema.unknown",
    /// The payload is not valid under its schema.
    InvalidPayload(Vec<Violation>) = "schema.invalid",
    /// No protocol with this digest is known here.
    UnknownProtocol(String) = "protocol.unknown",
    /// The conversation follows another protocol.
    OtherProtocol(String) = "protocol.other",
    /// The domain's policy denies it.
    Denied(Decision) = "policy.denied",
    /// The topic keeps nothing, so it takes neither acts nor sends that ask to be kept.
    EphemeralTopic = "topic.ephemeral",
    /// The agent is not connected, and the message did not ask to be kept.
    AgentAway = "agent.away",
    /// The inbox holds as many messages as it may.
    InboxFull = "inbox.full",
    /// The inbox holds as many messages of this sender as it may.
    InboxQuota = "inbox.quota",
    /// The message was taken or has ended, so it cannot be called back.
    TooLateToRecall = "recall.late",
    /// An act of a conversation cannot be called back.
    ActIsDone = "recall.act",
    /// The request's deadline has passed.
    LateReply = "reply.late",
    /// The responder has given its final reply.
    DuplicateReply = "reply.duplicate",
    /// The node has as many open conversations as it may.
    TooManyConversations = "conversation.too_many",
    /// The name belongs to another agent, or the agent has another name.
    NameTaken(String) = "name.taken",
    /// The token was never issued, has expired or was revoked, or is not the domain's admin token.
    InvalidToken = "token.invalid",
    /// The token does not let its holder do that.
    OutOfScope(Scope) = "token.scope",
    /// The agent has as many valid tokens as it may.
    TooManyTokens = "token.too_many",
    /// The node keeps a key for the agent, and cannot use it.
    CustodyUnavailable = "custody.unavailable",
    /// A schema or protocol cannot be published.
    BadDefinition(String, String) = "definition.invalid",
    /// A definition of this name and version with other bytes is published.
    DefinitionConflict(String) = "definition.conflict",
    /// What was asked for does not exist, or the asker may not know that it does.
    NotFound = "not_found",
    /// The lease ended or another one followed it.
    StaleLease = "lease.stale",
    /// What is to be replaced has another version.
    OtherVersion(u64) = "version.mismatch",
    /// A command's argument cannot be read.
    BadArgument(&'static str, String) = "argument.malformed",
    /// The connection, its agent or the node has as many subscriptions as it may.
    TooManySubscriptions(Bound) = "subscription.too_many",
    /// The domain has as many agents as it may, each with an inbox.
    TooManyAgents(usize) = "agent.too_many",
    /// The agent, or the node, has as many streams as it may.
    TooManyStreams = "stream.too_many",
    /// No such stream is open, or it is not the agent's to use so.
    UnknownStream = "stream.unknown",
    /// The window is outside its bounds, or there is no room for it.
    StreamWindow = "stream.window",
    /// Another connection of the agent has taken this end over.
    StreamTakenOver = "stream.taken_over",
    /// The other end was away for too long.
    StreamPeerGone = "stream.peer_gone",
    /// An item, an end or an acknowledgement does not fit what came before it.
    StreamDisorder = "stream.disorder",
    /// More came than the reader gave credit for.
    StreamOverCredit = "stream.over_credit",
    /// The reader would go on with items that the writer no longer has.
    StreamItemsGone = "stream.items_gone",
    /// The other end broke the stream off, for this reason.
    StreamReset(String) = "stream.reset",
    /// The queue to the partition is full.
    Busy = "node.busy",
    /// There is no room on disk.
    StoreFull = "store.full",
}

impl Rejection {
    /// Every code the core can give.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        let protocol = IllegalKind::ALL.iter().map(|kind| protocol_code(*kind));
        Self::PLAIN_CODES.iter().copied().chain(protocol)
    }

    /// What the sender is told.
    pub fn to_problem(&self) -> Problem {
        let mut problem = Problem::new(self.code(), self.detail());
        match self {
            Self::Illegal(illegal) => {
                problem.state = Some(illegal.state.clone()).filter(|state| !state.is_empty());
                problem.allowed_next = illegal.allowed_next.iter().map(allowed_next).collect();
            }
            Self::InvalidPayload(violations) => {
                problem.pointer = violations.first().map(|violation| violation.pointer.clone());
            }
            Self::MissingAttribute(error)
            | Self::MalformedAttribute(error)
            | Self::UnsupportedAttribute(error)
            | Self::RelativeAddress(error) => problem.pointer = Some(attribute_of(error)),
            Self::BadArgument(name, _) => problem.pointer = Some((*name).to_owned()),
            Self::BadDefinition(path, _) => problem.pointer = Some(path.clone()),
            Self::Busy | Self::UnknownStream => problem.retry_after_ms = Some(100),
            Self::InboxFull | Self::InboxQuota => problem.retry_after_ms = Some(1_000),
            Self::StoreFull => problem.retry_after_ms = Some(5_000),
            _ => {}
        }
        problem
    }

    fn detail(&self) -> String {
        let fixed = match self {
            Self::TooDeep(error)
            | Self::TooManyKeys(error)
            | Self::DuplicateKey(error)
            | Self::NotUtf8(error)
            | Self::NumberOutOfRange(error)
            | Self::MalformedJson(error) => return error.to_string(),
            Self::MissingAttribute(error)
            | Self::MalformedAttribute(error)
            | Self::UnsupportedAttribute(error)
            | Self::RelativeAddress(error) => return error.to_string(),
            Self::UnknownSchema(name) | Self::UnknownProtocol(name) => {
                return format!("no {name} is known here; publish it first");
            }
            Self::OtherProtocol(name) => return format!("the conversation follows {name}"),
            Self::InvalidPayload(violations) => return describe(violations),
            Self::Denied(decision) => {
                return format!("{} (rule `{}`)", decision.reason, decision.rule);
            }
            Self::OutOfScope(scope) => return format!("the token does not have the scope `{scope}`"),
            Self::NameTaken(why) | Self::DefinitionConflict(why) => return why.clone(),
            Self::BadDefinition(_, why) | Self::BadArgument(_, why) => return why.clone(),
            Self::Illegal(illegal) => return illegal.detail.clone(),
            Self::TooLarge => "the message is larger than one frame can carry",
            Self::ForeignDomain => "the address belongs to a domain this node does not serve",
            Self::UnknownAgent => "no agent of that name or id is registered here",
            Self::SourceMismatch => "`source` is not the agent of this connection",
            Self::Replayed => "the message is another agent's; only its sender may offer it",
            Self::SignatureRequired => "what is kept must be signed: acts, inbox mail, pinned topics",
            Self::InvalidSignature => "the signature does not fit the message",
            Self::ForeignKey => "the proof was made with a key that is not the source's",
            Self::TimeAhead => "`time` is more than 60 s ahead of the node's clock",
            Self::OutsideWindow => {
                "`time` is before the window in which repeats are recognised; this says nothing of an earlier copy"
            }
            Self::Expired => "`expirytime` has passed",
            Self::IdConflict => "the same id was used for another message; give each message its own",
            Self::EphemeralTopic => {
                "the topic keeps nothing; have it pinned, or send without protocol and acklevel"
            }
            Self::AgentAway => {
                "the agent is not connected; send with acklevel=durable to leave it in its inbox"
            }
            Self::OtherVersion(version) => {
                return format!("what is in force has version {version} (0: there is none)");
            }
            Self::InboxFull => "the inbox is full",
            Self::InboxQuota => "the inbox holds as many messages of this sender as it may",
            Self::TooLateToRecall => "the message was taken or has ended: it cannot be called back",
            Self::ActIsDone => "an act of a conversation took effect at once and cannot be called back",
            Self::LateReply => "the request's deadline has passed",
            Self::DuplicateReply => "the final reply to this request was given before",
            Self::TooManyConversations => "the node has as many open conversations as it may",
            Self::InvalidToken => {
                "the token is not valid here: unknown, expired, revoked, or not the admin token"
            }
            Self::TooManyTokens => "the agent has as many valid tokens as it may; revoke one",
            Self::CustodyUnavailable => {
                "the node cannot use the key it keeps for the agent; its operator finds out why with `openmesh doctor`"
            }
            Self::NotFound => "there is nothing of that name that you may see",
            Self::StaleLease => "the lease ended, or another one followed it",
            Self::Busy => "the node is busy",
            Self::StoreFull => "there is no room to keep the message",
            _ => return self.further_detail(),
        };
        fixed.to_owned()
    }

    /// Of streams, and of limits that say how they are raised.
    fn further_detail(&self) -> String {
        let fixed = match self {
            Self::TooManySubscriptions(bound) => return bound.detail(),
            Self::TooManyAgents(max) => {
                return format!("the domain has {max} agents, as many as it may (--agents-max of its node)");
            }
            Self::StreamReset(reason) => return reason.clone(),
            Self::TooManyStreams => "as many streams are open as may be; finish one",
            Self::UnknownStream => "no such stream is open; it may be offered again",
            Self::StreamWindow => {
                "the window is smaller or larger than it may be, or there is no room for it"
            }
            Self::StreamTakenOver => "another connection of the agent goes on with the stream",
            Self::StreamPeerGone => "the other end was away for too long",
            Self::StreamDisorder => "what came does not follow what came before it",
            Self::StreamOverCredit => "more came than the reader gave credit for",
            Self::StreamItemsGone => "the reader would go on with items that the writer no longer has",
            _ => "",
        };
        fixed.to_owned()
    }
}

fn protocol_code(kind: IllegalKind) -> &'static str {
    match kind {
        IllegalKind::Illegal => "protocol.illegal_step",
        IllegalKind::Ended => "protocol.ended",
        IllegalKind::TimerDue => "protocol.timer_due",
        IllegalKind::NotBound => "protocol.not_bound",
        IllegalKind::RoleFull => "protocol.role_full",
        IllegalKind::NoInstance => "protocol.no_instance",
        IllegalKind::WrongSchema => "protocol.wrong_schema",
        IllegalKind::OutOfTurn => "protocol.out_of_turn",
        IllegalKind::TooMany => "protocol.too_many",
        IllegalKind::WrongRecipient => "protocol.wrong_recipient",
        IllegalKind::WrongParent => "protocol.wrong_parent",
        IllegalKind::GuardFailed => "protocol.guard_failed",
        IllegalKind::RequirementUnmet => "protocol.requirement_unmet",
        IllegalKind::CorrelationBroken => "protocol.correlation_broken",
        IllegalKind::CustodialSignature => "protocol.custodial_signature",
        IllegalKind::TimerUnusable => "protocol.timer_unusable",
        IllegalKind::BadInvitation => "protocol.bad_invitation",
        IllegalKind::TooManyAgents => "protocol.too_many_agents",
    }
}

fn allowed_next(act: &AllowedAct) -> AllowedNext {
    AllowedNext {
        performative: act.performative.to_string(),
        schema: act.schema.as_ref().map(ToString::to_string),
        instance: Some(match &act.to {
            Some(agent) => format!("{} (to {agent})", act.machine),
            None => act.machine.to_string(),
        }),
    }
}

fn describe(violations: &[Violation]) -> String {
    let each = violations.iter().map(|v| format!("{}: {}", v.pointer, v.message));
    each.collect::<Vec<_>>().join("; ")
}

fn attribute_of(error: &ControlError) -> String {
    match error {
        ControlError::Missing(name)
        | ControlError::Malformed { name, .. }
        | ControlError::Relative { name, .. } => (*name).to_owned(),
        ControlError::Unsupported(name) => name.clone(),
    }
}

impl From<JsonError> for Rejection {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::NotUtf8(_) => Self::NotUtf8(error),
            JsonError::Malformed(_) => Self::MalformedJson(error),
            JsonError::TooDeep => Self::TooDeep(error),
            JsonError::TooManyKeys => Self::TooManyKeys(error),
            JsonError::DuplicateKey(_) => Self::DuplicateKey(error),
            JsonError::NumberOutOfRange(_) => Self::NumberOutOfRange(error),
        }
    }
}

impl From<ControlError> for Rejection {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Missing(_) => Self::MissingAttribute(error),
            ControlError::Malformed { .. } => Self::MalformedAttribute(error),
            ControlError::Relative { .. } => Self::RelativeAddress(error),
            ControlError::Unsupported(_) => Self::UnsupportedAttribute(error),
        }
    }
}

impl From<AttributeError> for Rejection {
    fn from(error: AttributeError) -> Self {
        Self::MalformedAttribute(ControlError::Malformed { name: "attributes", why: error.to_string() })
    }
}

impl From<ProofError> for Rejection {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::ForeignKey => Self::ForeignKey,
            ProofError::Invalid | ProofError::Path => Self::InvalidSignature,
        }
    }
}

impl From<IllegalAct> for Rejection {
    fn from(illegal: IllegalAct) -> Self {
        Self::Illegal(Box::new(illegal))
    }
}
