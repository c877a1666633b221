//! Who listens, beside a list of all subscriptions that is gone through.

use super::Routes;
use crate::input::ConnectionId;
use openmesh_message::{AgentId, KeyPair, TopicPath, TopicPattern};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::collections::BTreeMap;

const CONNECTIONS: u64 = 4;
const NUMBERS: u64 = 6;

/// What is done to routes.
#[derive(Clone, Debug)]
enum Act {
    Subscribe(u64, u64, TopicPattern),
    Unsubscribe(u64, u64),
    /// A connection ends, and another of its number begins.
    Reconnect(u64),
    Look(TopicPath),
}

/// All subscriptions, by connection and number.
type Naive = BTreeMap<(u64, u64), TopicPattern>;

fn agents() -> Vec<AgentId> {
    (0..CONNECTIONS).map(|number| KeyPair::from_seed(&[number as u8 + 1; 32]).unwrap().id()).collect()
}

fn level() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c-d", "a.b"]).prop_map(str::to_owned)
}

fn topic() -> impl Strategy<Value = TopicPath> {
    (any::<bool>(), prop::collection::vec(level(), 1..5))
        .prop_map(|(system, levels)| format!("{}{}", if system { "$" } else { "" }, levels.join("/")))
        .prop_map(|text| text.parse().unwrap())
}

fn pattern() -> impl Strategy<Value = TopicPattern> {
    let wished = prop_oneof![3 => level(), 2 => Just("*".to_owned())];
    let levels =
        (any::<bool>(), prop::collection::vec(wished, 0..5), prop::option::of(Just("**".to_owned())));
    levels.prop_filter_map("a pattern", |(system, mut levels, rest)| {
        levels.extend(rest);
        format!("{}{}", if system { "$" } else { "" }, levels.join("/")).parse().ok()
    })
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0..CONNECTIONS, 1..NUMBERS, pattern()).prop_map(|(at, number, wild)| Act::Subscribe(at, number, wild)),
        4 => (0..CONNECTIONS, 1..NUMBERS).prop_map(|(at, number)| Act::Unsubscribe(at, number)),
        1 => (0..CONNECTIONS).prop_map(Act::Reconnect),
        6 => topic().prop_map(Act::Look),
    ];
    prop::collection::vec(act, 1..120)
}

/// In the order that is promised: without wildcards, then by pattern, then by key.
fn expected(naive: &Naive, topic: &TopicPath) -> Vec<(u64, u64)> {
    let mut matching: Vec<_> = naive.iter().filter(|(_, pattern)| pattern.matches(topic)).collect();
    matching.sort_by_key(|(key, pattern)| (pattern.has_wildcards(), pattern.as_str(), **key));
    matching.into_iter().map(|(key, _)| *key).collect()
}

fn perform(act: &Act, routes: &mut Routes, naive: &mut Naive, agents: &[AgentId]) -> Result<(), String> {
    match act {
        Act::Subscribe(at, number, pattern) => {
            let is_new = !naive.contains_key(&(*at, *number));
            let taken = routes.subscribe((ConnectionId(*at), *number), pattern.clone());
            naive.entry((*at, *number)).or_insert_with(|| pattern.clone());
            ensure(taken == is_new, || format!("{act:?}: {taken}"))
        }
        Act::Unsubscribe(at, number) => {
            let ended = routes.unsubscribe((ConnectionId(*at), *number));
            ensure(ended == naive.remove(&(*at, *number)), || format!("{act:?}: {ended:?}"))
        }
        Act::Reconnect(at) => {
            routes.disconnect(ConnectionId(*at));
            routes.connect(ConnectionId(*at), agents[*at as usize], true);
            naive.retain(|(connection, _), _| connection != at);
            Ok(())
        }
        Act::Look(topic) => {
            let found = routes.matching(topic);
            assert!(found.iter().all(|found| agents[found.key.0.0 as usize] == found.at.agent()));
            let found: Vec<_> = found.iter().map(|found| (found.key.0.0, found.key.1)).collect();
            let expected = expected(naive, topic);
            ensure(found == expected, || format!("{topic}: {found:?}, not {expected:?}"))
        }
    }
}

/// Performs acts and then ends all subscriptions: one half with their connections, the other by their numbers.
fn run(acts: &[Act]) -> Result<(), String> {
    let (agents, mut naive) = (agents(), Naive::new());
    let mut routes = Routes::keyed(7);
    (0..CONNECTIONS).for_each(|at| routes.connect(ConnectionId(at), agents[at as usize], true));
    acts.iter().try_for_each(|act| perform(act, &mut routes, &mut naive, &agents))?;
    for at in 0..CONNECTIONS {
        let count = naive.keys().filter(|(connection, _)| *connection == at).count();
        ensure(routes.count(ConnectionId(at)) == count, || format!("{count} of connection {at}"))?;
    }
    (0..CONNECTIONS / 2).for_each(|at| routes.disconnect(ConnectionId(at)));
    for (at, number) in naive.keys().filter(|(at, _)| *at >= CONNECTIONS / 2) {
        ensure(routes.unsubscribe((ConnectionId(*at), *number)).is_some(), || format!("{number} of {at}"))?;
    }
    let left = (routes.exact.len(), routes.wild.len());
    ensure(left == (0, 1), || format!("topics and nodes that stayed behind: {left:?}"))
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn runner() -> TestRunner {
    let config = Config { cases: 1_000, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn check() -> Result<(), String> {
    let checked = runner().run(&acts(), |acts| run(&acts).map_err(TestCaseError::fail));
    checked.map_err(|error| error.to_string())
}

#[test]
fn whoever_listens_is_found_in_order_and_nothing_stays_behind() {
    check().unwrap();
}

#[cfg(feature = "planted-bugs")]
#[test]
fn a_branch_that_is_cut_is_seen() {
    use crate::planted::{Planted, plant};
    plant(Some(Planted::CutBranch));
    let seen = check();
    plant(None);
    println!("{}", seen.unwrap_err());
}

#[test]
fn subscriptions_of_one_topic_share_its_text() {
    let agents = agents();
    let mut routes = Routes::keyed(7);
    for at in 0..2 {
        routes.connect(ConnectionId(at), agents[at as usize], false);
        assert!(routes.subscribe((ConnectionId(at), 1), "market/rfp".parse().unwrap()));
    }
    let found = routes.matching(&"market/rfp".parse().unwrap());
    let text = |at: usize| found[at].at.pattern(1).unwrap().as_str().as_ptr();
    assert_eq!((found.len(), text(0)), (2, text(1)));
    assert!(routes.receiving(&agents[0]).next().is_none());
}
