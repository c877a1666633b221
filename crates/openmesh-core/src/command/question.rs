//! Whether a question about the log may be asked, and its arguments: decided before anything is looked up. A view alone
//! says so, since asking changes nothing.

use super::parse_pattern;
use crate::plan::Question;
use crate::reading::{decided, plain_read};
use crate::rejection::Rejection;
use crate::view::View;
use openmesh_message::TopicPattern;
use openmesh_message::frame::LogFilter;
use openmesh_message::limits::QUERY_WAIT_MS_MAX;

/// Records that one query returns at most.
const QUERY_RECORDS_MAX: u32 = 1_000;

impl View {
    /// A question whose asker may ask, whose pattern is bare and whose numbers are within their limits.
    pub fn question(&self, asked: Question) -> Result<Question, Rejection> {
        let decision = decided(self, &plain_read(self, &asked.agent));
        if !decision.allows() {
            return Err(Rejection::Denied(decision));
        }
        if asked.newest_first && asked.wait_ms > 0 {
            let why = "a question that waits is answered oldest first".to_owned();
            return Err(Rejection::BadArgument("wait_ms", why));
        }
        let topic = asked.filter.topic.as_deref().map(|topic| self.bare_pattern(topic)).transpose()?;
        Ok(Question {
            records_max: asked.records_max.clamp(1, QUERY_RECORDS_MAX),
            wait_ms: asked.wait_ms.min(QUERY_WAIT_MS_MAX),
            filter: LogFilter { topic, ..asked.filter },
            ..asked
        })
    }

    /// The path of a pattern that is bare, `topic:<pattern>` or absolute.
    fn bare_pattern(&self, text: &str) -> Result<String, Rejection> {
        if text.starts_with("topic:") || text.starts_with("mesh://") {
            return parse_pattern(self.domain, text).map(|pattern| pattern.as_str().to_owned());
        }
        let parsed = text.parse::<TopicPattern>();
        parsed
            .map(|pattern| pattern.as_str().to_owned())
            .map_err(|error| Rejection::BadArgument("topic", error.to_string()))
    }
}
