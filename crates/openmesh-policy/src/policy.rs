//! A loaded policy and its decisions: the strictest matching rule wins, and no match is a denial.

use crate::canonical::canonical_text;
use crate::context::{Action, Standing, StatefulContext, StaticContext};
use crate::decision::{DEFAULT_RULE, Decision, StaticDecision, Verdict};
use crate::error::PolicyError;
use crate::file::read_rules;
use crate::rule::Rule;
use openmesh_message::{Authority, Digest};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The policy of a domain whose registration needs the admin token, as a commented file.
pub const DEFAULT_CLOSED: &str = include_str!("default/closed.toml");

/// The policy of a domain any key may register with, as a commented file.
pub const DEFAULT_OPEN: &str = include_str!("default/open.toml");

/// The rules of a domain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    /// By name.
    rules: Arc<[Arc<Rule>]>,
    ranked: Arc<Ranked>,
    canonical: Arc<str>,
    version: Digest,
}

/// The rules about each action in the order that they are asked in: the first that matches decides.
///
/// The strictest come first; of equally strict ones those that read no state, so that what is decided without one stands; of
/// those the first by name.
type Ranked = BTreeMap<Action, Vec<Arc<Rule>>>;

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
        match self.about(request.action).find(|rule| rule.matches_static(request)) {
            Some(rule) if rule.is_stateful() => StaticDecision::NeedsState,
            decisive => StaticDecision::Decided(decision_of(decisive, request)),
        }
    }

    /// Decides with everything known; right also without asking [`Policy::decide_static`] before.
    pub fn decide_stateful(&self, context: &StatefulContext<'_>) -> Decision {
        let request = &context.request;
        decision_of(self.about(request.action).find(|rule| rule.matches(context)), request)
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

    /// The rules about an action, those first that go before others.
    pub(crate) fn about(&self, action: Action) -> impl Iterator<Item = &Rule> {
        self.ranked.get(&action).into_iter().flatten().map(|rule| &**rule)
    }

    fn from_rules(mut rules: Vec<Rule>) -> Self {
        rules.sort_by(|one, other| one.decision.rule.cmp(&other.decision.rule));
        let canonical = canonical_text(&rules);
        let rules: Arc<[_]> = rules.into_iter().map(Arc::new).collect();
        Self {
            ranked: Arc::new(ranked(&rules)),
            version: Digest::of_parts("openmesh policy 1", &[canonical.as_bytes()]),
            canonical: canonical.into(),
            rules,
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

/// Ranks rules that come by name.
fn ranked(rules: &[Arc<Rule>]) -> Ranked {
    let mut ranked = Ranked::new();
    for rule in rules {
        for action in &rule.action {
            ranked.entry(*action).or_default().push(Arc::clone(rule));
        }
    }
    for about in ranked.values_mut() {
        about.sort_by_key(|rule| (Reverse(rule.decision.verdict), rule.is_stateful()));
    }
    ranked
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
