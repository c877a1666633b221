//! What a schema may cost, counted before anything is compiled: each limit by name.

use super::reference::{escape, resolve};
use crate::definition_error::{DefinitionError, DefinitionErrorKind as Kind};
use crate::limits::{
    SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_EXPANSION_MAX, SCHEMA_KEYWORDS_MAX, SCHEMA_PATTERN_BYTES_MAX,
    SCHEMA_PATTERNS_MAX, SCHEMA_REFS_MAX,
};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn check_bytes(body: &[u8]) -> Result<(), DefinitionError> {
    if body.len() <= SCHEMA_BYTES_MAX {
        return Ok(());
    }
    let message = format!("{} bytes are more than {SCHEMA_BYTES_MAX}", body.len());
    Err(DefinitionError::new("", Kind::TooLarge, message))
}

/// Counts depth, keywords, patterns, references, and what following the references comes to.
pub(super) fn check_structure(document: &Value) -> Result<(), DefinitionError> {
    let mut count = Count::default();
    count.walk(document, "", 0)?;
    let mut expansion = Expansion { document, known: BTreeMap::new() };
    expansion.cost(document, "", 0).map(|_| ())
}

#[derive(Default)]
struct Count {
    keywords: usize,
    patterns: usize,
    refs: usize,
}

impl Count {
    fn walk(&mut self, value: &Value, pointer: &str, depth: usize) -> Result<(), DefinitionError> {
        limit(pointer, "levels deep", depth, SCHEMA_DEPTH_MAX)?;
        match value {
            Value::Object(object) => {
                for (key, child) in object {
                    let pointer = child_pointer(pointer, key);
                    self.keyword(key, child, &pointer)?;
                    self.walk(child, &pointer, depth + 1)?;
                }
            }
            Value::Array(items) => {
                for (index, child) in items.iter().enumerate() {
                    self.walk(child, &format!("{pointer}/{index}"), depth + 1)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn keyword(&mut self, key: &str, child: &Value, pointer: &str) -> Result<(), DefinitionError> {
        self.keywords += 1;
        limit(pointer, "keywords", self.keywords, SCHEMA_KEYWORDS_MAX)?;
        match (key, child) {
            ("pattern", Value::String(pattern)) => self.pattern(pattern, pointer),
            ("patternProperties", Value::Object(object)) => {
                object.keys().try_for_each(|pattern| self.pattern(pattern, pointer))
            }
            ("$ref" | "$dynamicRef", Value::String(_)) => {
                self.refs += 1;
                limit(pointer, "references", self.refs, SCHEMA_REFS_MAX)
            }
            _ => Ok(()),
        }
    }

    fn pattern(&mut self, pattern: &str, pointer: &str) -> Result<(), DefinitionError> {
        self.patterns += 1;
        limit(pointer, "patterns", self.patterns, SCHEMA_PATTERNS_MAX)?;
        limit(pointer, "bytes in a pattern", pattern.len(), SCHEMA_PATTERN_BYTES_MAX)
    }
}

fn limit(pointer: &str, what: &str, found: usize, max: usize) -> Result<(), DefinitionError> {
    if found <= max {
        return Ok(());
    }
    let message = format!("more than {max} {what}");
    Err(DefinitionError::new(pointer, Kind::Budget, message))
}

/// Follows `$ref` where it applies to the same value: chains of them can double at every link.
struct Expansion<'d> {
    document: &'d Value,
    /// The cost of each target; absent while it is being computed, so that recursion counts once.
    known: BTreeMap<String, Option<u64>>,
}

impl Expansion<'_> {
    fn cost(&mut self, schema: &Value, pointer: &str, depth: usize) -> Result<u64, DefinitionError> {
        limit(pointer, "references in a chain", depth, SCHEMA_REFS_MAX)?;
        let mut total = 1_u64;
        match schema {
            Value::Object(object) => {
                for (key, child) in object {
                    let here = child_pointer(pointer, key);
                    let cost = match (key.as_str(), child) {
                        ("$ref" | "$dynamicRef", Value::String(target)) => self.target(target, depth + 1)?,
                        ("enum" | "const" | "default" | "examples", _) => 0,
                        _ => self.cost(child, &here, depth)?,
                    };
                    total = total.saturating_add(cost);
                }
            }
            Value::Array(items) => {
                for (index, child) in items.iter().enumerate() {
                    let cost = self.cost(child, &format!("{pointer}/{index}"), depth)?;
                    total = total.saturating_add(cost);
                }
            }
            _ => {}
        }
        if total > SCHEMA_EXPANSION_MAX {
            let message = format!(
                "followed through its references, the schema comes to more than {SCHEMA_EXPANSION_MAX} checks"
            );
            return Err(DefinitionError::new(pointer, Kind::Budget, message));
        }
        Ok(total)
    }

    fn target(&mut self, target: &str, depth: usize) -> Result<u64, DefinitionError> {
        let Some((pointer, schema)) = resolve(self.document, target) else {
            return Ok(1);
        };
        if let Some(known) = self.known.get(&pointer) {
            return Ok(known.unwrap_or(1));
        }
        self.known.insert(pointer.clone(), None);
        let cost = self.cost(schema, &pointer, depth)?;
        self.known.insert(pointer, Some(cost));
        Ok(cost)
    }
}

fn child_pointer(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", escape(key))
}
