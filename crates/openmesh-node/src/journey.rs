//! What is measured and traced of what goes through the owner's loop; nothing here decides.

mod counts;

pub(crate) use counts::{count_command, count_leased};

use counts::{Counts, Fate, What};
use metrics::Histogram;
use openmesh_adapter::trace::{Stage, TraceContext, Tracer, Tracing};
use openmesh_core::{Input, Partition, Plan, Ticket};
use std::time::{Duration, Instant};
use tracing::Span;

/// How often the state is looked at.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// What is under way in the loop.
pub(crate) struct Journeys {
    tracing: Tracing,
    counts: Counts,
    /// Of the plans that wait for the sync under way.
    waiting: Vec<Journey>,
    /// Of the plans whose records are being synced.
    under_way: Vec<(Journey, Span)>,
    sampled: Option<Instant>,
}

/// An input that is being decided.
pub(crate) struct Begun {
    ticket: Ticket,
    what: What,
    since: Instant,
    trace: Option<TraceContext>,
    deciding: Span,
}

/// A plan on its way: of a message, since when, and its trace; or of something else.
pub(crate) struct Journey(Option<Message>);

struct Message {
    since: Instant,
    trace: Option<TraceContext>,
    duration: Histogram,
}

/// Plans that are being performed.
pub(crate) struct Performing {
    messages: Vec<Message>,
    spans: Vec<Span>,
}

impl Journeys {
    /// Nothing under way.
    pub(crate) fn new(tracing: Tracing) -> Self {
        let counts = Counts::new();
        Self { tracing, counts, waiting: Vec::new(), under_way: Vec::new(), sampled: None }
    }

    /// A batch was taken from the queue.
    pub(crate) fn note_wait(&self, since: Instant) {
        self.counts.note_wait(since.elapsed());
    }

    /// An input is about to be decided.
    pub(crate) fn begin(&self, input: &Input, since: Instant) -> Option<Begun> {
        let (ticket, what) = match input {
            Input::Message { ticket, admitted } => {
                (*ticket, What::Message(Some((&admitted.control.to.target).into())))
            }
            Input::Refused { ticket, .. } => (*ticket, What::Message(None)),
            Input::Command { ticket, command } => (*ticket, What::Command((&**command).into())),
            _ => return None,
        };
        let trace = self.tracing.listened_to().and_then(|tracer| follow(tracer, input));
        let deciding = trace.map_or_else(Span::none, |trace| trace.span(Stage::Decide));
        Some(Begun { ticket, what, since, trace, deciding })
    }

    /// An input was decided: counts what became of it.
    pub(crate) fn decided(&self, begun: Option<Begun>, plan: &Plan) -> Journey {
        let Some(Begun { ticket, what, since, trace, deciding }) = begun else { return Journey(None) };
        let fate = Fate::of(ticket, plan);
        self.counts.count(what, fate);
        if let What::Command(_) = what {
            return Journey(None);
        }
        deciding.record("outcome", fate.name());
        if let Fate::Refused(code) = fate {
            deciding.record("code", code);
        }
        Journey(Some(Message { since, trace, duration: self.counts.duration() }))
    }

    /// A plan waits for the sync under way.
    pub(crate) fn wait(&mut self, journey: Journey) {
        if journey.0.is_some() {
            self.waiting.push(journey);
        }
    }

    /// What waited needs no sync.
    pub(crate) fn performing_unkept(&mut self) -> Performing {
        Performing::of(self.waiting.drain(..).filter_map(|journey| journey.0).collect())
    }

    /// The records of what waited go to the log together.
    pub(crate) fn keeping(&mut self) {
        let messages = self.waiting.len() as u64;
        let keep = |journey: Journey| {
            let trace = journey.0.as_ref().and_then(|message| message.trace);
            let span = trace.map_or_else(Span::none, |trace| trace.span(Stage::Keep));
            span.record("messages", messages);
            (journey, span)
        };
        self.under_way = self.waiting.drain(..).map(keep).collect();
    }

    /// The records are synced, up to this one.
    pub(crate) fn kept(&mut self, head_seq: u64) -> Performing {
        self.counts.note_head(head_seq);
        let kept = std::mem::take(&mut self.under_way);
        // The spans of keeping end here.
        Performing::of(kept.into_iter().filter_map(|(journey, _)| journey.0).collect())
    }

    /// Looks at the state, from time to time.
    pub(crate) fn sample(&mut self, partition: &Partition, batches_waiting: usize, is_full: bool) {
        if self.sampled.is_none_or(|at| at.elapsed() >= SAMPLE_EVERY) {
            self.sampled = Some(Instant::now());
            self.counts.sample(partition, batches_waiting, is_full);
        }
    }
}

impl Journey {
    /// The plan is performed at once.
    pub(crate) fn performing(self) -> Performing {
        Performing::of(self.0.into_iter().collect())
    }
}

impl Performing {
    fn of(messages: Vec<Message>) -> Self {
        let traces = messages.iter().filter_map(|message| message.trace);
        let spans = traces.map(|trace| trace.span(Stage::Perform)).collect();
        Self { messages, spans }
    }

    /// All is ready to be handed over; what follows is delivery.
    pub(crate) fn end(self) {
        let Self { messages, spans } = self;
        drop(spans);
        for message in messages {
            message.duration.record(message.since.elapsed());
        }
    }
}

fn follow(tracer: Tracer, input: &Input) -> Option<TraceContext> {
    match input {
        Input::Message { admitted, .. } => {
            tracer.follow(admitted.envelope.transit.traceparent.as_deref(), || admitted.digest())
        }
        Input::Refused { refused, .. } => tracer.follow(refused.traceparent.as_deref(), || refused.digest),
        _ => None,
    }
}
