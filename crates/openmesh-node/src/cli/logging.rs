//! What the program tells of itself while it runs: its log on stderr and, for a node, traces to a collector.

use super::context::Context;
use super::failure::Failure;
use crate::otlp::{self, Exporting};
use anyhow::Result;
use clap::ValueEnum;
use openmesh_adapter::trace::Tracing;
use std::io::IsTerminal;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

/// Where filters are read from when no flag says one.
const FALLBACK: &str = "RUST_LOG";

/// How a node tells what it does.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Observing")]
pub(crate) struct Observing {
    /// What is logged to stderr: `info`, or finer: `warn,openmesh::message=debug` adds the spans of every message.
    #[arg(long, env = "OPENMESH_LOG", value_name = "FILTER", hide_env_values = true)]
    log: Option<String>,
    /// How it is logged: a line for people, or one JSON object a line.
    #[arg(
        long,
        env = "OPENMESH_LOG_FORMAT",
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_env_values = true
    )]
    log_format: LogFormat,
    /// Send the spans of messages to this OpenTelemetry collector, over OTLP/HTTP; only where it was built in.
    #[arg(long, env = "OPENMESH_OTLP", value_name = "URL", hide_env_values = true)]
    otlp: Option<String>,
    /// The share of messages that is traced, from 0 to 1, chosen by trace id.
    #[arg(
        long,
        env = "OPENMESH_TRACE_SAMPLE",
        value_name = "SHARE",
        default_value_t = 1.0,
        hide_env_values = true
    )]
    trace_sample: f64,
}

/// How the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Observing {
    /// Which messages are traced.
    pub(crate) fn tracing(&self) -> Tracing {
        Tracing::sampling(self.trace_sample)
    }

    /// Begins to log, and to export traces if that was asked for. Traces end when what is returned is dropped.
    pub(crate) fn start(&self, context: &Context, runtime: &Handle) -> Result<Option<Exporting>> {
        let filter = match &self.log {
            Some(text) => parse(text)?,
            None => fallback(context),
        };
        let layer = layer(self.log_format).with_filter(filter);
        let Some(endpoint) = &self.otlp else {
            // A second subscriber in one process changes nothing.
            let _ = registry().with(layer).try_init();
            return Ok(None);
        };
        let (spans, exporting) = otlp::start(endpoint, runtime)?;
        let _ = registry().with(layer).with(spans).try_init();
        Ok(Some(exporting))
    }
}

/// Begins to log, for a command that is soon done.
pub(crate) fn start(context: &Context) {
    let layer = layer(LogFormat::Text).with_filter(fallback(context));
    let _ = registry().with(layer).try_init();
}

fn layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let layer = fmt::layer().with_writer(std::io::stderr).with_span_events(FmtSpan::CLOSE);
    match format {
        LogFormat::Text => {
            layer.with_ansi(std::io::stderr().is_terminal()).with_target(false).compact().boxed()
        }
        LogFormat::Json => layer.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

fn fallback(context: &Context) -> EnvFilter {
    EnvFilter::try_from_env(FALLBACK).unwrap_or_else(|_| EnvFilter::new(context.log_level()))
}

fn parse(text: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(text).map_err(|error| {
        let failure = Failure::usage(format!("`{text}` is no filter of the log: {error}"));
        failure.next("say a level, or levels by target: info, or warn,openmesh::message=debug").into()
    })
}
