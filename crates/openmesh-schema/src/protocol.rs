//! A published protocol: a definition that passed every check, compiled. How it moves is `engine.rs`.

mod graph;
mod named;
mod observation;
mod rules;
mod structure;

pub(crate) use rules::Rules;

use crate::catalog::Catalog;
use crate::definition::{Definition, to_stored};
use crate::definition_error::{DefinitionError, DefinitionErrorKind as Kind};
use openmesh_message::{Digest, PinnedName};
use std::sync::Arc;

/// A checked and compiled protocol with its identity.
#[derive(Debug)]
pub struct Protocol {
    pinned: Arc<PinnedName>,
    stored: Vec<u8>,
    definition: Definition,
    rules: Rules,
}

/// What the checks saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// The schemas that the ranges were resolved to.
    pub pins: Vec<PinnedName>,
    /// How many machines.
    pub machines: usize,
    /// How many states, finals included.
    pub states: usize,
    /// How many moves.
    pub moves: usize,
    /// What is allowed but may not be meant.
    pub warnings: Vec<String>,
}

impl Protocol {
    /// Runs every check and compiles the expressions.
    pub(crate) fn check(
        definition: Definition,
        catalog: &Catalog,
    ) -> Result<(Self, CheckReport), DefinitionError> {
        structure::check(&definition)?;
        observation::check(&definition)?;
        let mut warnings = structure::warnings(&definition);
        let rules = Rules::compile(&definition, catalog, &mut warnings)?;
        let stored = to_stored(&definition)
            .map_err(|error| DefinitionError::new("", Kind::Malformed, error.to_string()))?;
        let machines = definition.machines.values();
        let report = CheckReport {
            pins: definition.schemas().into_iter().cloned().collect(),
            machines: definition.machines.len(),
            states: machines.clone().map(|one| one.states.len() + one.finals.len()).sum(),
            moves: machines.map(|one| one.moves().count()).sum(),
            warnings,
        };
        let protocol = Self {
            pinned: Arc::new(PinnedName { versioned: definition.name.clone(), digest: Digest::of(&stored) }),
            stored,
            definition,
            rules,
        };
        Ok((protocol, report))
    }

    /// Its name, version and digest.
    pub fn pinned(&self) -> &PinnedName {
        &self.pinned
    }

    /// The same, to be shared.
    pub fn shared_pin(&self) -> &Arc<PinnedName> {
        &self.pinned
    }

    /// The bytes its digest is of: RFC 8785 JSON with every schema pinned.
    pub fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// What it says.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// A Mermaid `stateDiagram-v2` with one composite state a machine.
    pub fn graph(&self) -> String {
        graph::draw(&self.definition)
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }
}
