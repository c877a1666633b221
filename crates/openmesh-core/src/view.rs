//! What admission reads: a snapshot that the partition's owner publishes, never a lock.

use crate::directory::topics::{Shelves, Topics};
use crate::directory::{Directory, Tokens};
use crate::record::Sealing;
use openmesh_message::{AgentId, Authority, DomainId};
use openmesh_policy::{Policy, Standing};
use openmesh_schema::Catalog;
use std::sync::Arc;

/// An immutable snapshot of what decides whether a message is admitted.
#[derive(Clone, Debug)]
pub struct View {
    /// The domain served.
    pub domain: DomainId,
    /// Schemas and protocols.
    pub catalog: Catalog,
    /// The rules.
    pub policy: Policy,
    /// Who is registered.
    pub directory: Arc<Directory>,
    /// Which topics are kept.
    pub topics: Arc<Topics>,
    /// Which tokens stand for whom.
    pub tokens: Arc<Tokens>,
    /// What is there of each kept topic, as of when the view was published.
    pub shelves: Arc<Shelves>,
    /// Seals what will be kept.
    pub sealing: Sealing,
    /// Of this view alone.
    pub(crate) identity: Identity,
}

/// Tells one published view from another.
#[derive(Clone, Debug, Default)]
pub struct Identity(Arc<()>);

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl View {
    /// The authority under which unqualified names are published here.
    pub const fn home(&self) -> Authority {
        Authority::Domain(self.domain)
    }

    /// What tells this view from others.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What an agent is to this domain.
    pub fn standing(&self, agent: &AgentId) -> Standing {
        self.known_as(agent).0
    }

    /// What an agent is to this domain, and by which name.
    pub(crate) fn known_as(&self, agent: &AgentId) -> (Standing, Option<&str>) {
        let name = self.directory.name(agent);
        (if name.is_some() { Standing::Registered } else { Standing::Stranger }, name)
    }
}
