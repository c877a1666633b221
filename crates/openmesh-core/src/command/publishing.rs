//! Publishing and fetching schemas and protocols.

use super::{Answer, Caller};
use crate::partition::Partition;
use crate::plan::Plan;
use crate::record::{Body, Outcome};
use crate::rejection::Rejection;
use openmesh_message::frame::Reply;
use openmesh_message::{Authority, Digest, NameError, NameRange, PinnedName, VersionedName};
use openmesh_policy::Action;
use openmesh_schema::{Conflict, DefinitionError};

/// Definitions published here at a time.
const DEFINITIONS_MAX: usize = 10_000;

impl Partition {
    pub(super) fn publish_schema(
        &mut self,
        caller: Caller,
        name: &str,
        text: &str,
        plan: &mut Plan,
    ) -> Answer {
        let name = VersionedName::parse(name, self.view.home()).map_err(|error| bad_name(&error))?;
        self.check_authority(&name)?;
        self.decide_publish(caller, Some(&name), None)?;
        let schema = self.view.catalog.check_schema(&name, text.as_bytes()).map_err(bad_definition)?;
        let pinned = schema.pinned().to_string();
        let known = self.view.catalog.schema(&schema.pinned().digest).is_some();
        let stored = String::from_utf8_lossy(schema.stored()).into_owned();
        self.view.catalog.with_schema(schema).map_err(|error| conflict(&error))?;
        if !known {
            let outcome = Outcome::SchemaPublished { name: pinned.clone() };
            self.commit_administrative(caller, outcome, Body::Text(stored.clone()), plan);
        }
        Ok(Some(Reply::Definition { name: pinned, stored }))
    }

    pub(super) fn publish_protocol(&mut self, caller: Caller, text: &str, plan: &mut Plan) -> Answer {
        self.decide_publish(caller, None, None)?;
        let checked = self.view.catalog.check_protocol(text.as_bytes(), self.view.home());
        let (protocol, _) = checked.map_err(bad_definition)?;
        // What is kept is the stored form, so that must be readable too: names written out make it longer.
        let again = self.view.catalog.check_protocol(protocol.stored(), self.view.home());
        again.map_err(bad_definition)?;
        self.check_authority(&protocol.pinned().versioned)?;
        self.decide_publish(caller, None, Some(&protocol.pinned().versioned))?;
        let pinned = protocol.pinned().to_string();
        let known = self.view.catalog.protocol(&protocol.pinned().digest).is_some();
        let stored = String::from_utf8_lossy(protocol.stored()).into_owned();
        self.view.catalog.with_protocol(protocol).map_err(|error| conflict(&error))?;
        if !known {
            let outcome = Outcome::ProtocolPublished { name: pinned.clone() };
            self.commit_administrative(caller, outcome, Body::Text(stored.clone()), plan);
        }
        Ok(Some(Reply::Definition { name: pinned, stored }))
    }

    pub(super) fn get_schema(&self, caller: Caller, name: &str) -> Answer {
        self.decide_plain(caller, Action::Read, None)?;
        let catalog = &self.view.catalog;
        let digest = match asked_digest(name) {
            Some(digest) => Some(digest),
            None => catalog.resolve(&self.asked_range(name)?).map(|pinned| pinned.digest),
        };
        let schema = digest.and_then(|digest| catalog.schema(&digest)).ok_or(Rejection::NotFound)?;
        Ok(Some(definition(schema.pinned(), schema.stored())))
    }

    pub(super) fn get_protocol(&self, caller: Caller, name: &str) -> Answer {
        self.decide_plain(caller, Action::Read, None)?;
        let catalog = &self.view.catalog;
        let digest = match asked_digest(name) {
            Some(digest) => Some(digest),
            None => catalog.resolve_protocol(&self.asked_range(name)?).map(|pinned| pinned.digest),
        };
        let protocol = digest.and_then(|digest| catalog.protocol(&digest)).ok_or(Rejection::NotFound)?;
        Ok(Some(definition(protocol.pinned(), protocol.stored())))
    }

    pub(super) fn list_definitions(&self, caller: Caller) -> Answer {
        self.decide_plain(caller, Action::Read, None)?;
        let row = |kind: &str, pinned: &PinnedName| {
            serde_json::json!({
                "kind": kind, "name": pinned.versioned, "digest": pinned.digest,
            })
            .to_string()
        };
        let schemas = self.view.catalog.schemas().map(|schema| row("schema", schema.pinned()));
        let protocols = self.view.catalog.protocols().map(|protocol| row("protocol", protocol.pinned()));
        Ok(Some(Reply::Rows(schemas.chain(protocols).collect())))
    }

    /// Definitions are published under this domain's own authority only.
    fn check_authority(&self, name: &VersionedName) -> Result<(), Rejection> {
        if name.name.authority != self.view.home() {
            let why = match name.name.authority {
                Authority::OpenMesh => "the namespaces mesh, fipa and market are reserved".to_owned(),
                Authority::Domain(domain) => format!("the authority {domain} is not this domain"),
            };
            return Err(Rejection::BadDefinition("name".to_owned(), why));
        }
        if self.state.definitions.len() >= DEFINITIONS_MAX {
            let why = format!("the domain has published {DEFINITIONS_MAX} definitions");
            return Err(Rejection::BadDefinition("name".to_owned(), why));
        }
        Ok(())
    }

    fn decide_publish(
        &self,
        caller: Caller,
        schema: Option<&VersionedName>,
        protocol: Option<&VersionedName>,
    ) -> Result<(), Rejection> {
        let context = self.context(caller, Action::PublishDefinition, None);
        let request = openmesh_policy::StaticContext { schema, protocol, ..context };
        self.decide_context(&request)
    }

    fn asked_range(&self, name: &str) -> Result<NameRange, Rejection> {
        let text = if name.contains('@') { name.to_owned() } else { format!("{name}@*") };
        NameRange::parse(&text, self.view.home()).map_err(|error| bad_name(&error))
    }
}

fn asked_digest(name: &str) -> Option<Digest> {
    let text =
        name.rsplit_once("#sha256-").map_or_else(|| name.strip_prefix("sha256-"), |(_, text)| Some(text))?;
    text.parse().ok()
}

fn definition(pinned: &PinnedName, stored: &[u8]) -> Reply {
    Reply::Definition { name: pinned.to_string(), stored: String::from_utf8_lossy(stored).into_owned() }
}

fn bad_name(error: &NameError) -> Rejection {
    Rejection::BadArgument("name", error.to_string())
}

fn bad_definition(error: DefinitionError) -> Rejection {
    Rejection::BadDefinition(error.path, error.message)
}

fn conflict(conflict: &Conflict) -> Rejection {
    Rejection::DefinitionConflict(conflict.to_string())
}
