//! From the spans of the log to those of OpenTelemetry: ids and attributes are the fields of the span.

use openmesh_adapter::metrics::SYSTEM;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanLinks, SpanProcessor,
};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Hands every span that ends to the exporter.
pub(super) struct Spans {
    processor: Arc<BatchSpanProcessor>,
    scope: InstrumentationScope,
}

/// A span that has not ended.
struct Open {
    begun: SystemTime,
    fields: Fields,
}

/// What its fields say.
struct Fields {
    trace_id: TraceId,
    parent_id: SpanId,
    status: Status,
    attributes: Vec<KeyValue>,
}

impl Spans {
    pub(super) fn new(processor: Arc<BatchSpanProcessor>) -> Self {
        let scope = InstrumentationScope::builder("openmesh").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { processor, scope }
    }

    fn data(&self, name: &'static str, open: Open) -> SpanData {
        let Open { begun, fields } = open;
        let Fields { trace_id, parent_id, status, mut attributes } = fields;
        attributes.push(KeyValue::new("messaging.system", SYSTEM));
        attributes.push(KeyValue::new("messaging.operation.name", name));
        let id = RandomIdGenerator::default().new_span_id();
        SpanData {
            span_context: SpanContext::new(trace_id, id, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: parent_id,
            parent_span_is_remote: parent_id != SpanId::INVALID,
            span_kind: kind(name),
            name: name.into(),
            start_time: begun,
            end_time: SystemTime::now(),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

impl<S> Layer<S> for Spans
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Open { begun: SystemTime::now(), fields });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(span) = context.span(&id)
            && let Some(open) = span.extensions_mut().remove::<Open>()
        {
            self.processor.on_end(self.data(span.name(), open));
        }
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            trace_id: TraceId::INVALID,
            parent_id: SpanId::INVALID,
            status: Status::Unset,
            attributes: Vec::with_capacity(8),
        }
    }
}

impl Fields {
    fn text(&mut self, field: &str, value: String) {
        match field {
            "trace_id" => self.trace_id = TraceId::from_hex(&value).unwrap_or(TraceId::INVALID),
            "parent_id" => self.parent_id = SpanId::from_hex(&value).unwrap_or(SpanId::INVALID),
            "code" => {
                self.status = Status::error(value.clone());
                self.add(field, value);
            }
            _ => self.add(field, value),
        }
    }

    fn add(&mut self, field: &str, value: impl Into<Value>) {
        let name = match field {
            "code" => "error.type",
            "messages" => "messaging.batch.message_count",
            "digest" => "openmesh.message.digest",
            "connection" => "openmesh.connection",
            "subscription" => "openmesh.subscription",
            "outcome" => "openmesh.outcome",
            _ => return,
        };
        self.attributes.push(KeyValue::new(name, value));
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), format!("{value:?}"));
    }
}

/// What a span is to the sender and the receiver.
fn kind(name: &str) -> SpanKind {
    match name {
        "admit" => SpanKind::Consumer,
        "deliver" => SpanKind::Producer,
        _ => SpanKind::Internal,
    }
}
