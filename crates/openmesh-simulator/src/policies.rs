//! The policies a simulated operator changes between, each with a plain function that says what it forbids.

use openmesh_message::{Authority, Digest};
use openmesh_policy::{DEFAULT_CLOSED, Policy};

/// Below this topic one of the policies keeps silence.
pub(crate) const QUIET_TOPICS: &str = "news/";

const QUIET: &str = r#"
[[rule]]
name = "quiet"
action = "send"
who = "any"
to = "topic:news/**"
verdict = "deny"
reason = "no news for now"
"#;

const STAY: &str = r#"
[[rule]]
name = "stay"
action = "send"
who = "registered"
performative = "cancel"
role = "buyer"
verdict = "deny"
reason = "a buyer who called stays"
"#;

/// Who may say nothing, and who may hear nothing, of [`CHAT`] under the last of the policies.
const HUSHED: &str = "herald";
const DEAF: &str = "seller-c";
const CHAT: &str = "chat/";
const HUSH: &str = r#"
[[rule]]
name = "hush"
action = "send"
who = "name:herald"
to = "topic:chat/**"
verdict = "deny"
reason = "heralds have their own topics"

[[rule]]
name = "deaf"
action = "read"
who = "name:seller-c"
to = "topic:chat/**"
verdict = "deny"
reason = "no chat for sellers"
"#;

/// A policy file as it lies on the disk.
#[derive(Clone, Debug)]
pub(crate) struct PolicyFile {
    pub(crate) policy: Policy,
    pub(crate) text: String,
}

/// What is asked about a message that was taken in.
pub(crate) struct Taken<'a> {
    pub(crate) topic: Option<&'a str>,
    pub(crate) performative: &'a str,
    pub(crate) role: Option<&'a str>,
    pub(crate) sender: Option<&'a str>,
}

/// Every policy of the simulation; the first is in force at the beginning.
pub(crate) fn all() -> Vec<PolicyFile> {
    let texts = ["", QUIET, STAY, HUSH].map(|more| format!("{DEFAULT_CLOSED}{more}"));
    let loaded = texts.into_iter().map(|text| PolicyFile {
        policy: Policy::parse(&text, Authority::OpenMesh).unwrap_or_else(|_| Policy::default_closed()),
        text,
    });
    loaded.collect()
}

/// Whether the policy of that place in [`all`] forbids what was taken in; by hand, not by the rules' own reader.
pub(crate) fn forbids(place: usize, taken: &Taken<'_>) -> bool {
    match place {
        1 => taken.topic.is_some_and(|topic| topic.starts_with(QUIET_TOPICS)),
        2 => taken.performative == "cancel" && taken.role == Some("buyer"),
        3 => taken.topic.is_some_and(|topic| topic.starts_with(CHAT)) && taken.sender == Some(HUSHED),
        _ => false,
    }
}

/// Whether an agent of this name may be handed what is said on a topic, under the policy of that place; by hand, too.
pub(crate) fn may_hear(place: usize, name: Option<&str>, topic: &str) -> bool {
    place != 3 || name != Some(DEAF) || !topic.starts_with(CHAT)
}

/// The place in [`all`] of a policy's version.
pub(crate) fn place_of(version: &Digest) -> Option<usize> {
    all().iter().position(|file| file.policy.version() == *version)
}
