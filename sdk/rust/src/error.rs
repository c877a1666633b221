//! What can go wrong for a client, and what to do about it.

use openmesh_message::handshake::HandshakeError;
use openmesh_message::json::JsonError;
use openmesh_message::{AddressError, AttributeError, NameError, Problem, TopicError};
use std::net::SocketAddr;

/// Why a call to the mesh failed; each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdkError {
    /// The node's address is not on this machine.
    #[error(
        "{0} is not on this machine, and a connection in plaintext never leaves it: speak TLS (--ca FILE)"
    )]
    NotLoopback(SocketAddr),
    /// No connection could be opened.
    #[error("no node answers at {address} ({why}): start one with `openmesh up`")]
    Connect {
        /// Where a node was expected.
        address: SocketAddr,
        /// The operating system's reason.
        why: String,
    },
    /// The node speaks TLS, and plaintext was spoken to it.
    #[error(
        "the node at {0} speaks TLS: name the authority that signed its certificate with --ca FILE, or --ca system"
    )]
    SpeaksTls(SocketAddr),
    /// TLS could not be agreed on; nothing was sent.
    #[error("TLS failed: {why}")]
    Tls {
        /// What went wrong, and what to do.
        why: String,
    },
    /// A file of certificates cannot be used.
    #[error("the certificate file {path}: {why}")]
    CertificateFile {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Where this machine keeps its certificate authorities is not known.
    #[error(
        "this machine's certificate authorities were not found: name a file with --ca FILE or SSL_CERT_FILE"
    )]
    NoAuthorities,
    /// A text is no name that a certificate could bear.
    #[error("`{0}` is no name of a machine")]
    ServerName(String),
    /// A step took too long.
    #[error("{step} took longer than {after_ms} ms: try again, or look at the node with `openmesh doctor`")]
    TimedOut {
        /// What was waited for.
        step: &'static str,
        /// How long.
        after_ms: u64,
    },
    /// One side did not prove itself; nothing was sent.
    #[error(
        "the handshake failed: {0}; if the domain was made anew on purpose, fetch its id again and pin that"
    )]
    Handshake(#[from] HandshakeError),
    /// The node ended the connection.
    #[error("the node said goodbye: {0}")]
    Goodbye(Box<Problem>),
    /// The node refused a command.
    #[error("the node refused: {0}")]
    Refused(Box<Problem>),
    /// The node refused a message.
    #[error("the message was rejected: {0}")]
    Rejected(Box<Problem>),
    /// Nobody can say whether a message was taken in.
    #[error("whether the message was taken in is unknown: send the same envelope again (`send_until_known`)")]
    OutcomeUnknown,
    /// A message went through an ephemeral topic.
    #[error("ephemeral topics give no receipts: make the topic pinned, or do not ask for one")]
    NoReceipt,
    /// The connection is gone.
    #[error("the connection is closed ({0}): call `reconnect`, then subscribe again")]
    Closed(String),
    /// Larger than a frame may be.
    #[error("{bytes} bytes do not fit into a frame of {bytes_max}: send less, or in several messages")]
    TooLarge {
        /// Bytes needed, at most.
        bytes: usize,
        /// Bytes allowed.
        bytes_max: usize,
    },
    /// An attribute cannot be part of a message.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// A text is no address.
    #[error("{0}; people write topic:a/b, agent:name, inbox:name, conversation:uuid or a did:key")]
    Address(#[from] AddressError),
    /// A text is no topic pattern.
    #[error("{0}; people write topic:market/rfp, topic:market/* or topic:market/**")]
    Topic(#[from] TopicError),
    /// A name of a definition in a reply cannot be read.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A value is no JSON, or JSON is not of the shape expected.
    #[error("the JSON does not fit: {0}")]
    Json(String),
    /// The message to be answered says not, or not legibly, whom to answer.
    #[error("the message cannot be answered: its `{0}` is missing or malformed")]
    Unanswerable(&'static str),
    /// The node's reply belongs to another command, or its content cannot be read.
    #[error("the node's reply to {0} is not of the kind expected: node and SDK differ in version")]
    UnexpectedReply(&'static str),
    /// The agent's own messages are already being read.
    #[error("`incoming` was already called on this connection: share that subscription")]
    IncomingTaken,
    /// A stream was broken off: by the other end, by the node, or by policy.
    #[error("the stream was broken off: {0}")]
    StreamReset(Box<Problem>),
    /// A stream is being read by this handle already.
    #[error("the stream is being read already: its offer came again since the node restarted")]
    StreamTaken,
    /// A message is not its sender's, or whether it is could not be learned.
    #[error("the message is not its sender's: {0}")]
    NotTheSenders(String),
    /// A key file cannot be used.
    #[error("the key file {path}: {why}")]
    KeyFile {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Randomness(String),
}

impl From<JsonError> for SdkError {
    fn from(error: JsonError) -> Self {
        Self::Json(error.to_string())
    }
}

impl From<serde_json::Error> for SdkError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}

impl From<getrandom::Error> for SdkError {
    fn from(error: getrandom::Error) -> Self {
        Self::Randomness(error.to_string())
    }
}
