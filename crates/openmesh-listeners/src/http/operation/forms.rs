//! Forms that parameters and members have: a pattern for the document, and the check that stands for it.

use crate::http::shape::Form;
use openmesh_message::{
    AgentName, AgentRef, Authority, Digest, Timestamp, TopicPath, TopicPattern, VersionedName,
};

/// The name of an agent.
pub(crate) const AGENT_NAME: Form = Form {
    pattern: "^[a-z][a-z0-9._-]{0,63}$",
    format: None,
    fits: |text| text.parse::<AgentName>().is_ok(),
};
/// An agent by name or id.
pub(crate) const AGENT: Form = Form {
    pattern: "^([a-z][a-z0-9._-]{0,63}|did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44})$",
    format: None,
    fits: |text| {
        let is_did = text.strip_prefix("did:key:z6Mk").is_some_and(|rest| {
            rest.len() == 44 && rest.bytes().all(|b| b.is_ascii_alphanumeric() && !b"0OIl".contains(&b))
        });
        is_did || text.parse::<AgentRef>().is_ok()
    },
};
/// A SHA-256 digest.
pub(crate) const DIGEST: Form = Form {
    pattern: "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$",
    format: None,
    fits: |text| text.parse::<Digest>().is_ok(),
};
/// A UUID in lower case.
pub(crate) const UUID: Form = Form {
    pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    format: None,
    fits: |text| {
        let groups: Vec<_> = text.split('-').map(str::len).collect();
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-';
        groups == [8, 4, 4, 4, 12] && text.bytes().all(hex)
    },
};
/// A point in time.
pub(crate) const TIME: Form = Form {
    pattern: r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$",
    format: Some("date-time"),
    fits: |text| Timestamp::parse(text).is_ok(),
};
/// A topic's path.
pub(crate) const TOPIC: Form = Form {
    pattern: r"^\$?[A-Za-z0-9_~-][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*){0,15}$",
    format: None,
    fits: |text| text.parse::<TopicPath>().is_ok() && !has_hidden_level(text),
};
/// A pattern of topics.
pub(crate) const TOPIC_PATTERN: Form = Form {
    pattern: r"^(\*\*|(\$?[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,31}|\*)(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,31}){0,6}(/\*)?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,31}){0,6}(/\*\*)?)$",
    format: None,
    fits: |text| text.parse::<TopicPattern>().is_ok() && !has_hidden_level(text),
};
/// The name and version of a definition.
pub(crate) const DEFINITION: Form = Form {
    pattern: r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?/[a-z]([a-z0-9-]{0,30}[a-z0-9])?@v(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$",
    format: None,
    fits: |text| VersionedName::parse(text, Authority::OpenMesh).is_ok(),
};
/// An entity tag, `*`, or the empty list of tags, which nothing matches (RFC 9110 §13.1).
pub(crate) const ETAG: Form = Form {
    pattern: r#"^(\*|(W/)?"[!#-~]{1,64}")?$"#,
    format: None,
    fits: |text| {
        let inner = text.trim_start_matches("W/").strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let graphic = |tag: &str| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        text.is_empty() || text == "*" || inner.is_some_and(graphic)
    },
};
/// Visible ASCII.
pub(super) const VISIBLE: Form =
    Form { pattern: "^[!-~]+$", format: None, fits: |text| text.bytes().all(|b| b.is_ascii_graphic()) };

/// Levels that begin with a dot are reachable natively; in a path of HTTP they would be taken for steps.
fn has_hidden_level(text: &str) -> bool {
    text.split('/').any(|level| level.starts_with('.'))
}
