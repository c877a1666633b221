//! `docs/guarantees.md`: each promise names tests, and these tests are there.

use crate::sources;

const PAGE: &str = include_str!("../../../../docs/guarantees.md");
/// Test names are longer than the other words in backticks.
const NAME_BYTES_MIN: usize = 14;

#[test]
fn every_promise_names_tests_that_exist() {
    let sources = sources::below(&["crates", "sdk/rust"]).concat();
    for promise in PAGE.split("\n## G").skip(1) {
        let (_, shown) =
            promise.split_once("*Shown by*:").unwrap_or_else(|| panic!("shown by nothing: {promise}"));
        let shown = shown.split("\n\n").next().unwrap_or_default();
        let names: Vec<_> = shown.split('`').skip(1).step_by(2).filter(|name| is_test_name(name)).collect();
        assert!(!names.is_empty(), "no test is named: {promise}");
        for name in names {
            assert!(sources.contains(&format!("fn {name}(")), "there is no test `{name}`");
        }
    }
}

fn is_test_name(text: &str) -> bool {
    text.len() >= NAME_BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
