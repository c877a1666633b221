//! A loaded policy and its decisions: the strictest matching rule wins, and no match is a denial.

use crate::canonical::canonical_text;
use crate::context::{Standing, StatefulContext, StaticContext};
use crate::decision::{DEFAULT_RULE, Decision, StaticDecision, Verdict};
use crate::error::PolicyError;
use crate::file::read_rules;
use crate::rule::Rule;
use openmesh_message::{Authority, Digest};
use std::sync::Arc;

/// The policy of a domain whose registration needs the admin token, as a commented file.
pub const DEFAULT_CLOSED: &str = include_str!("default/closed.toml");

/// The policy of a domain any key may register with, as a commented file.
pub const DEFAULT_OPEN: &str = include_str!("default/open.toml");

/// The rules of a domain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Arc<[Rule]>,
    canonical: Arc<str>,
    version: Digest,
}

/// One rule as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleSummary<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it decides.
    pub verdict: Verdict,
    /// Why.
    pub reason: &'a str,
    /// Whether it reads the role or the state of a conversation.
    pub stateful: bool,
}

impl Policy {
    /// Reads a policy file (`spec/policy.md`); unqualified names of definitions belong to `home`.
    ///
    /// # Errors
    /// The first thing wrong with the file: its line, its rule, and what would be accepted.
    pub fn parse(text: &str, home: Authority) -> Result<Self, PolicyError> {
        read_rules(text, home).map(Self::from_rules)
    }

    /// [`DEFAULT_CLOSED`], loaded.
    pub fn default_closed() -> Self {
        Self::from_shipped(DEFAULT_CLOSED)
    }

    /// [`DEFAULT_OPEN`], loaded.
    pub fn default_open() -> Self {
        Self::from_shipped(DEFAULT_OPEN)
    }

    /// Decides as far as that is possible without a conversation's state.
    ///
    /// What this decides, [`Policy::decide_stateful`] decides alike, whatever the state.
    pub fn decide_static(&self, request: &StaticContext<'_>) -> StaticDecision {
        let matching = || self.rules.iter().filter(|rule| rule.matches_static(request));
        let best = strictest(matching().filter(|rule| !rule.is_stateful()));
        let open = matching().any(|rule| {
            rule.is_stateful() && best.is_none_or(|best| rule.decision.verdict > best.decision.verdict)
        });
        if open {
            return StaticDecision::NeedsState;
        }
        StaticDecision::Decided(decision_of(best, request))
    }

    /// Decides with everything known; right also without asking [`Policy::decide_static`] before.
    pub fn decide_stateful(&self, context: &StatefulContext<'_>) -> Decision {
        // Static rules come first, so that among equally strict ones the static decision stands.
        let statics = self.rules.iter().filter(|rule| !rule.is_stateful());
        let statefuls = self.rules.iter().filter(|rule| rule.is_stateful());
        let matching = statics.chain(statefuls).filter(|rule| rule.matches(context));
        decision_of(strictest(matching), &context.request)
    }

    /// The digest of the canonical form: the same for every file that means the same.
    pub fn version(&self) -> Digest {
        self.version
    }

    /// The text [`Policy::version`] is the digest of, one condition a line.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Every rule, by name.
    pub fn rules(&self) -> impl Iterator<Item = RuleSummary<'_>> {
        self.rules.iter().map(|rule| RuleSummary {
            name: &rule.decision.rule,
            verdict: rule.decision.verdict,
            reason: &rule.decision.reason,
            stateful: rule.is_stateful(),
        })
    }

    pub(crate) fn every_rule(&self) -> &[Rule] {
        &self.rules
    }

    fn from_rules(mut rules: Vec<Rule>) -> Self {
        rules.sort_by(|one, other| one.decision.rule.cmp(&other.decision.rule));
        let canonical = canonical_text(&rules);
        Self {
            version: Digest::of_parts("openmesh policy 1", &[canonical.as_bytes()]),
            canonical: canonical.into(),
            rules: rules.into(),
        }
    }

    /// The shipped files are tested to load; were one not to, denying everything is the safe answer.
    fn from_shipped(text: &str) -> Self {
        Self::from_rules(read_rules(text, Authority::OpenMesh).unwrap_or_default())
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
    }
}

impl Eq for Policy {}

/// The first of the strictest.
fn strictest<'a>(rules: impl Iterator<Item = &'a Rule>) -> Option<&'a Rule> {
    rules.reduce(|best, rule| if rule.decision.verdict > best.decision.verdict { rule } else { best })
}

fn decision_of(rule: Option<&Rule>, request: &StaticContext<'_>) -> Decision {
    match rule {
        Some(rule) => rule.decision.clone(),
        None => Decision {
            verdict: Verdict::Deny,
            rule: DEFAULT_RULE.into(),
            reason: denied_reason(request).into(),
        },
    }
}

fn denied_reason(request: &StaticContext<'_>) -> String {
    let action = request.action;
    match request.standing {
        Standing::Stranger => {
            format!("no rule lets strangers {action}; an agent of this domain's directory may be let further")
        }
        Standing::Registered | Standing::Admin => {
            format!("no rule of this domain's policy allows {action} here")
        }
    }
}
