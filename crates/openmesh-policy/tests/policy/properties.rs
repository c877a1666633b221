//! Laws that hold for every policy: order means nothing, a denial only takes away, and a static
//! decision is never overturned by state.

use crate::facts::{agent, definition, loaded, request, topic};
use openmesh_message::{Authority, Performative, TopicPath, VersionedName};
use openmesh_policy::{
    Action, DEFAULT_CLOSED, Decision, Destination, MachineState, Party, Policy, Standing, StatefulContext,
    StaticContext, StaticDecision, Verdict,
};
use proptest::prelude::{Just, ProptestConfig, Strategy, any};
use proptest::sample::{select, subsequence};
use proptest::{prop_assert, prop_assert_eq, proptest};

const ACTIONS: &[&str] = &["send", "read", "join-role"];
const WHO: &[&str] = &["any", "stranger", "registered", "admin", "name:buy*", "name:seller"];
const TO: &[&str] = &["topic:market/**", "topic:*", "agent:*", "inbox:self", "conversation:*"];
const PERFORMATIVES: &[&str] = &["cfp", "propose", "inform"];
const SCHEMAS: &[&str] = &["market/rfp@^1", "market/rfp@v2.0.0", "none"];
const ROLES: &[&str] = &["buyer", "seller"];
const STATES: &[&str] = &["round=open", "closed", "bid=offered"];

/// The conditions and verdict of one rule, without its name.
fn rule_body() -> impl Strategy<Value = String> {
    let optional = |key: &'static str, words: &'static [&'static str]| {
        let items = subsequence(words, 1..=words.len());
        (any::<bool>(), items).prop_map(
            move |(used, items)| {
                if used { format!("{key} = {items:?}\n") } else { String::new() }
            },
        )
    };
    let always = |key: &'static str, words: &'static [&'static str]| {
        subsequence(words, 1..=words.len()).prop_map(move |items| format!("{key} = {items:?}\n"))
    };
    let conditions = (
        always("action", ACTIONS),
        always("who", WHO),
        optional("to", TO),
        optional("performative", PERFORMATIVES),
        optional("schema", SCHEMAS),
        optional("role", ROLES),
        optional("state", STATES),
    );
    (conditions, select(&["allow", "deny"][..])).prop_map(|((a, w, t, p, s, r, st), verdict)| {
        format!("{a}{w}{t}{p}{s}{r}{st}verdict = \"{verdict}\"\nreason = \"because\"\n")
    })
}

fn rules() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(rule_body(), 0..8).prop_map(|bodies| {
        let named = |(index, body)| format!("[[rule]]\nname = \"rule-{index}\"\n{body}");
        bodies.into_iter().enumerate().map(named).collect()
    })
}

fn policy(rules: &[String]) -> Policy {
    loaded(&format!("version = 1\n{}", rules.concat()))
}

/// A request in owned form.
#[derive(Clone, Debug)]
struct Asked {
    action: Action,
    standing: Standing,
    name: Option<&'static str>,
    destination: u8,
    path: TopicPath,
    performative: Option<Performative>,
    schema: Option<VersionedName>,
    role: Option<&'static str>,
    round: &'static str,
}

fn asked() -> impl Strategy<Value = Asked> {
    let who = (
        select(&[Action::Send, Action::Read, Action::JoinRole][..]),
        select(&[Standing::Stranger, Standing::Registered, Standing::Admin][..]),
        select(&[None, Some("buyer"), Some("seller")][..]),
    );
    let what = (
        0_u8..5,
        select(&["market/rfp", "news"][..]).prop_map(topic),
        select(vec![None, Some(Performative::Cfp), Some(Performative::Propose), Some(Performative::Inform)]),
        select(vec![None, Some(definition("market/rfp@v1.0.0")), Some(definition("market/rfp@v2.0.0"))]),
    );
    let state = (select(&[None, Some("buyer"), Some("seller")][..]), select(&["open", "closed"][..]));
    (who, what, state).prop_map(
        |((action, standing, name), (destination, path, performative, schema), (role, round))| Asked {
            action,
            standing,
            name,
            destination,
            path,
            performative,
            schema,
            role,
            round,
        },
    )
}

