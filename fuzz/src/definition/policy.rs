//! Policy files, and the laws of decisions under whatever they say.

use crate::cast::{agent, authority};
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_message::{Authority, ConversationId, Performative, TopicPath, VersionedName};
use openmesh_policy::{
    Action, Authenticity, DEFAULT_CLOSED, DEFAULT_OPEN, DEFAULT_RULE, Destination, MachineState, Origin,
    Party, Policy, Standing, StatefulContext, StaticContext, StaticDecision,
};

const ROLES: [Option<&str>; 2] = [None, Some("buyer")];
const STATES: [&str; 2] = ["open", "closed"];

/// A policy file.
pub fn target(input: &[u8]) -> Met {
    let Ok(text) = std::str::from_utf8(input) else {
        return Met::Refused;
    };
    match Policy::parse(text, authority()) {
        Ok(policy) => {
            let again = Policy::parse(text, authority()).unwrap();
            assert_eq!((again.version(), again.canonical()), (policy.version(), policy.canonical()));
            let names: Vec<&str> = policy.rules().map(|rule| rule.name).collect();
            assert!(names.is_sorted() && !names.contains(&DEFAULT_RULE));
            decide(&policy);
            Met::Taken
        }
        Err(error) => {
            assert_brief(&error);
            assert!(error.line.is_none_or(|line| (1..=text.lines().count().max(1) + 1).contains(&line)));
            Met::Refused
        }
    }
}

/// What a static decision says holds in every state, and an allowance names a rule.
fn decide(policy: &Policy) {
    let topic: TopicPath = "market/rfp".parse().unwrap();
    let conversation = ConversationId::from_bytes([7; 16]);
    let rfp = VersionedName::parse("market/rfp@v1.0.0", Authority::OpenMesh).unwrap();
    let party = Party { id: Some(agent(1)), name: Some("seller") };
    let destinations = [
        None,
        Some(Destination::Topic(&topic)),
        Some(Destination::Agent(party)),
        Some(Destination::Inbox(Party { id: Some(agent(0)), name: None })),
        Some(Destination::Conversation(&conversation)),
    ];
    for (action, standing) in [
        (Action::Send, Standing::Registered),
        (Action::Read, Standing::Stranger),
        (Action::JoinRole, Standing::Admin),
    ] {
        for destination in destinations {
            let request = StaticContext {
                action,
                agent: agent(0),
                agent_name: Some("buyer"),
                standing,
                origin: Origin::Agent,
                authenticity: Authenticity::Signed,
                destination,
                performative: Some(&Performative::Cfp),
                schema: Some(&rfp),
                protocol: None,
            };
            decide_one(policy, request);
        }
    }
}

fn decide_one(policy: &Policy, request: StaticContext<'_>) {
    let decided = policy.decide_static(&request);
    for role in ROLES {
        for state in STATES {
            let states = [MachineState { machine: "round", state }];
            let full = policy.decide_stateful(&StatefulContext { request, role, states: &states });
            if let StaticDecision::Decided(decision) = &decided {
                assert_eq!(full, *decision, "state overturns a static decision");
            }
            let named = policy.rules().any(|rule| rule.name == &*full.rule && rule.verdict == full.verdict);
            assert!(named || (&*full.rule == DEFAULT_RULE && !full.allows()));
        }
    }
}

/// The files that ship, and one rule with every condition.
pub fn seeds() -> Vec<Seed> {
    let every = format!(
        "version = 1\n[[rule]]\nname = \"every\"\naction = [\"send\", \"read\"]\nwho = [\"name:buy*\", \"{}\"]\n\
         origin = [\"agent\"]\nauthenticity = [\"signed\", \"custodial\"]\nto = [\"topic:market/**\", \"inbox:self\"]\n\
         performative = [\"cfp\", \"acme.bid\"]\nschema = [\"market/rfp@^1\", \"none\"]\nprotocol = \"acme/*\"\n\
         role = \"buyer\"\nstate = [\"round=open\", \"closed\"]\nverdict = \"deny\"\nreason = \"because\"\n",
        agent(0)
    );
    let without_protocol = every.replace("protocol = \"acme/*\"\n", "");
    vec![
        Seed::new("closed", DEFAULT_CLOSED),
        Seed::new("open", DEFAULT_OPEN),
        Seed::new("every", every),
        Seed::new("conditions", without_protocol),
        Seed::new("none", "version = 1\n"),
        Seed::new("newer", "version = 2\n"),
    ]
}
