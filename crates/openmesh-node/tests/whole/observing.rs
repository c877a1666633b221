//! What a node tells of itself: counts, the log, the trace of one message.

mod metering;
#[cfg(feature = "otlp")]
mod otlp;
mod tracing;
