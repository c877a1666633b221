//! Topic paths and patterns: slash-separated levels, `*` for one level, `**` for the rest.

use crate::limits::{PATTERN_WILDCARDS_MAX, TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX, excerpt};
use crate::text_form::as_text;
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The path of one topic, such as `market/rfp`; `$mesh/…` is the system's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPath(Arc<str>);

/// A pattern over topic paths, such as `market/*` or `market/**`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPattern(Arc<str>);

/// Why a text is no topic path or pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Empty, a level is empty, or a level has other characters than `A-Z a-z 0-9 . _ ~ -`.
    #[error("`{0}` is not a topic: levels of A-Z a-z 0-9 . _ ~ - joined by /")]
    Malformed(String),
    /// More levels or bytes than allowed.
    #[error("`{0}` has more than {TOPIC_LEVELS_MAX} levels or {TOPIC_BYTES_MAX} bytes")]
    TooLong(String),
    /// A wildcard shares its level, `**` is not last, or there are too many.
    #[error(
        "`{0}`: `*` stands alone in its level, `**` is last, and there are at most {PATTERN_WILDCARDS_MAX}"
    )]
    Wildcard(String),
}

impl TopicPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The levels, first to last.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether the topic is the system's own.
    pub fn is_system(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl TopicPattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The levels, first to last.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether there is a wildcard among the levels.
    pub fn has_wildcards(&self) -> bool {
        self.0.as_bytes().contains(&b'*')
    }

    /// The one topic that a pattern without wildcards takes in.
    pub fn as_path(&self) -> Option<TopicPath> {
        (!self.has_wildcards()).then(|| TopicPath(Arc::clone(&self.0)))
    }

    /// What every topic that the pattern takes in begins with: its levels before the first wildcard.
    pub fn prefix(&self) -> &str {
        self.0.split_once('*').map_or(&self.0, |(prefix, _)| prefix)
    }

    /// Whether the pattern takes in the path; wildcards in the first level never take in `$…`.
    pub fn matches(&self, path: &TopicPath) -> bool {
        if path.is_system() && !self.0.starts_with('$') {
            return false;
        }
        let (mut wanted, mut topic) = (self.0.as_bytes(), path.0.as_bytes());
        loop {
            match (wanted, topic) {
                // A wildcard stands where a level begins, and so does the topic by then.
                ([b'*', b'*', ..], [_, ..]) => return true,
                ([b'*', behind @ ..], [_, ..]) => {
                    let end = topic.iter().position(|byte| *byte == b'/');
                    topic = end.and_then(|end| topic.get(end..)).unwrap_or_default();
                    wanted = behind;
                }
                ([one, behind @ ..], [other, rest @ ..]) if one == other => {
                    (wanted, topic) = (behind, rest);
                }
                (wanted, topic) => return wanted.is_empty() && topic.is_empty(),
            }
        }
    }
}

impl FromStr for TopicPath {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        check_size(text)?;
        for (index, level) in text.split('/').enumerate() {
            if !is_level(level, index) {
                return Err(TopicError::Malformed(excerpt(text)));
            }
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for TopicPattern {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        check_size(text)?;
        let (mut wildcards, mut rest_seen) = (0, false);
        for (index, level) in text.split('/').enumerate() {
            if rest_seen {
                return Err(TopicError::Wildcard(excerpt(text)));
            }
            match level {
                "*" | "**" => {
                    wildcards += 1;
                    rest_seen = level == "**";
                }
                _ if level.contains('*') => return Err(TopicError::Wildcard(excerpt(text))),
                _ if is_level(level, index) => {}
                _ => return Err(TopicError::Malformed(excerpt(text))),
            }
        }
        if wildcards > PATTERN_WILDCARDS_MAX {
            return Err(TopicError::Wildcard(excerpt(text)));
        }
        Ok(Self(text.into()))
    }
}

fn check_size(text: &str) -> Result<(), TopicError> {
    if text.len() > TOPIC_BYTES_MAX || text.split('/').count() > TOPIC_LEVELS_MAX {
        return Err(TopicError::TooLong(excerpt(text)));
    }
    Ok(())
}

fn is_level(level: &str, index: usize) -> bool {
    let level = if index == 0 { level.strip_prefix('$').unwrap_or(level) } else { level };
    !level.is_empty()
        && level != "."
        && level != ".."
        && level.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b))
}

impl From<&TopicPath> for TopicPattern {
    /// The pattern that takes in just this path.
    fn from(path: &TopicPath) -> Self {
        Self(Arc::clone(&path.0))
    }
}

impl Borrow<str> for TopicPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(TopicPath);
as_text!(TopicPattern);

#[cfg(test)]
mod tests {
    use super::{TopicPath, TopicPattern};

    fn matches(pattern: &str, path: &str) -> bool {
        let pattern: TopicPattern = pattern.parse().unwrap();
        pattern.matches(&path.parse::<TopicPath>().unwrap())
    }

    #[test]
    fn wildcards_match_by_level() {
        for (pattern, path, expected) in [
            ("market/rfp", "market/rfp", true),
            ("market/rfp", "market/rfp/eu", false),
            ("market/*", "market/rfp", true),
            ("market/*", "market", false),
            ("market/*", "market/rfp/eu", false),
            ("market/**", "market/rfp/eu", true),
            ("market/**", "market", false),
            ("*/rfp/**", "market/rfp/eu", true),
            ("**", "$mesh/health", false),
            ("$mesh/**", "$mesh/health", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_without_wildcards_is_a_path_and_others_say_where_they_begin() {
        for (pattern, is_path, prefix) in [
            ("market/rfp", true, "market/rfp"),
            ("market/*/eu", false, "market/"),
            ("market/**", false, "market/"),
            ("*", false, ""),
        ] {
            let pattern: TopicPattern = pattern.parse().unwrap();
            assert_eq!(pattern.as_path(), pattern.as_str().parse().ok());
            assert_eq!((pattern.as_path().is_some(), pattern.prefix()), (is_path, prefix));
        }
    }

    #[test]
    fn malformed_topics_and_patterns_are_refused() {
        let long = vec!["a"; 17].join("/");
        for text in ["", "/", "a//b", "a/", "a b", "ä", "a/../b", "a/$b", long.as_str(), "a/*"] {
            assert!(text.parse::<TopicPath>().is_err(), "{text}");
        }
        for text in ["a*", "**/a", "*/*/*/*", "a/***"] {
            assert!(text.parse::<TopicPattern>().is_err(), "{text}");
        }
    }
}
