//! The file form of a policy (`spec/policy.md`): TOML in, rules or the first problem out.

use crate::context::{Action, Authenticity, Origin};
use crate::decision::{DEFAULT_RULE, Decision, Verdict};
use crate::error::{PolicyError, Refused};
use crate::pattern::{DefinitionPattern, DestinationPattern, StatePattern, WhoPattern, parse_word};
use crate::rule::Rule;
use crate::table::{Table, line_of};
use openmesh_message::{Authority, Performative};
use std::collections::BTreeSet;
use std::sync::Arc;
use toml::de::DeTable;

/// Largest file that is read.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Most rules in one file.
const RULES_MAX: usize = 1_000;
/// Longest name of a rule, in characters.
const NAME_CHARS_MAX: usize = 64;
/// Longest reason of a rule, in characters.
const REASON_CHARS_MAX: usize = 400;
/// The form this build reads.
const FILE_VERSION: &str = "1";

const FILE_KEYS: &[&str] = &["version", "rule"];
const RULE_KEYS: &[&str] = &[
    "name",
    "action",
    "who",
    "origin",
    "authenticity",
    "to",
    "performative",
    "schema",
    "protocol",
    "role",
    "state",
    "verdict",
    "reason",
];

/// Reads every rule of the file.
pub(crate) fn read_rules(text: &str, home: Authority) -> Result<Vec<Rule>, PolicyError> {
    if text.len() > FILE_BYTES_MAX {
        let problem = format!("the file has {} bytes, at most {FILE_BYTES_MAX} are read", text.len());
        return Err(Refused::new(problem).into());
    }
    let parsed = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        Refused::new(format!("not TOML: {}", error.message())).at(line, None)
    })?;
    let file = Table::new(text, &parsed);
    file.refuse_unknown_keys(FILE_KEYS)?;
    if file.integer("version")? != FILE_VERSION {
        let refused = Refused::new("a version this program does not read").hint("write version = 1");
        return Err(file.refuse_key("version", refused));
    }
    let tables = file.tables("rule")?;
    if tables.len() > RULES_MAX {
        let refused = Refused::new(format!("over {RULES_MAX} rules"));
        return Err(file.refuse_key("rule", refused));
    }
    let mut names = BTreeSet::new();
    tables.iter().map(|table| read_rule(table, home, &mut names)).collect()
}

fn read_rule(
    table: &Table<'_>,
    home: Authority,
    names: &mut BTreeSet<Arc<str>>,
) -> Result<Rule, PolicyError> {
    table.refuse_unknown_keys(RULE_KEYS)?;
    let name: Arc<str> = table.one("name", read_name)?.into();
    if !names.insert(name.clone()) {
        return Err(table.refuse_key("name", Refused::new("a second rule of this name")));
    }
    let definition = |text: &str| DefinitionPattern::parse(text, home);
    let rule = Rule {
        action: table.some("action", |text| {
            Action::from_word(text).map_err(|_| Refused::unknown("action", text, Action::WORDS))
        })?,
        who: table.some("who", WhoPattern::parse)?,
        origin: table.any("origin", |text| Ok(Origin::from_word(text)?))?,
        authenticity: table.any("authenticity", |text| Ok(Authenticity::from_word(text)?))?,
        to: table.any("to", DestinationPattern::parse)?,
        performative: table.any("performative", read_performative)?,
        schema: table.any("schema", definition)?,
        protocol: table.any("protocol", definition)?,
        role: table.any("role", parse_word)?,
        state: table.any("state", StatePattern::parse)?,
        decision: Decision {
            rule: name,
            verdict: table.one("verdict", read_verdict)?,
            reason: table.one("reason", read_reason)?.into(),
        },
    };
    refuse_conditions_that_never_hold(table, &rule)?;
    Ok(rule)
}

fn read_name(text: &str) -> Result<String, Refused> {
    let name = parse_word(text)?;
    if name.len() > NAME_CHARS_MAX || name == DEFAULT_RULE {
        return Err(Refused::new(format!("`{name}` cannot name a rule"))
            .hint(format!("at most {NAME_CHARS_MAX} characters, and not {DEFAULT_RULE}")));
    }
    Ok(name)
}

fn read_performative(text: &str) -> Result<Performative, Refused> {
    text.parse().map_err(|_| {
        let known: Vec<&str> = Performative::KNOWN.iter().map(Performative::as_str).collect();
        Refused::unknown("performative", text, &known)
    })
}

fn read_verdict(text: &str) -> Result<Verdict, Refused> {
    match Verdict::from_word(text) {
        Ok(verdict @ (Verdict::Allow | Verdict::Deny)) => Ok(verdict),
        Ok(verdict) => Err(Refused::new(format!("the verdict `{verdict}` is not built yet"))
            .hint("this program carries out `allow` and `deny`")),
        Err(_) => Err(Refused::unknown("verdict", text, Verdict::WORDS)),
    }
}

fn read_reason(text: &str) -> Result<String, Refused> {
    let reason = text.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(Refused::new("a reason is shown to whoever is refused")
            .hint(format!("write one, of at most {REASON_CHARS_MAX} characters")));
    }
    Ok(reason.to_owned())
}

/// A condition that one of the rule's actions never offers would make the rule silently idle there.
fn refuse_conditions_that_never_hold(table: &Table<'_>, rule: &Rule) -> Result<(), PolicyError> {
    let of_messages = [
        ("to", rule.to.is_some()),
        ("performative", rule.performative.is_some()),
        ("role", rule.role.is_some()),
        ("state", rule.state.is_some()),
    ];
    let of_definitions = [("schema", rule.schema.is_some()), ("protocol", rule.protocol.is_some())];
    for action in &rule.action {
        let idle = match action {
            Action::Send | Action::Read | Action::JoinRole => None,
            Action::PublishDefinition => of_messages.iter().find(|(_, used)| *used),
            Action::Register | Action::Administer => {
                of_messages.iter().chain(&of_definitions).find(|(_, used)| *used)
            }
        };
        if let Some((key, _)) = idle {
            let refused = Refused::new(format!("`{key}` never holds for the action `{action}`"))
                .hint("put that action into a rule of its own");
            return Err(table.refuse_key(key, refused));
        }
    }
    Ok(())
}
