//! What a policy decides: matching, strictness, defaults, and what state can still change.

use crate::facts::{agent, definition, loaded, request, topic};
use openmesh_message::{Authority, Performative};
use openmesh_policy::{
    Action, DEFAULT_RULE, Destination, MachineState, Party, Policy, Standing, StatefulContext, StaticContext,
    StaticDecision, Verdict,
};

fn verdict(policy: &Policy, request: &StaticContext<'_>) -> Verdict {
    match policy.decide_static(request) {
        StaticDecision::Decided(decision) => decision.verdict,
        StaticDecision::NeedsState => panic!("no rule here reads state"),
    }
}

#[test]
fn no_rule_means_denied_for_everyone_and_says_so() {
    let policy = loaded("version = 1");
    for standing in [Standing::Stranger, Standing::Registered, Standing::Admin] {
        let asked = StaticContext { standing, ..request(Action::Send) };
        let StaticDecision::Decided(decision) = policy.decide_static(&asked) else {
            panic!("nothing to wait for");
        };
        assert_eq!(decision.verdict, Verdict::Deny);
        assert_eq!(&*decision.rule, DEFAULT_RULE);
        assert!(decision.reason.contains("send"), "{}", decision.reason);
    }
}

#[test]
fn the_shipped_policies_load_and_close_the_door_to_strangers() {
    let loads = |text| Policy::parse(text, Authority::OpenMesh);
    assert_eq!(loads(openmesh_policy::DEFAULT_CLOSED), Ok(Policy::default_closed()));
    assert_eq!(loads(openmesh_policy::DEFAULT_OPEN), Ok(Policy::default_open()));
    assert_ne!(Policy::default_closed(), Policy::default_open());

    let rfp = topic("market/rfp");
    let actions = [Action::Send, Action::Read, Action::JoinRole, Action::PublishDefinition];
    for policy in [Policy::default_closed(), Policy::default_open()] {
        for action in actions {
            let member = StaticContext { destination: Some(Destination::Topic(&rfp)), ..request(action) };
            let stranger = StaticContext { standing: Standing::Stranger, ..member };
            let admin = StaticContext { standing: Standing::Admin, ..member };
            assert_eq!(verdict(&policy, &member), Verdict::Allow, "{action}");
            assert_eq!(verdict(&policy, &admin), Verdict::Allow, "{action}");
            assert_eq!(verdict(&policy, &stranger), Verdict::Deny, "{action}");
        }
        let administer = request(Action::Administer);
        assert_eq!(verdict(&policy, &administer), Verdict::Deny);
        let admin = StaticContext { standing: Standing::Admin, ..administer };
        assert_eq!(verdict(&policy, &admin), Verdict::Allow);
    }
    let joining = StaticContext { standing: Standing::Stranger, ..request(Action::Register) };
    assert_eq!(verdict(&Policy::default_closed(), &joining), Verdict::Deny);
    assert_eq!(verdict(&Policy::default_open(), &joining), Verdict::Allow);
}

#[test]
fn members_read_their_own_inbox_only_and_do_not_write_system_topics() {
    let policy = Policy::default_closed();
    let inbox = |owner| StaticContext {
        destination: Some(Destination::Inbox(Party { id: Some(agent(owner)), name: Some("someone") })),
        ..request(Action::Read)
    };
    assert_eq!(verdict(&policy, &inbox(1)), Verdict::Allow);
    assert_eq!(verdict(&policy, &inbox(2)), Verdict::Deny);
    let system = topic("$mesh/alerts");
    let imitation = StaticContext {
        destination: Some(Destination::Topic(&system)),
        standing: Standing::Admin,
        ..request(Action::Send)
    };
    assert_eq!(verdict(&policy, &imitation), Verdict::Deny);
}

#[test]
fn a_did_is_no_way_round_a_rule_on_a_name() {
    let policy = loaded(
        r#"
        version = 1
        [[rule]]
        name = "open"
        action = "send"
        who = "any"
        verdict = "allow"
        reason = "open"
        [[rule]]
        name = "quiet"
        action = "send"
        who = "any"
        to = "agent:board-*"
        verdict = "deny"
        reason = "the board is not to be written to"
        "#,
    );
    let to = |name| StaticContext {
        destination: Some(Destination::Agent(Party { id: Some(agent(2)), name })),
        ..request(Action::Send)
    };
    assert_eq!(verdict(&policy, &to(Some("board-chair"))), Verdict::Deny);
    assert_eq!(verdict(&policy, &to(Some("clerk"))), Verdict::Allow);
    assert_eq!(verdict(&policy, &to(None)), Verdict::Allow);
}

#[test]
fn schema_ranges_and_their_absence() {
    let policy = loaded(
        r#"
        version = 1
        [[rule]]
        name = "typed"
        action = "send"
        who = "name:buy*"
        schema = ["market/rfp@^1", "none"]
        verdict = "allow"
        reason = "requests for proposals of the first form, and plain words"
        "#,
    );
    let (first, second) = (definition("market/rfp@v1.2.0"), definition("market/rfp@v2.0.0"));
    let base = StaticContext {
        agent_name: Some("buyer"),
        performative: Some(&Performative::Inform),
        ..request(Action::Send)
    };
    let with = |schema| StaticContext { schema, ..base };
    assert_eq!(verdict(&policy, &with(Some(&first))), Verdict::Allow);
    assert_eq!(verdict(&policy, &with(Some(&second))), Verdict::Deny);
    assert_eq!(verdict(&policy, &with(None)), Verdict::Allow);
    let nothing_at_hand = StaticContext { performative: None, ..base };
    assert_eq!(verdict(&policy, &nothing_at_hand), Verdict::Deny);
    let unnamed = StaticContext { agent_name: None, ..base };
    assert_eq!(verdict(&policy, &unnamed), Verdict::Deny);
}

const BY_ROLE: &str = r#"
    version = 1
    [[rule]]
    name = "members"
    action = "send"
    who = "registered"
    verdict = "allow"
    reason = "members send"
    [[rule]]
    name = "sellers-wait"
    action = "send"
    who = "any"
    performative = "propose"
    role = "seller"
    state = "round=closed"
    verdict = "deny"
    reason = "the round is closed"
"#;

#[test]
fn state_is_asked_for_only_where_it_can_matter() {
    let policy = loaded(BY_ROLE);
    let inform = StaticContext { performative: Some(&Performative::Inform), ..request(Action::Send) };
    assert_eq!(verdict(&policy, &inform), Verdict::Allow);
    let propose = StaticContext { performative: Some(&Performative::Propose), ..inform };
    assert_eq!(policy.decide_static(&propose), StaticDecision::NeedsState);
    let decide = |role, state| {
        let states =
            [MachineState { machine: "bid", state: "offered" }, MachineState { machine: "round", state }];
        policy.decide_stateful(&StatefulContext { request: propose, role, states: &states })
    };
    let denied = decide(Some("seller"), "closed");
    assert_eq!((denied.verdict, &*denied.rule), (Verdict::Deny, "sellers-wait"));
    assert_eq!(&*denied.reason, "the round is closed");
    assert!(decide(Some("seller"), "open").allows());
    assert!(decide(Some("buyer"), "closed").allows());
    assert!(decide(None, "closed").allows());
}

#[test]
fn a_static_denial_asks_for_no_state() {
    let policy = loaded(BY_ROLE);
    let stranger = StaticContext {
        standing: Standing::Stranger,
        performative: Some(&Performative::Inform),
        ..request(Action::Send)
    };
    assert_eq!(verdict(&policy, &stranger), Verdict::Deny);
}
