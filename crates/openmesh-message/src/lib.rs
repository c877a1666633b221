//! The words of the mesh: ids, addresses, topics, envelope, performatives, signatures, codec, limits.
//!
//! Pure: no sockets, files, clock or randomness. Start with `envelope.rs` (what travels), then
//! `attributes.rs` (what is signed), `proof.rs` (how), `frame.rs` (how it crosses a wire).

mod address;
mod agent_id;
mod agent_ref;
mod attributes;
mod certificate;
mod control;
mod conversation_id;
mod digest;
mod domain_id;
mod draft;
mod envelope;
pub mod frame;
pub mod handshake;
pub mod json;
mod key_pair;
pub mod limits;
mod merkle;
mod name;
mod performative;
mod position;
mod problem;
mod proof;
mod receipt;
mod text_form;
mod timestamp;
mod topic;

pub use address::{Address, AddressError, Target};
pub use agent_id::{AgentId, IdentityError};
pub use agent_ref::{AgentName, AgentRef};
pub use attributes::{AttributeError, Attributes};
pub use certificate::{Certificate, CertificateError, Inception};
pub use control::{AckLevel, ControlAttributes, ControlError, Priority};
pub use conversation_id::ConversationId;
pub use digest::{Digest, DigestError};
pub use domain_id::DomainId;
pub use draft::Draft;
pub use envelope::{Envelope, Transit};
pub use key_pair::{KeyPair, Signature};
pub use name::{Authority, DefinitionName, NameError, NameRange, PinnedName, VersionedName};
pub use performative::{Performative, PerformativeError};
pub use position::{LogName, LogSeq, PartitionId, Position};
pub use problem::{AllowedNext, Problem};
pub use proof::{Proof, ProofError};
pub use receipt::{Level, Receipt, ReceiptProof, SignedReceipt};
pub use timestamp::{Timestamp, TimestampError};
pub use topic::{TopicError, TopicPath, TopicPattern};