impl Asked {
    fn request(&self) -> StaticContext<'_> {
        let party = |number| Party { id: Some(agent(number)), name: None };
        let destination = match self.destination {
            0 => None,
            1 => Some(Destination::Agent(party(2))),
            2 => Some(Destination::Inbox(party(1))),
            3 => Some(Destination::Inbox(party(3))),
            _ => Some(Destination::Topic(&self.path)),
        };
        StaticContext {
            agent_name: self.name,
            standing: self.standing,
            destination,
            performative: self.performative.as_ref(),
            schema: self.schema.as_ref(),
            ..request(self.action)
        }
    }

    /// The full decision in the request's own state.
    fn decide(&self, policy: &Policy) -> Decision {
        self.decide_in(policy, self.role, self.round)
    }

    fn decide_in(&self, policy: &Policy, role: Option<&str>, round: &str) -> Decision {
        let states = [MachineState { machine: "round", state: round }];
        policy.decide_stateful(&StatefulContext { request: self.request(), role, states: &states })
    }
}

fn is_denied(answer: &StaticDecision) -> bool {
    matches!(answer, StaticDecision::Decided(decision) if decision.verdict == Verdict::Deny)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_never_matters((rules, shuffled) in rules().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())), asked in asked()) {
        let (one, other) = (policy(&rules), policy(&shuffled));
        prop_assert_eq!(one.version(), other.version());
        prop_assert_eq!(one.decide_static(&asked.request()), other.decide_static(&asked.request()));
        prop_assert_eq!(asked.decide(&one), asked.decide(&other));
    }

    #[test]
    fn a_further_denial_only_takes_away(rules in rules(), body in rule_body(), asked in asked()) {
        let before = policy(&rules);
        let denial = body.replace("verdict = \"allow\"", "verdict = \"deny\"");
        let mut more = rules.clone();
        more.push(format!("[[rule]]\nname = \"a-denial\"\n{denial}"));
        let after = policy(&more);
        prop_assert!(asked.decide(&after).verdict >= asked.decide(&before).verdict);
        if is_denied(&before.decide_static(&asked.request())) {
            prop_assert!(!asked.decide(&after).allows());
        }
    }

    #[test]
    fn a_static_decision_stands_in_every_state(rules in rules(), asked in asked()) {
        let policy = policy(&rules);
        let every_state = || [None, Some("buyer"), Some("seller")].into_iter()
            .flat_map(|role| ["open", "closed", "elsewhere"].map(|round| (role, round)));
        if let StaticDecision::Decided(decision) = policy.decide_static(&asked.request()) {
            for (role, round) in every_state() {
                prop_assert_eq!(&asked.decide_in(&policy, role, round), &decision);
            }
        }
    }

    /// Narrowed for one asker, the rules say of another what all of them say where no conversation is at hand.
    #[test]
    fn narrowing_changes_no_decision(rules in rules(), asked in asked()) {
        let policy = policy(&rules);
        let request = asked.request();
        let by_another = StaticContext { agent: agent(3), agent_name: None, standing: Standing::Stranger, ..request };
        let stateless = StatefulContext { request, role: None, states: &[] };
        let allowed = policy.decide_stateful(&stateless).allows();
        prop_assert_eq!(policy.narrowed(&by_another).allows(&request), allowed);
    }

    #[test]
    fn an_allow_names_a_rule_of_the_file(rules in rules(), asked in asked()) {
        let policy = policy(&rules);
        let decision = asked.decide(&policy);
        let named = policy.rules().any(|rule| rule.name == &*decision.rule && rule.verdict == decision.verdict);
        prop_assert_eq!(named, &*decision.rule != openmesh_policy::DEFAULT_RULE);
        prop_assert!(named || decision.verdict == Verdict::Deny);
    }

    /// A shipped file with a piece of it replaced by anything: an answer, never a panic.
    #[test]
    fn no_text_breaks_the_reader(at in any::<proptest::sample::Index>(), length in 0_usize..40, noise in "\\PC{0,40}") {
        let file: Vec<char> = DEFAULT_CLOSED.chars().collect();
        let start = at.index(file.len());
        let end = file.len().min(start + length);
        let text: String = file[..start].iter().chain(&noise.chars().collect::<Vec<_>>()).chain(&file[end..]).collect();
        if let Err(refused) = Policy::parse(&text, Authority::OpenMesh) {
            prop_assert!(!refused.problem.is_empty());
        }
    }
}
