//! Media types that tell the forms apart, and which of them mean JSON.

/// An event in structured mode.
pub const STRUCTURED_JSON: &str = "application/cloudevents+json";
/// Events in batched mode.
pub const BATCH_JSON: &str = "application/cloudevents-batch+json";
/// Plain JSON.
pub const JSON: &str = "application/json";

/// A media type without its parameters, in lower case.
pub fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether data of this type is JSON; data of no type is, in JSON forms (CloudEvents JSON format §3.1).
pub fn is_json(media_type: Option<&str>) -> bool {
    media_type.is_none_or(|text| {
        let essence = essence(text);
        let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
        subtype == "json" || subtype.ends_with("+json")
    })
}

/// Whether data of this type is text.
pub(super) fn is_text(media_type: Option<&str>) -> bool {
    media_type.is_some_and(|text| essence(text).starts_with("text/"))
}
