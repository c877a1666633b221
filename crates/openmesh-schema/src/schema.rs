//! A published schema: JSON Schema 2020-12, compiled under a budget, never reaching out of its document.

mod budget;
mod instance;
mod known_path;
mod recursion;
mod reference;

pub(crate) use known_path::{Known, find};

use crate::definition_error::{DefinitionError, DefinitionErrorKind as Kind};
use crate::limits::{SCHEMA_PATTERN_COMPILED_BYTES_MAX, VIOLATION_CHARS_MAX, VIOLATIONS_MAX};
use instance::Instance;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, Retrieve, Uri, Validator};
use openmesh_message::json::Document;
use openmesh_message::{Digest, PinnedName, VersionedName};
use serde_json::Value;
use std::fmt;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A compiled schema with its identity.
pub struct Schema {
    pinned: PinnedName,
    stored: Vec<u8>,
    document: Value,
    validator: Validator<Instance>,
}

/// One way in which a payload is not valid.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Violation {
    /// JSON pointer into the payload; empty for the whole.
    pub pointer: String,
    /// The schema's keyword that refused it.
    pub keyword: String,
    /// What is wrong, at most `VIOLATION_CHARS_MAX` characters.
    pub message: String,
}

impl Schema {
    /// Checks and compiles `body`.
    pub(crate) fn compile(name: &VersionedName, body: &[u8]) -> Result<Self, DefinitionError> {
        budget::check_bytes(body)?;
        let document = openmesh_message::json::parse_strict(body)
            .map_err(|error| DefinitionError::new("", Kind::Malformed, error.to_string()))?;
        check_dialect(&document)?;
        budget::check_structure(&document)?;
        recursion::check(&document)?;
        let validator = build(&document)?;
        let stored = serde_json_canonicalizer::to_vec(&document)
            .map_err(|error| DefinitionError::new("", Kind::Malformed, error.to_string()))?;
        Ok(Self {
            pinned: PinnedName { versioned: name.clone(), digest: Digest::of(&stored) },
            stored,
            document,
            validator,
        })
    }

    /// Its name, version and digest.
    pub fn pinned(&self) -> &PinnedName {
        &self.pinned
    }

    /// The bytes its digest is of: RFC 8785 JSON.
    pub fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// The schema itself.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Checks a payload; the first few violations if it is not valid.
    pub fn validate(&self, instance: &Document) -> Result<(), Vec<Violation>> {
        if self.validator.is_valid(instance.root()) {
            return Ok(());
        }
        // What is wrong is told in the order of names.
        let sorted = Document::of(&instance.to_value());
        let errors = self.validator.iter_errors(sorted.root()).take(VIOLATIONS_MAX);
        let violations = errors.map(|error| Violation {
            pointer: error.instance_path().to_string(),
            keyword: error.kind().keyword().to_owned(),
            message: shorten(&error.masked_with("the value").to_string()),
        });
        Err(violations.collect())
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.pinned)
    }
}

fn check_dialect(document: &Value) -> Result<(), DefinitionError> {
    match document {
        Value::Bool(_) => Ok(()),
        Value::Object(object) => match object.get("$schema").map(Value::as_str) {
            None | Some(Some(DIALECT)) => Ok(()),
            Some(_) => Err(DefinitionError::new(
                "/$schema",
                Kind::Unsupported,
                format!("only JSON Schema 2020-12 is offered: `{DIALECT}`"),
            )),
        },
        _ => Err(DefinitionError::new("", Kind::WrongType, "a schema is an object, or true or false")),
    }
}

fn build(document: &Value) -> Result<Validator<Instance>, DefinitionError> {
    jsonschema::options_for::<Instance>()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(
            PatternOptions::regex()
                .size_limit(SCHEMA_PATTERN_COMPILED_BYTES_MAX)
                .dfa_size_limit(SCHEMA_PATTERN_COMPILED_BYTES_MAX),
        )
        .should_validate_formats(false)
        .with_retriever(Sealed)
        .build(document)
        .map_err(|error| {
            let message = error.to_string();
            let kind = match error.kind() {
                ValidationErrorKind::Referencing(_) => Kind::UnknownReference,
                _ => Kind::Malformed,
            };
            DefinitionError::new(error.instance_path().to_string(), kind, shorten(&message))
        })
}

/// Answers no question: what is neither in the document nor a meta-schema is not there.
struct Sealed;

impl Retrieve for Sealed {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let mut address = uri.to_string();
        address.truncate(64);
        Err(format!("a `$ref` stays inside its own document: `{address}` is not in it").into())
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= VIOLATION_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(VIOLATION_CHARS_MAX).chain(['…']).collect()
}
