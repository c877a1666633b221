//! Every metric of a node: its name, kind, unit, labels and what it tells. Nothing else is measured.
//!
//! Named by OpenTelemetry's conventions for messaging and processes where there is one, else `openmesh.…`. No label
//! takes a value that an agent makes up: no topics, ids, tokens or texts.

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use std::fmt;

/// The value of the label `messaging.system`.
pub const SYSTEM: &str = "openmesh";

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// With dots, as OpenTelemetry names them.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// In what it is counted.
    pub unit: Unit,
    /// Its labels.
    pub labels: &'static [&'static str],
    help: &'static str,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $constant:ident = $name:literal, $kind:ident of $unit:ident by [$($label:literal),*];)+) => {
        $($(#[doc = $help])+ pub const $constant: &str = $name;)+

        /// Every metric, in the order of the docs.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &[$($label),*],
            help: concat!($($help),+),
        }),+];
    };
}

metrics! {
    /// Messages that agents sent, by what became of them: `accepted` (kept), `passed` (handed on), `repeated` or `refused`; then `error.type` is the code.
    SENT = "messaging.client.sent.messages", Counter of Count by ["messaging.system", "messaging.operation.name", "messaging.destination.template", "openmesh.outcome", "error.type"];
    /// Messages handed over to agents: `deliver` on a subscription or the agent's own address, `receive` leased from its inbox.
    CONSUMED = "messaging.client.consumed.messages", Counter of Count by ["messaging.system", "messaging.operation.name"];
    /// From a message's arrival in the queue until it was kept and performed, or handed on; those that are alike and pass the queue by are counted as sent and consumed, and not here.
    PROCESS_DURATION = "messaging.process.duration", Histogram of Seconds by ["messaging.system", "messaging.operation.name"];
    /// Messages that subscriptions missed, as their gaps told them.
    MISSED = "openmesh.deliveries.missed", Counter of Count by [];
    /// Commands of agents: `lease`, `extend`, `ack`, `nack` of inboxes and all `other`; `error.type` is the code of a refusal.
    COMMANDS = "openmesh.commands", Counter of Count by ["command", "error.type"];
    /// Messages in inboxes: `pending`, or ended as `acknowledged`, `expired`, `dead_lettered` or `recalled`.
    INBOX_MESSAGES = "openmesh.inbox.messages", Gauge of Count by ["state"];
    /// Conversations that have not ended.
    CONVERSATIONS_OPEN = "openmesh.conversations.open", Gauge of Count by [];
    /// Agents in the directory.
    AGENTS = "openmesh.agents.registered", Gauge of Count by [];
    /// Streams that have not ended.
    STREAMS_OPEN = "openmesh.streams.open", Gauge of Count by [];
    /// Batches that wait in the owner's queue.
    QUEUE_DEPTH = "openmesh.queue.depth", Gauge of Count by [];
    /// How long what an agent sent waited for the owner.
    QUEUE_WAIT = "openmesh.queue.wait", Histogram of Seconds by [];
    /// Messages that were refused as `node.busy` since the node is overloaded, by class, in the order of shedding: `passing_stranger`, `passing_registered`, `kept_stranger`, `kept_registered`.
    SHED = "openmesh.shed.messages", Counter of Count by ["class"];
    /// How many classes of messages are shed, from 0 to 4, the last in part; `all`, and what each sign says: `owner` and `disk` (what waits for them), `waiting` (bytes that wait) and `memory`.
    OVERLOAD_PRESSURE = "openmesh.overload.pressure", Gauge of Count by ["sign"];
    /// Refused as `agent.quota`, by the agent's standing.
    QUOTA_REFUSED = "openmesh.quota.refused", Counter of Count by ["standing"];
    /// Bytes that wait: in the owner's `queue`, in `outboxes` for agents that read slowly.
    MEMORY_HELD = "openmesh.memory.held", Gauge of Bytes by ["in"];
    /// The ceiling under which the node keeps its memory.
    MEMORY_MAX = "openmesh.memory.max", Gauge of Bytes by [];
    /// Records written with one sync.
    LOG_BATCH = "openmesh.log.batch.records", Histogram of Count by [];
    /// How long a sync to disk took.
    LOG_SYNC = "openmesh.log.sync.duration", Histogram of Seconds by [];
    /// Bytes of records appended to the log.
    LOG_APPENDED = "openmesh.log.appended", Counter of Bytes by [];
    /// Bytes of the log's files.
    LOG_SIZE = "openmesh.log.size", Gauge of Bytes by [];
    /// Segments of the log.
    LOG_SEGMENTS = "openmesh.log.segments", Gauge of Count by [];
    /// The number of the last record that is synced.
    LOG_HEAD = "openmesh.log.head", Gauge of Count by [];
    /// Whether the disk has no room for another batch: 1, else 0.
    LOG_FULL = "openmesh.log.full", Gauge of Count by [];
    /// Entries looked at to answer questions about the log, in the index or the log itself.
    LOG_LOOKUPS = "openmesh.log.lookups", Counter of Count by ["in"];
    /// How long writing a snapshot took.
    SNAPSHOT_DURATION = "openmesh.snapshot.duration", Histogram of Seconds by [];
    /// Snapshots that could not be written.
    SNAPSHOTS_FAILED = "openmesh.snapshots.failed", Counter of Count by [];
    /// Connections that came in.
    CONNECTIONS_ACCEPTED = "openmesh.connections.accepted", Counter of Count by ["door"];
    /// Connections of which the other end has said who it is.
    CONNECTIONS_ESTABLISHED = "openmesh.connections.established", Gauge of Count by ["door"];
    /// Connections of which it is not known yet who is at the other end.
    CONNECTIONS_HALF_OPEN = "openmesh.connections.half_open", Gauge of Count by ["door"];
    /// Connections that ended before they were established: `refused` without room, `evicted` for others, `late`.
    CONNECTIONS_ENDED_EARLY = "openmesh.connections.ended_early", Counter of Count by ["door", "reason"];
    /// Handshakes of the native protocol that failed.
    HANDSHAKES_REFUSED = "openmesh.handshakes.refused", Counter of Count by ["reason"];
    /// Requests over HTTP that were refused for want of a token, or of one that may do that.
    TOKENS_REFUSED = "openmesh.tokens.refused", Counter of Count by ["error.type"];
    /// Requests over HTTP.
    HTTP_REQUESTS = "openmesh.http.requests", Counter of Count by ["operation", "status"];
    /// Processor time of the node's process, in user and system mode.
    CPU_TIME = "process.cpu.time", Counter of Seconds by [];
    /// Memory of the node's process that is resident.
    MEMORY_USAGE = "process.memory.usage", Gauge of Bytes by [];
    /// Files and sockets that the node's process has open.
    OPEN_FILES = "process.unix.file_descriptor.count", Gauge of Count by [];
    /// How long the node's process has run.
    UPTIME = "process.uptime", Gauge of Seconds by [];
}

impl Metric {
    /// What it tells, in a sentence.
    pub const fn help(&self) -> &'static str {
        self.help.trim_ascii()
    }

    /// The name under which Prometheus finds it.
    pub fn prometheus_name(&self) -> String {
        let mut name = self.name.replace('.', "_");
        let unit = self.unit.as_str();
        if self.unit != Unit::Count && !name.ends_with(unit) {
            name = format!("{name}_{unit}");
        }
        if self.kind == Kind::Counter { format!("{name}_total") } else { name }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// Tells the recorder of this process what each metric is.
pub fn describe() {
    for metric in METRICS {
        let Metric { name, kind, unit, .. } = metric;
        let help = metric.help();
        match kind {
            Kind::Counter => describe_counter!(*name, *unit, help),
            Kind::Gauge => describe_gauge!(*name, *unit, help),
            Kind::Histogram => describe_histogram!(*name, *unit, help),
        }
    }
}
