//! The file form: what is refused and how that is said, and what the version depends on.

use crate::facts::loaded;
use openmesh_message::Authority;
use openmesh_policy::Policy;

fn refusal(text: &str) -> String {
    Policy::parse(text, Authority::OpenMesh).expect_err("this file is wrong").to_string()
}

/// A file of one rule, the line `line` added at line 8.
fn one_rule(line: &str) -> String {
    format!(
        "version = 1\n\n[[rule]]\nname = \"a-rule\"\naction = \"send\"\nwho = \"any\"\nreason = \"r\"\n{line}\n"
    )
}

#[test]
fn every_mistake_is_named_with_its_place_and_a_way_out() {
    let allowed = |line: &str| one_rule(&format!("verdict = \"allow\"\n{line}"));
    let cases = [
        (one_rule(""), "policy line 3, rule `a-rule`: `verdict` is missing"),
        (
            allowed("perfomative = \"cfp\""),
            "policy line 9, rule `a-rule`: unknown key `perfomative`; did you mean `performative`?",
        ),
        (
            allowed("performative = [\"cfp\", \"porpose\"]"),
            "policy line 9, rule `a-rule`: unknown performative `porpose`; did you mean `propose`?",
        ),
        (
            one_rule("verdict = \"hold\""),
            "policy line 8, rule `a-rule`: the verdict `hold` is not built yet; this program carries out `allow` and `deny`",
        ),
        (one_rule("verdict = \"redact\""), "`redact` is not built yet"),
        (one_rule("verdict = \"reroute\""), "`reroute` is not built yet"),
        (one_rule("verdict = \"alow\""), "did you mean `allow`?"),
        (one_rule("verdict = 7"), "`verdict` takes text in quotes"),
        (allowed("to = \"market/rfp\""), "`market/rfp` has no address kind; write it as topic:"),
        (allowed("to = \"topik:market\""), "did you mean `topic`?"),
        (allowed("to = \"topic:a/**/b\""), "policy line 9"),
        (allowed("schema = \"market/rfp\""), "market/rfp"),
        (allowed("role = []"), "`role` has 0 items; from 1 to 256"),
        (allowed("state = \"round=\""), "`` is not a name"),
        (allowed("origin = \"agnt\""), "did you mean `agent`?"),
        (allowed("name = \"again\""), "not TOML"),
        ("version = 2".to_owned(), "policy line 1: a version this program does not read"),
        ("versoin = 1".to_owned(), "did you mean `version`?"),
        ("".to_owned(), "`version` is missing"),
        ("version = 1\nrule = 3".to_owned(), "`rule` is a list of tables"),
    ];
    for (text, expected) in cases {
        let said = refusal(&text);
        assert!(said.contains(expected), "said: {said}\nexpected: {expected}\nof\n{text}");
    }
}

#[test]
fn names_are_unique_and_the_default_is_not_to_be_had() {
    let rule =
        "[[rule]]\nname = \"x\"\naction = \"send\"\nwho = \"any\"\nverdict = \"deny\"\nreason = \"r\"\n";
    let twice = format!("version = 1\n{rule}{rule}");
    assert!(refusal(&twice).contains("a second rule of this name"));
    let taken = format!("version = 1\n{}", rule.replace("\"x\"", "\"default-deny\""));
    assert!(refusal(&taken).contains("cannot name a rule"));
}

#[test]
fn a_condition_that_could_never_hold_is_refused() {
    let text = "version = 1\n[[rule]]\nname = \"x\"\naction = [\"send\", \"register\"]\nwho = \"any\"\nto = \"topic:**\"\nverdict = \"deny\"\nreason = \"r\"\n";
    assert!(refusal(text).contains("`to` never holds for the action `register`"));
}

#[test]
fn the_version_ignores_form_and_follows_meaning() {
    let one = "version = 1\n[[rule]]\nname = \"a\"\naction = \"send\"\nwho = [\"admin\", \"stranger\"]\nschema = \"market/rfp@^1\"\nverdict = \"allow\"\nreason = \"r\"\n[[rule]]\nname = \"b\"\naction = [\"read\"]\nwho = \"any\"\nverdict = \"deny\"\nreason = \"s\"\n";
    let same = "# a comment\nversion=1\n\n[[rule]]\nreason = 's'\nverdict = \"deny\"\nwho = [\"any\", \"any\"]\nname = \"b\"\naction = \"read\" # reading\n[[rule]]\nname = \"a\"\naction = \"send\"\nwho = [\"stranger\", \"admin\"]\nschema = [ \"openmesh/market/rfp@^1\" ]\nverdict = \"allow\"\nreason = \"r\"\n";
    assert_eq!(loaded(one).canonical(), loaded(same).canonical());
    assert_eq!(loaded(one).version(), loaded(same).version());
    for (from, to) in [("stranger", "registered"), ("\"s\"", "\"t\""), ("deny", "allow"), ("^1", "^2")] {
        let other = one.replacen(from, to, 1);
        assert_ne!(loaded(one).version(), loaded(&other).version(), "{from} -> {to}");
    }
}

#[test]
fn a_reason_cannot_pose_as_a_condition_in_the_canonical_form() {
    let plain = one_rule("verdict = \"allow\"").replace("\"r\"", "\"r\\\"\\nrule \\\"x\"");
    assert_eq!(loaded(&plain).canonical().lines().count(), 6);
}

#[test]
fn nesting_is_refused_before_it_hurts() {
    let deep = format!("version = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refusal(&deep).contains("not TOML"));
    let wide = format!("version = 1 #{}", "x".repeat(1 << 20));
    assert!(refusal(&wide).contains("at most 1048576"));
}
