//! `spec/problems.md`: its codes, the core's, and those that other crates write out where they refuse.

use crate::sources;
use openmesh_core::Rejection;
use std::collections::BTreeSet;

/// Sources that make problems which are no rejection of the core's.
const ELSEWHERE: [&str; 3] =
    ["crates/openmesh-listeners/src", "crates/openmesh-node/src", "crates/openmesh-adapter/src"];
const MADE: &str = "Problem::new(\"";
const PAGE: &str = include_str!("../../../../spec/problems.md");

#[test]
fn the_page_explains_every_code_and_nothing_else() {
    let explained = explained();
    let given: BTreeSet<String> = Rejection::codes().map(str::to_owned).chain(made_elsewhere()).collect();
    assert_eq!(given.len(), Rejection::codes().count() + made_elsewhere().len(), "a code has two meanings");
    let missing: Vec<_> = given.difference(&explained).collect();
    let idle: Vec<_> = explained.difference(&given).collect();
    assert!(missing.is_empty() && idle.is_empty(), "not explained: {missing:?}; given by nobody: {idle:?}");
}

#[test]
fn each_row_says_what_to_do_and_which_status() {
    for row in rows() {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, means, todo, status] = cells.as_slice() else { panic!("four cells: {row}") };
        assert!(!means.is_empty() && !todo.is_empty(), "{row}");
        let status: u16 = status.parse().unwrap_or_else(|_| panic!("an HTTP status: {row}"));
        assert!((400..600).contains(&status), "{row}");
    }
}

/// Rows of the tables whose first cell is a code; those of the members' table have two cells.
fn rows() -> impl Iterator<Item = &'static str> {
    PAGE.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() > 1)
}

fn explained() -> BTreeSet<String> {
    let codes: Vec<_> =
        rows().filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect();
    let set: BTreeSet<_> = codes.iter().cloned().collect();
    assert_eq!(set.len(), codes.len(), "a code stands twice");
    set
}

fn made_elsewhere() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for source in sources::below(&ELSEWHERE) {
        read_codes(&source, &mut codes);
    }
    assert!(codes.contains("frame.malformed"), "the sources were not read");
    codes
}

/// Rustfmt may put the code on a line of its own.
fn read_codes(source: &str, codes: &mut BTreeSet<String>) {
    let joined: String = source.split_whitespace().collect();
    for piece in joined.split(MADE).skip(1) {
        codes.extend(piece.split('"').next().map(str::to_owned));
    }
}
