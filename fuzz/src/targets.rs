//! The table of targets.

use crate::{definition, keeping, text, wire};

/// A function that takes any bytes, and what to begin with.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As in `cargo xtask fuzz <name>`.
    pub name: &'static str,
    /// What it reads.
    pub what: &'static str,
    /// Panics where a promise is broken.
    pub run: fn(&[u8]) -> Met,
    /// Inputs to begin with, made by our own code.
    pub seeds: fn() -> Vec<Seed>,
}

/// How a target met its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It was read, and what must hold of it was checked.
    Taken,
    /// It was refused, as most inputs are.
    Refused,
}

/// An input to begin with.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The name of its file.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

impl Seed {
    /// An input and the name of its file.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

macro_rules! table {
    ($($name:literal $($module:ident)::+ $what:literal,)+) => {
        /// Every target; each has a program in `fuzz_targets/` of the same name.
        pub const TARGETS: &[Target] = &[
            $(Target { name: $name, what: $what, run: $($module)::+::target, seeds: $($module)::+::seeds },)+
        ];
    };
}

table! {
    "client-frames" wire::client_frames "one frame of an agent",
    "server-frames" wire::server_frames "one frame of a node",
    "interned-frames" wire::interned_frames "frames of one connection, which refer to each other",
    "client-hello" wire::client_hello "what an agent says first",
    "server-hello" wire::server_hello "what the node answers, and whether it is believed",
    "client-auth" wire::client_auth "the agent's proof of its key",
    "certificate" wire::certificate "a domain's word for a node's key",
    "attributes" wire::attributes "attributes in their canonical form",
    "control-attributes" wire::control_attributes "the attributes that steer a message",
    "envelope" wire::envelope "a message as it is kept",
    "proof" wire::proof "signatures of messages, alone and in batches",
    "receipt" wire::receipt "receipts and the node's signature",
    "json" wire::json "JSON payloads under their limits",
    "event-json" wire::event_json "a CloudEvent in structured mode",
    "event-headers" wire::event_headers "a CloudEvent in binary mode: headers and a body",
    "event-batch" wire::event_batch "CloudEvents in a batch",
    "names" text::names "names, versions, ranges and pins of definitions",
    "addresses" text::addresses "addresses, absolute and as people type them",
    "topics" text::topics "topic paths and patterns, beside a naive matcher",
    "identifiers" text::identifiers "ids, digests, performatives, names of agents, tokens, proofs as text",
    "times" text::times "points in time",
    "schema" definition::schema "a schema, and payloads under it",
    "protocol" definition::protocol "a protocol definition in YAML or JSON",
    "duration" definition::duration "the durations of timers, beside a naive reader",
    "expression" definition::expression "the expressions of guards, compiled and evaluated",
    "conversation" definition::conversation "acts in conversations of the shipped protocols",
    "own-protocol" definition::own_protocol "acts in conversations of any protocol",
    "policy" definition::policy "a policy file, and decisions under it",
    "admission" keeping::admission "messages up to the queue",
    "partition" keeping::partition "connections of a partition, and its recovery",
    "records" keeping::records "records, and a recovery from them",
    "snapshot" keeping::snapshot "the state in a snapshot",
    "log-damage" keeping::log_damage "a log whose files were damaged",
    "log-forgery" keeping::log_forgery "a log that somebody wrote with right checksums",
}
