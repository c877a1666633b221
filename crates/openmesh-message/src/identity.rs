//! Who someone is: keys, the ids that follow from them, certificates, and how two sides prove themselves.

mod agent_id;
mod base58;
mod certificate;
mod custodian;
mod domain_id;
pub mod handshake;
mod key_pair;
mod usable_key;

pub use agent_id::{AgentId, IdentityError};
pub use certificate::{Certificate, CertificateError, Inception};
pub use custodian::{Custodian, CustodyError};
pub use domain_id::DomainId;
pub use key_pair::{KeyPair, Signature};
