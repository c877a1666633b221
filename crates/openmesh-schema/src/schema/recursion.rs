//! Refuses recursion that could double at every level of a payload: 64 levels would be 2^64 checks.
//!
//! A recursive part is fine while each value below is checked against it once. Two ways from one value
//! back into it (two references side by side, or two alternatives that name the same key) are not.

use super::reference::{escape, resolve};
use crate::definition_error::{DefinitionError, DefinitionErrorKind as Kind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Which values below an edge leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Below {
    /// The same value.
    Same,
    /// The value of one key or index.
    One(String),
    /// Values of any key or index, but not those its own node names one by one.
    Others,
    /// Values of any key or index.
    Any,
}

#[derive(Debug)]
struct Edge {
    to: String,
    below: Below,
}

type Edges = BTreeMap<String, Vec<Edge>>;

pub(super) fn check(document: &Value) -> Result<(), DefinitionError> {
    let mut edges = Edges::new();
    collect(document, document, "", &mut edges);
    for node in edges.keys() {
        let recursive = component(&edges, node);
        if !recursive.is_empty() && branches(&edges, node, &recursive) {
            return Err(DefinitionError::new(
                node.clone(),
                Kind::Budget,
                "one value leads back into this recursive schema in two ways, so its cost could double at every level",
            ));
        }
    }
    Ok(())
}

fn collect(document: &Value, schema: &Value, pointer: &str, edges: &mut Edges) {
    let Some(object) = schema.as_object() else {
        return;
    };
    if edges.contains_key(pointer) {
        return;
    }
    edges.insert(pointer.to_owned(), Vec::new());
    for (key, value) in object {
        let here = format!("{pointer}/{}", escape(key));
        for (below, to, child) in subschemas(key, value, &here) {
            collect(document, child, &to, edges);
            push(edges, pointer, Edge { to, below });
        }
        if let ("$ref" | "$dynamicRef", Some(target)) = (key.as_str(), value.as_str())
            && let Some((to, child)) = resolve(document, target)
        {
            collect(document, child, &to, edges);
            push(edges, pointer, Edge { to, below: Below::Same });
        }
    }
}

fn push(edges: &mut Edges, from: &str, edge: Edge) {
    if let Some(list) = edges.get_mut(from) {
        list.push(edge);
    }
}

fn subschemas<'v>(key: &str, value: &'v Value, here: &str) -> Vec<(Below, String, &'v Value)> {
    let keyed = |below: fn(&str) -> Below| -> Vec<(Below, String, &'v Value)> {
        let entries = value.as_object().into_iter().flatten();
        entries.map(|(name, child)| (below(name), format!("{here}/{}", escape(name)), child)).collect()
    };
    let listed = |below: fn(usize) -> Below| -> Vec<(Below, String, &'v Value)> {
        let items = value.as_array().into_iter().flatten().enumerate();
        items.map(|(index, child)| (below(index), format!("{here}/{index}"), child)).collect()
    };
    match key {
        "allOf" | "anyOf" | "oneOf" => listed(|_| Below::Same),
        "not" | "if" | "then" | "else" => vec![(Below::Same, here.to_owned(), value)],
        "dependentSchemas" => keyed(|_| Below::Same),
        "properties" => keyed(|name| Below::One(name.to_owned())),
        "patternProperties" => keyed(|_| Below::Any),
        "prefixItems" => listed(|index| Below::One(index.to_string())),
        "additionalProperties" | "items" => vec![(Below::Others, here.to_owned(), value)],
        "contains" | "unevaluatedItems" | "unevaluatedProperties" | "propertyNames" => {
            vec![(Below::Any, here.to_owned(), value)]
        }
        _ => Vec::new(),
    }
}

/// The nodes that `start` reaches and that reach it; empty if it is not part of a cycle.
fn component<'e>(edges: &'e Edges, start: &'e str) -> BTreeSet<&'e str> {
    let forward =
        reach(start, |node| edges.get(node).into_iter().flatten().map(|edge| edge.to.as_str()).collect());
    let backward = reach(start, |node| {
        let sources = edges.iter().filter(|(_, list)| list.iter().any(|edge| edge.to == node));
        sources.map(|(from, _)| from.as_str()).collect()
    });
    forward.intersection(&backward).copied().collect()
}

fn reach<'e>(start: &'e str, next: impl Fn(&str) -> Vec<&'e str>) -> BTreeSet<&'e str> {
    let mut found = BTreeSet::new();
    let mut open = next(start);
    while let Some(node) = open.pop() {
        if found.insert(node) {
            open.extend(next(node));
        }
    }
    found
}

/// Whether the value checked against `start` is led back into `inside` in two ways.
fn branches(edges: &Edges, start: &str, inside: &BTreeSet<&str>) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    let mut down: Vec<(&str, &Below)> = Vec::new();
    while let Some(node) = open.pop() {
        // Reached twice on the same value: side by side, or round in a circle that never goes deeper.
        if !seen.insert(node) {
            return true;
        }
        let within = edges.get(node).into_iter().flatten();
        for edge in within.filter(|edge| inside.contains(edge.to.as_str())) {
            match &edge.below {
                Below::Same => open.push(&edge.to),
                below => down.push((node, below)),
            }
        }
    }
    down.iter().enumerate().any(|(place, (node, below))| {
        let earlier = down.iter().take(place);
        earlier.clone().any(|(other, also)| meet((node, below), (other, also)))
    })
}

fn meet((node, below): (&str, &Below), (other, also): (&str, &Below)) -> bool {
    match (below, also) {
        (Below::One(key), Below::One(other_key)) => key == other_key,
        (Below::One(_), Below::Others) | (Below::Others, Below::One(_)) => node != other,
        _ => true,
    }
}
