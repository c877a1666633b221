//! Filters on rows: a CEL expression over one JSON object, such as a record of the log as queries show it.
//!
//! `kind == 'message' && message.payload.value.amount > 100`. No macros but `has()`, no functions but those on texts: an
//! expression's cost is bounded by its length and by the texts it compares.

mod compile;

use crate::expression::{STANDARD, to_cel};
use cel::{Context, IdedExpr, Value};
use std::sync::Arc;

/// A compiled filter.
#[derive(Debug)]
pub struct RowFilter {
    tree: IdedExpr,
    /// JSON pointers; the expression reads each as a variable.
    paths: Vec<String>,
    /// JSON pointers of which it asks whether they are there.
    asked: Vec<String>,
}

impl RowFilter {
    /// Compiles an expression; the message says what is not allowed, and what is.
    pub fn compile(text: &str) -> Result<Self, String> {
        compile::compile(text)
    }

    /// Whether a row fits. One that lacks what the expression reads, or holds something else there, does not.
    pub fn fits(&self, row: &serde_json::Value) -> bool {
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        for (index, path) in self.paths.iter().enumerate() {
            if let Some(value) = row.pointer(path) {
                context.add_variable_from_value(path_variable(index), to_cel(value));
            }
        }
        for (index, path) in self.asked.iter().enumerate() {
            let is_there = row.pointer(path).is_some_and(|value| !value.is_null());
            context.add_variable_from_value(asked_variable(index), Value::Bool(is_there));
        }
        matches!(Value::resolve(&self.tree, &context), Ok(Value::Bool(true)))
    }
}

fn path_variable(index: usize) -> String {
    format!("@{index}")
}

fn asked_variable(index: usize) -> String {
    format!("@has{index}")
}

#[cfg(test)]
mod tests {
    use super::RowFilter;
    use serde_json::json;

    fn fits(text: &str) -> bool {
        let row = json!({
            "kind": "message", "seq": 12, "sender": null,
            "message": {
                "attributes": {"performative": "propose", "to": "mesh://b/topic/market/rfp"},
                "payload": {"value": {"amount": 120.5}, "tags": ["a", "b"], "big": [1, 2]},
            },
        });
        RowFilter::compile(text).unwrap().fits(&row)
    }

    #[test]
    fn what_is_there_is_compared() {
        for text in [
            "kind == 'message'",
            "seq > 11 && seq < 13",
            "message.payload.value.amount >= 120.5",
            "message.attributes.performative in ['propose', 'counter-propose']",
            "message.attributes['performative'] == 'propose'",
            "'a' in message.payload.tags",
            "message.payload.big[1] == 2",
            "message.attributes.to.endsWith('/rfp') && message.attributes.to.contains('market')",
            "has(message.payload) && !has(refused.detail) && !has(message.nothing)",
            "size(message.payload.tags) == 2",
            "kind == 'refused' || !(seq == 1)",
        ] {
            assert!(fits(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_fits_nothing() {
        for text in [
            "refused.detail == 'x'",
            "outcome.code == 'policy.denied'",
            "message.payload > 3",
            "message.payload.value.amount == '120.5'",
            "kind == 'message' && refused.detail != ''",
            "seq / 0 == 1 && false",
        ] {
            assert!(!fits(text), "{text}");
        }
    }

    #[test]
    fn what_could_cost_much_is_refused() {
        let long = format!("kind == '{}'", "x".repeat(2_000));
        let deep = format!("{}true{}", "!(".repeat(80), ")".repeat(80));
        for text in [
            "",
            "1 + 1",
            "kind ==",
            "message.payload.tags.all(tag, tag == 'a')",
            "[1].map(x, x)",
            "kind.matches('(a+)+$')",
            "message.payload.exists(x, true)",
            "{'a': 1}['a'] == 1",
            "foo(kind) == 1",
            long.as_str(),
            deep.as_str(),
        ] {
            assert!(RowFilter::compile(text).is_err(), "{text}");
        }
    }
}
