//! Starts and ends the export: the official exporter and its batching thread, fed by a layer of the log.

use super::client::{Client, is_local};
use super::span::Spans;
use crate::cli::failure::Failure;
use anyhow::{Context, Result};
use openmesh_adapter::trace::TARGET;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanProcessor};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

/// How long the last spans may take to go out.
const LAST_DEADLINE: Duration = Duration::from_secs(5);

/// An export that is under way; what waits goes out when this is dropped.
pub(crate) struct Exporting(Arc<BatchSpanProcessor>);

/// Exports the spans of messages to a collector on this machine, until what is returned is dropped.
pub(crate) fn start<S>(endpoint: &str, runtime: &Handle) -> Result<(impl Layer<S> + use<S>, Exporting)>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if !is_local(endpoint) {
        let failure = Failure::usage(format!("`{endpoint}` is no http:// address of this machine"));
        let next = "run a collector here, such as http://127.0.0.1:4318, and have it send the traces on";
        return Err(failure.next(next).into());
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new(runtime.clone()))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .context("traces cannot be exported")?;
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    processor.set_resource(&resource());
    let processor = Arc::new(processor);
    let wanted = Targets::new().with_target(TARGET, LevelFilter::DEBUG);
    let layer = Spans::new(Arc::clone(&processor)).with_filter(wanted);
    Ok((layer, Exporting(processor)))
}

impl Drop for Exporting {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST_DEADLINE) {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
    }
}

fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let pid = KeyValue::new("process.pid", i64::from(std::process::id()));
    Resource::builder().with_service_name("openmesh").with_attributes([version, pid]).build()
}
