//! The spans of messages on their way to an OpenTelemetry collector; a stub where the feature `otlp` is off.

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod client;
#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod span;

#[cfg(not(feature = "otlp"))]
pub(crate) use absent::{Exporting, start};
#[cfg(feature = "otlp")]
pub(crate) use export::{Exporting, start};
