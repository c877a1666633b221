//! Every check at publish refuses what it is for, with its kind and the path; and what ships stays what it is.

use crate::fixture::protocol;
use openmesh_message::{Authority, DomainId};
use openmesh_schema::{Catalog, DefinitionError, DefinitionErrorKind as Kind};

const HOME: Authority = Authority::Domain(DomainId::from_bytes([3; 32]));

const SOUND: &str = r#"
protocol: acme/sale@v1.0.0
roles:
  buyer: {count: 1, binds: initiator}
  seller: {count: "1..*", binds: first-move}
correlate: {market/rfp: /id, market/proposal: /rfp}
require: {market/proposal: "proposal.value.amount <= rfp.value.amount"}
machines:
  round:
    initial: start
    finals: {done: success, over: timeout}
    states:
      start: {moves: [{performative: cfp, schema: market/rfp@^1, from: buyer, next: open}]}
      open:
        timer: {at: rfp.tenderPeriod.endDate, next: over}
        when: [{if: "count('bid', 'won') >= 1", next: done}]
  bid:
    per: seller
    initial: none
    finals: {won: success, lost: timeout}
    states:
      none: {moves: [{performative: propose, schema: market/proposal@^1, from: seller, next: made, guard: "round.state == 'open'"}]}
      made:
        timer: {after: PT1H, next: lost}
        moves: [{performative: accept-proposal, from: buyer, next: won, turn: other, max: 3}]
obligations: [{after: propose, role: buyer, must: accept-proposal, for: each bid, within: PT5M}]
"#;

fn check(body: &str) -> Result<String, DefinitionError> {
    let checked = Catalog::builtin().check_protocol(body.as_bytes(), HOME);
    checked.map(|(protocol, _)| protocol.pinned().to_string())
}

/// The sound definition with one text replaced is refused as `kind`, at a path that ends in `path`.
fn refused(from: &str, to: &str, kind: Kind, path: &str) {
    assert!(SOUND.contains(from), "{from}");
    let error = check(&SOUND.replacen(from, to, 1)).expect_err(to);
    assert_eq!((error.kind, error.path.as_str()), (kind, path), "{from} => {to}: {error}");
}

#[test]
fn the_sound_definition_is_published_and_its_stored_form_is_a_fixed_point() {
    let (protocol, report) = Catalog::builtin().check_protocol(SOUND.as_bytes(), HOME).unwrap();
    assert_eq!(report.warnings, Vec::<String>::new());
    assert_eq!((report.pins.len(), report.machines, report.states, report.moves), (2, 2, 8, 3));
    let (again, _) = Catalog::builtin().check_protocol(protocol.stored(), Authority::OpenMesh).unwrap();
    assert_eq!(again.pinned(), protocol.pinned());
    assert_eq!(again.stored(), protocol.stored());
    let reordered = SOUND
        .replace("seller, next: made", "[seller], next: made")
        .replace("must: accept-proposal", "must: [accept-proposal]");
    assert_eq!(check(&reordered).unwrap(), protocol.pinned().to_string());
}

#[test]
fn form() {
    refused("roles:", "rolls: {}\nroles:", Kind::UnknownKey, "rolls");
    refused("turn: other", "turns: other", Kind::UnknownKey, "machines.bid.states.made.moves[0].turns");
    refused("turn: other", "turn: mine", Kind::WrongType, "machines.bid.states.made.moves[0].turn");
    refused("max: 3", "max: 0", Kind::WrongType, "machines.bid.states.made.moves[0].max");
    refused("initial: none", "initial: None", Kind::BadName, "machines.bid.initial");
    refused(
        "performative: propose",
        "performative: propse",
        Kind::BadName,
        "machines.bid.states.none.moves[0].performative",
    );
    refused("after: PT1H", "after: 1h", Kind::BadTimer, "machines.bid.states.made.timer.after");
    refused("{after: PT1H, next: lost}", "{next: lost}", Kind::BadTimer, "machines.bid.states.made.timer");
    refused("protocol: acme/sale@v1.0.0", "protocol: sale", Kind::BadName, "protocol");
    refused("count: 1,", "count: \"2..1\",", Kind::Inconsistent, "roles.buyer.count");
    refused("next: lost}", "next: lost, next: lost}", Kind::Malformed, "");
    refused("for: each bid", "for: bid", Kind::WrongType, "obligations[0].for");
    let aliased = SOUND.replacen("roles:", "x: &a 1\ny: *a\nroles:", 1);
    assert_eq!(check(&aliased).unwrap_err().kind, Kind::Malformed);
    let large = format!("{SOUND}#{}", "x".repeat(64 * 1024));
    assert_eq!(check(&large).unwrap_err().kind, Kind::TooLarge);
    let deep = format!("{SOUND}x: {}{}", "[".repeat(40), "]".repeat(40));
    assert_eq!(check(&deep).unwrap_err().kind, Kind::Malformed);
}

