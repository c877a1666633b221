//! Whether a schema declares a path: what an expression or a timer may name.

use serde_json::Value;

const REFS_MAX: usize = 16;

/// What a schema says about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whether a text is among the types it allows (or no type is stated).
    pub(crate) may_be_text: bool,
    /// Whether every object on the way requires the next key.
    pub(crate) always_there: bool,
}

/// Looks the JSON pointer up in the schema's `properties` and items; `None` if it is not declared.
pub(crate) fn find(document: &Value, pointer: &str) -> Option<Known> {
    let segments: Vec<String> =
        pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect();
    descend(document, document, &segments, 0)
}

fn descend(document: &Value, schema: &Value, segments: &[String], refs: usize) -> Option<Known> {
    if refs > REFS_MAX {
        return None;
    }
    let Some((segment, rest)) = segments.split_first() else {
        return Some(Known { may_be_text: allows_text(schema), always_there: true });
    };
    if let Some(child) = child(schema, segment) {
        let found = descend(document, child, rest, refs)?;
        let required = requires(schema, segment);
        return Some(Known { always_there: found.always_there && required, ..found });
    }
    let target = schema.get("$ref").and_then(Value::as_str);
    let target = target.and_then(|target| document.pointer(target.strip_prefix('#')?));
    let parts = ["allOf", "anyOf", "oneOf"].into_iter();
    let parts = parts.filter_map(|key| schema.get(key)?.as_array()).flatten();
    let mut found =
        target.into_iter().chain(parts).filter_map(|schema| descend(document, schema, segments, refs + 1));
    found.next()
}

fn child<'s>(schema: &'s Value, segment: &str) -> Option<&'s Value> {
    if let Some(child) = schema.get("properties").and_then(|of| of.get(segment)) {
        return Some(child);
    }
    let index: usize = segment.parse().ok()?;
    let prefix = schema.get("prefixItems").and_then(|items| items.get(index));
    prefix.or_else(|| schema.get("items")).filter(|items| items.is_object())
}

fn requires(schema: &Value, segment: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|keys| keys.iter().any(|key| key.as_str() == Some(segment)))
}

fn allows_text(schema: &Value) -> bool {
    match schema.get("type") {
        None => true,
        Some(Value::String(one)) => one == "string",
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some("string")),
        Some(_) => false,
    }
}
