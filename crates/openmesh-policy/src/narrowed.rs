//! The rules that matter to one request, before it is known who asks: many askers of it are decided with few rules each.

use crate::context::StaticContext;
use crate::decision::Verdict;
use crate::policy::Policy;
use crate::rule::Rule;

/// The rules that a request meets, or would meet if others asked.
#[derive(Debug)]
pub struct Narrowed<'p> {
    /// Those first that go before others.
    rules: Vec<&'p Rule>,
}

impl Policy {
    /// Narrows the rules to those that somebody meets who asks for this. Who asks is not looked at, and no conversation is at
    /// hand: rules that read a role or a state are met by nobody.
    pub fn narrowed<'p>(&'p self, request: &StaticContext<'_>) -> Narrowed<'p> {
        let rules = self.about(request.action);
        Narrowed {
            rules: rules.filter(|rule| !rule.is_stateful() && rule.may_match_static(request)).collect(),
        }
    }
}

impl Narrowed<'_> {
    /// Whether an asker is allowed what it was narrowed to; `request` differs from that in nothing but its asker.
    pub fn allows(&self, request: &StaticContext<'_>) -> bool {
        let decisive = self.rules.iter().find(|rule| rule.matches_asker(request));
        decisive.is_some_and(|rule| rule.decision.verdict == Verdict::Allow)
    }
}
