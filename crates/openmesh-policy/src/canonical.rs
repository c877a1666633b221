//! The canonical form of a policy: one text for all files that mean the same.
//!
//! Rules by name, conditions in a fixed order, items sorted and without repeats, names qualified.

use crate::rule::Rule;
use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

/// Writes `rules`, which are sorted by name.
pub(crate) fn canonical_text(rules: &[Rule]) -> String {
    let mut text = String::from("openmesh-policy 1\n");
    for rule in rules {
        write_rule(&mut text, rule);
    }
    text
}

fn write_rule(text: &mut String, rule: &Rule) {
    let decision = &rule.decision;
    write_line(text, "rule", [quote(&decision.rule)]);
    write_items(text, "action", Some(&rule.action));
    write_items(text, "who", Some(&rule.who));
    write_items(text, "origin", rule.origin.as_ref());
    write_items(text, "authenticity", rule.authenticity.as_ref());
    write_items(text, "to", rule.to.as_ref());
    write_items(text, "performative", rule.performative.as_ref());
    write_items(text, "schema", rule.schema.as_ref());
    write_items(text, "protocol", rule.protocol.as_ref());
    write_items(text, "role", rule.role.as_ref());
    write_items(text, "state", rule.state.as_ref());
    write_line(text, "verdict", [decision.verdict.to_string()]);
    write_line(text, "reason", [quote(&decision.reason)]);
}

fn write_items<T: Display>(text: &mut String, key: &str, items: Option<&Vec<T>>) {
    if let Some(items) = items {
        let sorted: BTreeSet<String> = items.iter().map(|item| quote(&item.to_string())).collect();
        write_line(text, key, sorted);
    }
}

fn write_line(text: &mut String, key: &str, words: impl IntoIterator<Item = String>) {
    text.push_str(key);
    for word in words {
        text.push(' ');
        text.push_str(&word);
    }
    text.push('\n');
}

/// Quotes so that no text can look like the end of its line or of itself.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{{{:x}}}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
