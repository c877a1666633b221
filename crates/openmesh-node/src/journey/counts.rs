//! The counts of the owner's loop.

use metrics::{Counter, Gauge, Histogram, SharedString, counter, gauge, histogram};
use openmesh_adapter::metrics::{
    AGENTS, COMMANDS, CONSUMED, CONVERSATIONS_OPEN, INBOX_MESSAGES, LOG_FULL, LOG_HEAD, PROCESS_DURATION,
    QUEUE_DEPTH, QUEUE_WAIT, SENT, STREAMS_OPEN, SYSTEM,
};
use openmesh_core::{Effect, Partition, Plan, Ticket};
use openmesh_message::Target;
use openmesh_message::frame::Command;
use std::sync::LazyLock;
use std::time::Duration;

/// Made at the first one.
static RECEIVED: LazyLock<Counter> = LazyLock::new(|| consumed("receive"));

/// Where a message goes; templates of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Template {
    Agent,
    Topic,
    Inbox,
    Conversation,
}

/// What was decided.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// A message, and where it goes, if that could be read.
    Message(Option<Template>),
    /// A command, by name.
    Command(CommandName),
}

/// What metrics call a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommandName(&'static str);

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Accepted,
    Passed,
    Repeated,
    Refused(&'static str),
    /// Answered, or to be answered later.
    Answered,
}

/// Counts that are made once and added to often.
pub(super) struct Counts {
    /// Of each template and each of the outcomes that are not refusals.
    sent: Vec<Counter>,
    duration: Histogram,
    wait: Histogram,
    depth: Gauge,
    head: Gauge,
}

const TEMPLATES: [Template; 4] = [Template::Agent, Template::Topic, Template::Inbox, Template::Conversation];
const FATES: [Fate; 3] = [Fate::Accepted, Fate::Passed, Fate::Repeated];

impl Counts {
    pub(super) fn new() -> Self {
        let all =
            TEMPLATES.iter().flat_map(|template| FATES.iter().map(move |fate| sent(Some(*template), *fate)));
        let labels = [("messaging.system", SYSTEM), ("messaging.operation.name", "process")];
        Self {
            sent: all.collect(),
            duration: histogram!(PROCESS_DURATION, &labels),
            wait: histogram!(QUEUE_WAIT),
            depth: gauge!(QUEUE_DEPTH),
            head: gauge!(LOG_HEAD),
        }
    }

    pub(super) fn count(&self, what: What, fate: Fate) {
        match what {
            What::Message(template) => {
                let known = template.and_then(|template| self.sent.get(place(template, fate)?));
                known.map_or_else(|| sent(template, fate), Counter::clone).increment(1);
            }
            What::Command(CommandName(name)) => {
                let code = fate.code();
                counter!(COMMANDS, "command" => name, "error.type" => code).increment(1);
            }
        }
    }

    pub(super) fn duration(&self) -> Histogram {
        self.duration.clone()
    }

    pub(super) fn note_wait(&self, wait: Duration) {
        self.wait.record(wait);
    }

    pub(super) fn note_head(&self, head_seq: u64) {
        self.head.set(head_seq as f64);
    }

    pub(super) fn sample(&self, partition: &Partition, batches_waiting: usize, is_full: bool) {
        let state = partition.state();
        let total = state.mail();
        for (name, count) in [
            ("pending", total.pending),
            ("acknowledged", total.acknowledged),
            ("expired", total.expired),
            ("dead_lettered", total.dead_lettered),
            ("recalled", total.recalled),
        ] {
            gauge!(INBOX_MESSAGES, "state" => name).set(count as f64);
        }
        gauge!(CONVERSATIONS_OPEN).set(state.open_conversations() as f64);
        gauge!(STREAMS_OPEN).set(partition.streams() as f64);
        gauge!(AGENTS).set(partition.view().directory.count() as f64);
        gauge!(LOG_FULL).set(u32::from(is_full));
        self.depth.set(batches_waiting as f64);
    }
}

impl Fate {
    /// What a plan says to whoever sent the input.
    pub(super) fn of(ticket: Ticket, plan: &Plan) -> Self {
        let fates = plan.effects.iter().filter_map(|effect| match effect {
            Effect::Accept(to, receipt) if *to == ticket => {
                Some(if receipt.position.is_some() { Self::Accepted } else { Self::Passed })
            }
            Effect::Pass { ticket: to, .. } if *to == ticket => Some(Self::Passed),
            Effect::AcceptAgain(to, _) if *to == ticket => Some(Self::Repeated),
            Effect::Reject(to, rejection) if *to == ticket => Some(Self::Refused(rejection.code())),
            Effect::Reply(to, Err(rejection)) if *to == ticket => Some(Self::Refused(rejection.code())),
            _ => None,
        });
        fates.into_iter().next().unwrap_or(Self::Answered)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Passed => "passed",
            Self::Repeated => "repeated",
            Self::Refused(_) => "refused",
            Self::Answered => "answered",
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Refused(code) => code,
            _ => "",
        }
    }
}

impl Template {
    const fn text(self) -> &'static str {
        match self {
            Self::Agent => "agent/{agent}",
            Self::Topic => "topic/{path}",
            Self::Inbox => "inbox/{agent}",
            Self::Conversation => "conversation/{id}",
        }
    }
}

impl From<&Target> for Template {
    fn from(target: &Target) -> Self {
        match target {
            Target::Agent(_) => Self::Agent,
            Target::Topic(_) => Self::Topic,
            Target::Inbox(_) => Self::Inbox,
            Target::Conversation(_) => Self::Conversation,
        }
    }
}

impl From<&Command> for CommandName {
    fn from(command: &Command) -> Self {
        Self(match command {
            Command::Lease { .. } => "lease",
            Command::Extend { .. } => "extend",
            Command::Ack { .. } => "ack",
            Command::Nack { .. } => "nack",
            _ => "other",
        })
    }
}

/// The place of a count among those that are made once.
fn place(template: Template, fate: Fate) -> Option<usize> {
    let fate = FATES.iter().position(|known| *known == fate)?;
    let template = TEMPLATES.iter().position(|known| *known == template)?;
    Some(template * FATES.len() + fate)
}

fn sent(template: Option<Template>, fate: Fate) -> Counter {
    let template = template.map_or("", Template::text);
    let labels: [(&'static str, SharedString); 5] = [
        ("messaging.system", SYSTEM.into()),
        ("messaging.operation.name", "send".into()),
        ("messaging.destination.template", template.into()),
        ("openmesh.outcome", fate.name().into()),
        ("error.type", fate.code().into()),
    ];
    counter!(SENT, &labels)
}

fn consumed(operation: &'static str) -> Counter {
    let labels = [("messaging.system", SYSTEM), ("messaging.operation.name", operation)];
    counter!(CONSUMED, &labels)
}

/// A command was answered without the owner.
pub(crate) fn count_command(command: &Command) {
    let CommandName(name) = command.into();
    counter!(COMMANDS, "command" => name, "error.type" => Fate::Answered.code()).increment(1);
}

/// So many messages were leased.
pub(crate) fn count_leased(messages: usize) {
    RECEIVED.increment(messages as u64);
}
