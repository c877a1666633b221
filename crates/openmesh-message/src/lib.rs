//! The words of the mesh: ids, addresses, topics, envelope, performatives, signatures, codec, limits.
//!
//! Pure: no sockets, files, clock or randomness. Start with `envelope.rs` (what travels), then
//! `attributes.rs` (what is signed), `proof.rs` (how), `frame.rs` (how it crosses a wire).

mod address;
mod attributes;
pub mod cloudevents;
mod control;
mod digest;
mod draft;
mod envelope;
pub mod frame;
mod identity;
pub mod json;
pub mod limits;
mod name;
mod performative;
mod position;
mod problem;
mod proof;
mod text_form;
mod timestamp;
mod token;

pub use address::{Address, AddressError, Target};
pub use address::{AgentName, AgentRef, ConversationId, TopicError, TopicPath, TopicPattern};
pub use attributes::{AttributeError, Attributes, Form};

pub use control::{AckLevel, ControlAttributes, ControlError, Priority, Steering};
pub use digest::{Digest, DigestError};
pub use draft::{Defaults, Draft};
pub use envelope::{Envelope, Transit};
pub use identity::handshake;
pub use identity::{
    AgentId, Certificate, CertificateError, Custodian, CustodyError, DomainId, IdentityError, Inception,
    KeyPair, Signature,
};
pub use name::{Authority, DefinitionName, NameError, NameRange, PinnedName, VersionedName};
pub use performative::{Performative, PerformativeError};
pub use position::{LogName, LogSeq, PartitionId, Position, PositionError, shared_text};
pub use problem::{AllowedNext, Problem};
pub use proof::{KnownTree, Proof, ProofError, ProofTextError};
pub use proof::{Level, OpenedRun, Receipt, ReceiptProof, ReceiptRun, SignedReceipt};
pub use timestamp::{Timestamp, TimestampError};
pub use token::{Grant, Scope, Scopes, TOKEN_PREFIX, Token, TokenError};