#[test]
fn roles_and_machines() {
    refused("binds: initiator", "binds: invited", Kind::Inconsistent, "roles");
    refused("count: 1,", "count: 2,", Kind::Inconsistent, "roles.buyer.count");
    refused("per: seller", "per: broker", Kind::UnknownRole, "machines.bid.per");
    refused("    per: seller\n", "", Kind::MissingKey, "machines.bid.per");
    refused(
        "from: buyer, next: won",
        "from: broker, next: won",
        Kind::UnknownRole,
        "machines.bid.states.made.moves[0].from",
    );
    refused(
        "from: buyer, next: open",
        "from: seller, next: open",
        Kind::Inconsistent,
        "machines.round.states.start.moves",
    );
    refused("role: buyer", "role: broker", Kind::UnknownRole, "obligations[0].role");
    refused("must: accept-proposal", "must: cancel", Kind::Inconsistent, "obligations[0].must");
    refused("{after: propose", "{after: request", Kind::Inconsistent, "obligations[0].after");
    refused("for: each bid", "for: each lot", Kind::UnknownState, "obligations[0].for");
}

#[test]
fn states() {
    refused("initial: none", "initial: start", Kind::UnknownState, "machines.bid.initial");
    refused("next: made", "next: gone", Kind::UnknownState, "machines.bid.states.none.moves[0].next");
    refused("lost: timeout}", "lost: timeout, gone: failure}", Kind::Unreachable, "machines.bid.finals.gone");
    refused(
        "      made:\n        timer: {after: PT1H, next: lost}",
        "      limbo: {timer: {after: PT1H, next: limbo}}\n      made:\n        timer: {after: PT1H, next: limbo}",
        Kind::Unreachable,
        "machines.bid.finals.lost",
    );
    let stuck = SOUND.replacen("max: 3}]", "max: 3}, {performative: refuse, from: seller, next: limbo}]\n      limbo: {timer: {after: PT1H, next: limbo}}", 1);
    let error = check(&stuck).unwrap_err();
    assert_eq!((error.kind, error.path.as_str()), (Kind::DeadEnd, "machines.bid.states.limbo"));
    refused(
        "none: {moves",
        "none: {timer: {after: PT1H, next: lost}, moves",
        Kind::Inconsistent,
        "machines.bid.states.none",
    );
    refused(
        "finals: {won: success",
        "finals: {made: success, won: success",
        Kind::Inconsistent,
        "machines.bid.states.made",
    );
    let cycle = SOUND.replacen("{after: PT1H, next: lost}", "{after: PT1H, next: lost}\n        when: [{if: \"round.state == 'over'\", next: late}]", 1)
        .replacen("obligations", "      late: {when: [{if: \"round.state == 'done'\", next: made}], timer: {after: PT1H, next: lost}}\nobligations", 1);
    assert_eq!(check(&cycle).unwrap_err().kind, Kind::Cycle);
}

#[test]
fn acts_mean_one_thing_and_are_seen() {
    let made = "machines.bid.states.made.moves[1]";
    refused(
        "max: 3}]",
        "max: 3}, {performative: accept-proposal, from: buyer, next: lost}]",
        Kind::Ambiguous,
        made,
    );
    let when = "        when: [{if: \"count";
    let open = |one: &str| format!("        moves: [{one}]\n{when}");
    let accept = open("{performative: accept-proposal, from: buyer, next: over}");
    refused(when, &accept, Kind::Inconsistent, "machines.round.states.open.moves[0]");
    let inform = open("{performative: inform, from: seller, next: over}");
    refused(when, &inform, Kind::Unobservable, "roles.buyer");
    let twice = SOUND.replacen(when, &open("{performative: refuse, from: buyer, next: over}"), 1).replacen(
        "max: 3}]",
        "max: 3}, {performative: refuse, from: buyer, next: lost}]",
        1,
    );
    let error = check(&twice).unwrap_err();
    assert_eq!((error.kind, error.path.as_str()), (Kind::Ambiguous, "machines.round.states.open.moves[0]"));
    let broker = SOUND
        .replacen(
            "binds: initiator}",
            "binds: initiator, sees: all}\n  broker: {count: 1, binds: first-move, sees: all}",
            1,
        )
        .replacen("from: seller", "from: [broker, seller]", 1);
    let error = check(&broker).unwrap_err();
    assert_eq!(
        (error.kind, error.path.as_str()),
        (Kind::Ambiguous, "machines.bid.states.none.moves[0].from")
    );
}

