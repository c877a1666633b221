//! The Rust client of OpenMesh: connect, send, subscribe, request, work an inbox.
//!
//! Start with [`Mesh::connect`]. What travels (envelopes, drafts, receipts) is `openmesh-message`'s.
//!
//! ```no_run
//! # async fn example() -> Result<(), openmesh_sdk::SdkError> {
//! use openmesh_sdk::{ConnectOptions, Mesh, Performative, Start, canonical_json, identity};
//! use std::{path::Path, sync::Arc};
//!
//! let key = Arc::new(identity::load(Path::new("buyer.key"))?);
//! let address = ([127, 0, 0, 1], 7400).into();
//! let domain = openmesh_sdk::fetch_domain(address, None, std::time::Duration::from_secs(5)).await?;
//! let mesh = Mesh::connect(&ConnectOptions::new(address, domain, key)).await?;
//!
//! let mut news = mesh.subscribe("topic:market/*", Start::Next).await?;
//! let draft = mesh.draft("topic:market/news", &Performative::Inform)?;
//! let envelope = mesh.sign(draft.json(canonical_json("hello")?))?;
//! let receipt = mesh.send(envelope).await?.accepted()?;
//! println!("kept at {:?}", receipt.receipt.position);
//! while let Some(item) = news.next().await {
//!     println!("{item:?}");
//! }
//! # Ok(())
//! # }
//! ```

mod commands;
mod compose;
mod connect;
mod connection;
mod error;
mod gather;
pub mod identity;
mod inbox;
mod log;
mod mesh;
mod proofs;
mod request;
mod send;
mod stream;
mod subscription;
mod tls;
mod tokens;

pub use commands::Definition;
pub use compose::{canonical_json, new_conversation_id, new_message_id, now, parse_json};
pub use connect::{ConnectOptions, fetch_domain};
pub use error::SdkError;
pub use gather::{Answer, Gathered};
pub use inbox::{Inbox, WorkOptions};
pub use log::{LogPages, Tail};
pub use mesh::Mesh;
pub use openmesh_message::frame::{
    HeldState, InboxCounts, Leased, LogFilter, PeekPage, Peeked, Retention, Start, Verdict,
};
pub use openmesh_message::{
    AgentId, DomainId, Draft, Envelope, KeyPair, Performative, PinnedName, Priority, Problem, Scope, Scopes,
    SignedReceipt, Timestamp, Token,
};
pub use proofs::SignedBy;
pub use request::{Exchange, Reply};
pub use send::{Pending, Sent};
pub use stream::{StreamOptions, StreamReader, StreamWriter};
pub use subscription::{Item, Subscription};
pub use tls::Tls;
pub use tokens::{IssuedToken, TokenTerms};
