//! Everything published: schemas and protocols by digest and by name. A catalog never changes; publishing makes the next one.

use crate::builtin;
use crate::definition::{self, Published};
use crate::definition_error::DefinitionError;
use crate::protocol::{CheckReport, Protocol};
use crate::schema::Schema;
use openmesh_message::{Authority, Digest, NameRange, PinnedName, VersionedName};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The published schemas and protocols; a clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    schemas: Arc<Shelf<Schema>>,
    protocols: Arc<Shelf<Protocol>>,
}

#[derive(Debug)]
struct Shelf<T> {
    by_digest: BTreeMap<Digest, Arc<T>>,
    by_name: BTreeMap<VersionedName, Arc<T>>,
}

/// A name and version that are published with another digest: what is published never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The name and version.
    pub name: Box<VersionedName>,
    /// The digest that is published.
    pub published: Digest,
    /// The digest that was offered.
    pub offered: Digest,
}

impl Catalog {
    /// Nothing published.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The definitions that ship with the program: `market/*`, `fipa/*`, `mesh/*`.
    pub fn builtin() -> Self {
        builtin::catalog()
    }

    /// Checks and compiles a schema; publishes nothing.
    pub fn check_schema(&self, name: &VersionedName, body: &[u8]) -> Result<Arc<Schema>, DefinitionError> {
        Schema::compile(name, body).map(Arc::new)
    }

    /// Checks and compiles a protocol (YAML, JSON or stored form); publishes nothing.
    ///
    /// Unqualified names are `home`'s; ranges are resolved to the newest schemas of this catalog.
    pub fn check_protocol(
        &self,
        body: &[u8],
        home: Authority,
    ) -> Result<(Arc<Protocol>, CheckReport), DefinitionError> {
        let definition = definition::parse(body, home, self)?;
        let (protocol, report) = Protocol::check(definition, self)?;
        Ok((Arc::new(protocol), report))
    }

    /// This catalog and one more schema.
    pub fn with_schema(&self, schema: Arc<Schema>) -> Result<Self, Conflict> {
        let pinned = schema.pinned().clone();
        Ok(Self {
            schemas: Arc::new(self.schemas.with(&pinned, schema)?),
            protocols: Arc::clone(&self.protocols),
        })
    }

    /// This catalog and one more protocol.
    pub fn with_protocol(&self, protocol: Arc<Protocol>) -> Result<Self, Conflict> {
        let pinned = protocol.pinned().clone();
        Ok(Self {
            schemas: Arc::clone(&self.schemas),
            protocols: Arc::new(self.protocols.with(&pinned, protocol)?),
        })
    }

    /// The schema with this digest.
    pub fn schema(&self, digest: &Digest) -> Option<&Arc<Schema>> {
        self.schemas.by_digest.get(digest)
    }

    /// The schema with this name and version.
    pub fn schema_named(&self, name: &VersionedName) -> Option<&Arc<Schema>> {
        self.schemas.by_name.get(name)
    }

    /// The protocol with this digest.
    pub fn protocol(&self, digest: &Digest) -> Option<&Arc<Protocol>> {
        self.protocols.by_digest.get(digest)
    }

    /// The protocol with this name and version.
    pub fn protocol_named(&self, name: &VersionedName) -> Option<&Arc<Protocol>> {
        self.protocols.by_name.get(name)
    }

    /// The newest schema in a range.
    pub fn resolve(&self, range: &NameRange) -> Option<PinnedName> {
        self.schemas.newest(range).map(|schema| schema.pinned().clone())
    }

    /// The newest protocol in a range.
    pub fn resolve_protocol(&self, range: &NameRange) -> Option<PinnedName> {
        self.protocols.newest(range).map(|protocol| protocol.pinned().clone())
    }

    /// Every schema, by name and version.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.by_name.values()
    }

    /// Every protocol, by name and version.
    pub fn protocols(&self) -> impl Iterator<Item = &Arc<Protocol>> {
        self.protocols.by_name.values()
    }
}

impl Published for Catalog {
    fn newest(&self, range: &NameRange) -> Option<PinnedName> {
        self.resolve(range)
    }

    fn has(&self, pinned: &PinnedName) -> bool {
        self.schema_named(&pinned.versioned).is_some_and(|schema| schema.pinned() == pinned)
    }
}

impl<T> Shelf<T> {
    fn with(&self, pinned: &PinnedName, item: Arc<T>) -> Result<Self, Conflict>
    where
        T: Pinned,
    {
        if let Some(known) = self.by_name.get(&pinned.versioned)
            && known.digest() != pinned.digest
        {
            return Err(Conflict {
                name: Box::new(pinned.versioned.clone()),
                published: known.digest(),
                offered: pinned.digest,
            });
        }
        let mut by_digest = self.by_digest.clone();
        let mut by_name = self.by_name.clone();
        by_digest.entry(pinned.digest).or_insert_with(|| Arc::clone(&item));
        by_name.insert(pinned.versioned.clone(), item);
        Ok(Self { by_digest, by_name })
    }

    fn newest(&self, range: &NameRange) -> Option<&Arc<T>> {
        let fitting = self.by_name.iter().rev().find(|(name, _)| range.contains(name));
        fitting.map(|(_, item)| item)
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { by_digest: BTreeMap::new(), by_name: BTreeMap::new() }
    }
}

trait Pinned {
    fn digest(&self) -> Digest;
}

impl Pinned for Schema {
    fn digest(&self) -> Digest {
        self.pinned().digest
    }
}

impl Pinned for Protocol {
    fn digest(&self) -> Digest {
        self.pinned().digest
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is published with digest {} and cannot become {}: publish it under another version",
            self.name, self.published, self.offered
        )
    }
}

impl std::error::Error for Conflict {}