#[test]
fn expressions() {
    let guard = "machines.bid.states.none.moves[0].guard";
    for (text, kind) in [
        ("round.state == 'opne'", Kind::UnknownState),
        ("round.state in ['open', 'opne']", Kind::UnknownState),
        ("count('bid', 'mode') == 0", Kind::UnknownState),
        ("count('round', 'open') == 0", Kind::UnknownState),
        ("count(round.state, 'made') == 0", Kind::BadExpression),
        ("round.phase == 'open'", Kind::BadExpression),
        ("round.state ==", Kind::BadExpression),
        ("1 + 1", Kind::BadExpression),
        ("rfp == proposal", Kind::BadExpression),
        ("size(rfp.items) > 0", Kind::BadExpression),
        ("rfp.title.startsWith('x')", Kind::BadExpression),
        ("has(rfp.description)", Kind::BadExpression),
        ("rfp.items.exists(i, i.id == 'x')", Kind::BadExpression),
        ("{'a': 1} == {'a': 1}", Kind::BadExpression),
        ("rfp.value.amont > 0", Kind::UnknownPath),
        ("rfp.items[0].colour == 'x'", Kind::UnknownPath),
        ("contract.value.amount > 0", Kind::UnknownPath),
        ("offer.value.amount > 0", Kind::UnknownPath),
    ] {
        refused("round.state == 'open'", text, kind, guard);
    }
    let long = format!("round.state == 'open' && {}", vec!["true"; 300].join(" && "));
    refused("round.state == 'open'", &long, Kind::BadExpression, guard);
    refused(
        "count('bid', 'won') >= 1",
        "proposal.value.amount > 0",
        Kind::UnknownPath,
        "machines.round.states.open.when[0].if",
    );
    let sound = SOUND.replacen(
        "round.state == 'open'",
        "rfp.items[0].id == 'x' && rfp.value.amount * 2 > 10 || !(round.state == 'over')",
        1,
    );
    check(&sound).unwrap();
}

#[test]
fn schemas_and_paths() {
    refused(
        "schema: market/proposal@^1",
        "schema: market/proposal@^9",
        Kind::UnknownSchema,
        "machines.bid.states.none.moves[0].schema",
    );
    refused(
        "schema: market/proposal@^1",
        "schema: acme/proposal@^1",
        Kind::UnknownSchema,
        "machines.bid.states.none.moves[0].schema",
    );
    refused(
        "{market/rfp: /id",
        "{market/contract: /rfp",
        Kind::UnknownSchema,
        "correlate.openmesh/market/contract",
    );
    refused("market/rfp: /id", "market/rfp: /ident", Kind::UnknownPath, "correlate.openmesh/market/rfp");
    refused(
        "market/rfp: /id",
        "market/rfp: /description",
        Kind::UnknownPath,
        "correlate.openmesh/market/rfp",
    );
    refused("market/rfp: /id", "market/rfp: id", Kind::BadName, "correlate.openmesh/market/rfp");
    refused(
        "at: rfp.tenderPeriod.endDate",
        "at: rfp.tenderPeriod.end",
        Kind::UnknownPath,
        "machines.round.states.open.timer.at",
    );
    refused(
        "at: rfp.tenderPeriod.endDate",
        "at: rfp.value.amount",
        Kind::BadTimer,
        "machines.round.states.open.timer.at",
    );
    refused(
        "at: rfp.tenderPeriod.endDate",
        "at: tomorrow",
        Kind::BadTimer,
        "machines.round.states.open.timer.at",
    );
    refused(
        "at: rfp.tenderPeriod.endDate",
        "at: proposal.deliveryDate",
        Kind::UnknownPath,
        "machines.round.states.open.timer.at",
    );
}

#[test]
fn what_may_not_be_meant_is_a_warning() {
    let forever = SOUND.replacen("        timer: {after: PT1H, next: lost}\n", "", 1).replacen(
        "next: won, turn: other, max: 3}",
        "next: won}, {performative: refuse, from: seller, next: lost}",
        1,
    );
    let (_, report) = Catalog::builtin().check_protocol(forever.as_bytes(), HOME).unwrap();
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    let optional = SOUND.replacen("round.state == 'open'", "rfp.description != ''", 1);
    let (_, report) = Catalog::builtin().check_protocol(optional.as_bytes(), HOME).unwrap();
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
}

#[test]
fn what_is_published_never_changes() {
    let catalog = Catalog::builtin();
    let (first, _) = catalog.check_protocol(SOUND.as_bytes(), HOME).unwrap();
    let catalog = catalog.with_protocol(first.clone()).unwrap();
    assert!(catalog.with_protocol(first).is_ok(), "the same again is fine");
    let (other, _) = catalog.check_protocol(SOUND.replace("PT1H", "PT2H").as_bytes(), HOME).unwrap();
    let conflict = catalog.with_protocol(other).unwrap_err();
    assert!(conflict.to_string().contains("acme/sale@v1.0.0"), "{conflict}");
}

#[test]
fn the_graph_draws_every_machine() {
    let graph = protocol("market/negotiation@v1.0.0").graph();
    assert!(graph.starts_with("stateDiagram-v2\n  state \"round\" as round {\n"), "{graph}");
    assert!(graph.contains("state \"bid, one for each seller\" as bid {"));
    assert!(graph.contains("round_open --> round_closed : at rfp.tenderPeriod.endDate"));
    assert!(graph.contains("bid_offered --> bid_offered : buyer/seller counter-propose market/proposal@v1.0.0 (turn other, max 10)"));
    assert_eq!(graph.matches('{').count(), graph.matches('}').count());
}
