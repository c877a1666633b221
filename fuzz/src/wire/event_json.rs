//! A CloudEvent in structured mode: as a message, it is the same in every form.

use super::said::kept;
use crate::cast::{message, rfp};
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_message::cloudevents::{from_headers, from_json, to_headers, to_json};

/// One event in JSON.
pub fn target(input: &[u8]) -> Met {
    let message = match from_json(input) {
        Ok(message) => message,
        Err(error) => {
            assert_brief(&error);
            return Met::Refused;
        }
    };
    assert_eq!(from_json(to_json(&message).as_bytes()).as_ref(), Ok(&message));
    let headers = to_headers(&message);
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    assert_eq!(from_headers(headers, message.payload.clone()), Ok(message));
    Met::Taken
}

/// Messages of ours, and events with every kind of value and of data.
pub fn seeds() -> Vec<Seed> {
    let event = |data: &str| format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t",{data}}}"#);
    vec![
        Seed::new("sent", to_json(&message("m-1"))),
        Seed::new("kept", to_json(&kept())),
        Seed::new("object", event(&format!(r#""data":{}"#, rfp()))),
        Seed::new("text", event(r#""datacontenttype":"text/plain; charset=utf-8","data":"h\u00e9"#)),
        Seed::new("bytes", event(r#""datacontenttype":"image/png","data_base64":"AAEC/w==""#)),
        Seed::new(
            "values",
            event(r#""more":true,"sequence":-5,"subject":null,"time":"2026-01-31T12:00:00Z""#),
        ),
        Seed::new("null", event(r#""data":null"#)),
    ]
}
