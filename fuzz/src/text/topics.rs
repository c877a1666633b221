//! Topic patterns and paths, beside a matcher that tries every way. An input is a pattern and a path, on a line each.

use crate::form::is_the_text_of;
use crate::targets::{Met, Seed};
use openmesh_message::limits::{PATTERN_WILDCARDS_MAX, TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX};
use openmesh_message::{TopicPath, TopicPattern};

/// A pattern and a path.
pub fn target(input: &[u8]) -> Met {
    let Ok(text) = std::str::from_utf8(input) else {
        return Met::Refused;
    };
    let (pattern, path) = text.split_once('\n').unwrap_or((text, text));
    let pattern = is_the_text_of::<TopicPattern>(pattern);
    let path = is_the_text_of::<TopicPath>(path);
    if let Some(path) = &path {
        assert!(path.levels().count() <= TOPIC_LEVELS_MAX && path.as_str().len() <= TOPIC_BYTES_MAX);
        assert!(TopicPattern::from(path).matches(path));
        assert_eq!(path.as_str().parse().as_ref(), Ok(&TopicPattern::from(path)));
    }
    let (Some(pattern), Some(path)) = (pattern, path) else {
        return Met::Refused;
    };
    let wildcards = pattern.levels().filter(|level| level.starts_with('*')).count();
    assert!(wildcards <= PATTERN_WILDCARDS_MAX);
    let levels: Vec<&str> = path.levels().collect();
    let wanted: Vec<&str> = pattern.levels().collect();
    let hidden = path.is_system() && wanted.first().is_some_and(|first| first.starts_with('*'));
    assert_eq!(pattern.matches(&path), !hidden && naive(&wanted, &levels), "{pattern} {path}");
    Met::Taken
}

/// `*` is any one level, `**` one or more of them.
fn naive(wanted: &[&str], levels: &[&str]) -> bool {
    match (wanted.split_first(), levels.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), Some((_, below))) => naive(rest, below) || naive(wanted, below),
        (Some((&"*", rest)), Some((_, below))) => naive(rest, below),
        (Some((literal, rest)), Some((level, below))) => literal == level && naive(rest, below),
        _ => false,
    }
}

/// Patterns that match, and some that do not.
pub fn seeds() -> Vec<Seed> {
    vec![
        Seed::new("literal", "market/rfp\nmarket/rfp"),
        Seed::new("one-level", "*/rfp/*\nmarket/rfp/eu"),
        Seed::new("all-below", "market/**\nmarket/rfp/eu/west"),
        Seed::new("too-short", "market/**\nmarket"),
        Seed::new("system", "**\n$mesh/health"),
        Seed::new("systems", "$mesh/**\n$mesh/health"),
        Seed::new("characters", "A.b_c~d-e/*\nA.b_c~d-e/0"),
    ]
}
