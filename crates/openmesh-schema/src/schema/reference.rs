//! Where a `$ref` leads inside its document, for counting costs. What this does not find, the compiler judges.

use serde_json::Value;

/// The pointer and subschema that `target` names: by pointer, by anchor, or by an embedded `$id`.
pub(super) fn resolve<'d>(document: &'d Value, target: &str) -> Option<(String, &'d Value)> {
    let (base, fragment) = target.split_once('#').unwrap_or((target, ""));
    let (root, within) = match base {
        "" => (String::new(), document),
        base => find(document, String::new(), &|schema| {
            let id = schema.get("$id").and_then(Value::as_str);
            id.is_some_and(|id| id == base || id.ends_with(&format!("/{base}")))
        })?,
    };
    if fragment.is_empty() || fragment.starts_with('/') {
        let found = within.pointer(fragment)?;
        return Some((format!("{root}{fragment}"), found));
    }
    find(within, root, &|schema| {
        let anchors = ["$anchor", "$dynamicAnchor"].into_iter();
        let mut names = anchors.filter_map(|key| schema.get(key)?.as_str());
        names.any(|name| name == fragment)
    })
}

fn find<'d>(
    value: &'d Value,
    pointer: String,
    wanted: &dyn Fn(&Value) -> bool,
) -> Option<(String, &'d Value)> {
    if wanted(value) {
        return Some((pointer, value));
    }
    match value {
        Value::Object(object) => {
            let mut children = object.iter();
            children.find_map(|(key, child)| find(child, format!("{pointer}/{}", escape(key)), wanted))
        }
        Value::Array(items) => {
            let mut children = items.iter().enumerate();
            children.find_map(|(index, child)| find(child, format!("{pointer}/{index}"), wanted))
        }
        _ => None,
    }
}

/// A key as a part of a JSON pointer (RFC 6901).
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
